"""Claims about traces of real runs, and about what there is of them where no collector is named: nothing."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from madvision_assets.connections import make_database
from madvision_assets.definitions import build_defs
from madvision_assets.defs import sensors
from madvision_assets.defs.resources import make_resources, make_tracing
from madvision_assets.domain.failures import ConnectionLostError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.traces import Span
from madvision_assets.settings import Settings
from madvision_assets.tools.telemetry import Collector
from madvision_assets.work.tracing import SETTLED_S, Tracing, utc_now
from madvision_assets_tests.collecting import PATH, Collected, children, collected, taking
from madvision_assets_tests.harness import open_harness
from madvision_assets_tests.site import Site

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 180
ENDPOINT = "http://127.0.0.1:4318"


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def sensor_names(**given: Any) -> set[str]:
    settings = Settings(_env_file=None, store_url="memory://", **given)
    return {each.name for each in build_defs(settings).sensors or ()}


def test_without_a_collector_there_is_neither_sensor_nor_anything_else_of_traces(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path)

    assert sensor_names(otlp_endpoint=ENDPOINT) - sensor_names() == {"trace_sensor"}
    without: dict[str, Any] = dict(make_resources(settings))
    assert "tracing" not in without
    assert without["webhooks"]._told is None
    traced: dict[str, Any] = dict(make_resources(settings.model_copy(update={"otlp_endpoint": ENDPOINT})))
    assert traced["webhooks"]._told == traced["tracing"].told


def test_a_collector_that_cannot_be_used_is_told_by_the_sensors_ticks_and_stops_nothing(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path, otlp_endpoint="collector:4317")
    assert not {"tracing"} & make_resources(settings).keys()
    (sensor,) = (each for each in build_defs(settings).sensors or () if each.name == "trace_sensor")
    assert isinstance(sensor, dg.SensorDefinition)

    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance) as context:
        told = sensor.evaluate_tick(context)
    assert told.skip_message == settings.no_collector


def test_the_headers_of_the_settings_go_with_what_is_sent(tmp_path: Path, site: Site) -> None:
    settings = Settings(
        _env_file=None, home=tmp_path, otlp_endpoint=taking(site), otlp_headers=SecretStr("api-key=of-a-test")
    )
    tracing = make_tracing(settings, make_database(settings))
    assert tracing is not None
    moment = utc_now()

    assert tracing._collector.send([Span("video", 7, 1, None, moment, moment)]).result(LIMIT_S) is None
    assert site.hits(PATH)[0].headers["api-key"] == "of-a-test"


RUN = "import madvision_assets.defs.preloaded; from madvision_assets.definitions import defs; defs()"
INTAKE = (
    "from madvision_assets.intake import server, services; from madvision_assets.settings import load_settings; "
    "server.make_app(services.make_services(load_settings()))"
)


@pytest.mark.parametrize("endpoint", ["", ENDPOINT])
# FastAPI itself imports the names that OpenTelemetry gives things, and nothing that sends.
@pytest.mark.parametrize(("code", "names"), [(RUN, ""), (INTAKE, "sdk exporter proto semconv")], ids=["run", "intake"])
def test_no_process_loads_opentelemetry_to_run_or_to_answer(
    endpoint: str, code: str, names: str, tmp_path: Path
) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        cwd=ROOT,
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "MADVISION_HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    ).stdout.split()

    theirs = tuple(f"opentelemetry.{name}" for name in names.split()) or ("opentelemetry",)
    assert "madvision_assets.settings" in loaded
    assert [name for name in loaded if name.startswith(theirs)] == []


@pytest.mark.whole
def test_a_real_run_that_fails_once_is_one_trace_of_its_stages_and_its_callback(
    tmp_path: Path, media: Path, site: Site
) -> None:
    with open_harness(tmp_path, media, otlp_endpoint=taking(site), allow_private=True) as harness:
        tracing = Tracing(
            make_database(harness.settings),
            Collector(site.url("")),
            lambda: utc_now() + timedelta(seconds=SETTLED_S),
            wait_s=LIMIT_S,
        )
        cursor = look(tracing, None)
        harness.submit(callback_url=site.serve("/hook", b"ok"))
        harness.tools.plan(PipelineStep.TRANSCRIPT, ConnectionLostError("it broke off"))
        harness.tick()
        harness.tick()
        webhooks = harness.resources()["webhooks"]
        webhooks._told = tracing.told
        webhooks.deliver_due()
        look(tracing, cursor)

    spans = collected(site)
    (root,) = [each for each in spans if each.name == "video"]
    first, second = (each for each in spans if each.name == "attempt")
    assert {each.trace for each in spans} == {root.trace}
    assert children(spans, first) == ["raw_video", "transcript"]
    assert children(spans, second) == ["transcript", "content_type", "clip_candidates", "clips"]
    assert [each.error is None for each in (root, first, second)] == [True, False, True]
    assert sorted(children(spans, root)) == ["POST", "attempt", "attempt", "queue", "queue", "submit"]
    assert all(lies_within(each, second) for each in spans if each.ids[2] == second.ids[1])
    assert all(lies_within(each, root) for each in spans if each.name != "POST")


def look(tracing: Tracing, cursor: str | None) -> str:
    """What the daemon does at a tick; gives the cursor then."""
    told = sensors.trace_sensor(dg.build_sensor_context(cursor=cursor), tracing=tracing)
    assert isinstance(told, dg.SensorResult)
    return str(told.cursor)


def lies_within(span: Collected, other: Collected) -> bool:
    return other.began_at <= span.began_at <= span.ended_at <= other.ended_at
