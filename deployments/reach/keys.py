"""Which part reads which secret; and the Secrets of a cluster, one for each part, with what it reads and nothing else.

    python deployments/reach/keys.py secrets.env | kubectl apply -f -

With ``--speech-api`` the transcript's pod has the key of the API too, for MADVISION_WHISPER_ENGINE=api.
``secrets.env`` has a line NAME=VALUE for each secret (deployments/kubernetes/secrets.env.example). What a stage reads
besides database and store stands in its row (domain/stages.py); tests hold all of it against what the code reads.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from madvision_assets.domain.stages import HEARS_BY_API, PipelineStep

DATABASE = frozenset({"MADVISION_DATABASE_URL"})
STORE = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
# Of Dagster's own database. Its launcher and its chart want it in a Secret by itself, under this key.
DAGSTER = frozenset({"DAGSTER_PG_PASSWORD"})
DAGSTERS_SECRET, DAGSTERS_KEY = "madvision-postgresql", "postgresql-password"

# Files that sources.toml refers to (docs/operations.md, "Sites"); only who downloads has them.
SITES_SECRET, SITES_READER = "madvision-site-secrets", PipelineStep.RAW_VIDEO.part

PARTS: Mapping[str, frozenset[str]] = {
    "intake": DATABASE | STORE | {"MADVISION_INTERNAL_KEY"},
    "consumer": DATABASE | STORE | {"MADVISION_INBOX_URL"},
    "code-server": DATABASE | STORE | DAGSTER | {"OTEL_EXPORTER_OTLP_HEADERS"},  # of traces, which it alone sends
    # Logs are in the store.
    "daemon": STORE | DAGSTER,
    "webserver": STORE | DAGSTER,
    "run": STORE | DAGSTER,
    "migrate": DATABASE | DAGSTER,
    "backup": DATABASE | STORE | DAGSTER,
    **{step.part: DATABASE | STORE | DAGSTER | step.stage.needs.secrets for step in PipelineStep},
}
# Read by `madvision mcp --http` alone, which no deployment runs.
BY_HAND = frozenset({"MADVISION_MCP_KEY"})
EVERY = frozenset().union(*PARTS.values())
REQUIRED = DATABASE | DAGSTER


class KeysError(Exception):
    """The secrets cannot be given out as they are; the message says what to mend."""


def secrets_of(
    given: Mapping[str, str], namespace: str = "madvision", *, speech_api: bool = False
) -> list[dict[str, Any]]:
    """The Secrets of all parts; one without any entry where nothing is set that the part reads.

    Args:
        given: each secret by the name of its variable.
        namespace: where the parts run.
        speech_api: whether speech is heard behind an API.

    Raises:
        KeysError: one that has to be there is missing, or nobody reads one.
    """
    if missing := sorted(name for name in REQUIRED if not given.get(name)):
        raise KeysError(f"{', '.join(missing)}: missing or empty.")
    if unread := sorted(given.keys() - EVERY):
        raise KeysError(f"{', '.join(unread)}: no part reads it as a secret. What is none belongs into madvision-env.")
    more = {PipelineStep.TRANSCRIPT.part: HEARS_BY_API.secrets} if speech_api else {}
    parts = {
        f"madvision-{part}": _among(given, (reads | more.get(part, frozenset())) - DAGSTER)
        for part, reads in PARTS.items()
    }
    (password,) = _among(given, DAGSTER).values()
    return [
        _secret(namespace, name, data) for name, data in {**parts, DAGSTERS_SECRET: {DAGSTERS_KEY: password}}.items()
    ]


def _among(given: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    return {name: given[name] for name in sorted(names) if given.get(name)}


def _secret(namespace: str, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    labels = {f"app.kubernetes.io/{key}": "madvision" for key in ("name", "part-of")}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(data)}


def main(arguments: list[str]) -> int:
    """Print the Secrets; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="NAME=VALUE lines; - is standard input")
    parser.add_argument("--namespace", default="madvision")
    parser.add_argument("--speech-api", action="store_true", help="for MADVISION_WHISPER_ENGINE=api")
    given = parser.parse_args(arguments)
    try:
        lines = sys.stdin if given.file == Path("-") else given.file.open()
        with lines:
            read = dotenv_values(stream=lines, interpolate=False)
        kept = {name: value for name, value in read.items() if value}
        items = secrets_of(kept, given.namespace, speech_api=given.speech_api)
    except (OSError, KeysError) as error:
        print(f"{given.file}: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
