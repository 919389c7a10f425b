"""A claim about the intake where OpenTelemetry is at work around it: FastAPI's own spans would hold tokens."""

import subprocess
import sys
from pathlib import Path

from madvision_assets_tests.collecting import taking
from madvision_assets_tests.site import Site

LIMIT_S = 120
CODE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from madvision_assets.intake import server, services
from madvision_assets.settings import load_settings

kept, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
trace.get_tracer("ours").start_span("is kept").end()
made = services.make_services(load_settings())
made.database.migrate()
with TestClient(server.make_app(made), base_url="http://127.0.0.1") as client:
    print(client.get("/public/video/status?token=hide-me").status_code)
print(*(span.name for span in kept.get_finished_spans()), sep=", ")
"""


def test_no_request_becomes_a_span_whoever_set_opentelemetry_up(tmp_path: Path) -> None:
    with Site() as site:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": taking(site),
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
            "MADVISION_HOME": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CODE],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

        assert done.stdout.splitlines()[-2:] == ["404", "is kept"], done.stderr[-2000:]
        assert site._hits == []
