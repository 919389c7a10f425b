"""Claims about `make up`: the whole system as processes, driven as the Dagster UI drives it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
START_LIMIT_S = 150
RUN_LIMIT_S = 240
STOP_LIMIT_S = 60
LAUNCH = """
mutation Launch($partition: String!, $assets: [AssetKeyInput!]!) {
  launchRun(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "madvision", jobName: "__ASSET_JOB",
               assetSelection: $assets},
    mode: "default",
    executionMetadata: {tags: [{key: "dagster/partition", value: $partition}]}
  }) {
    __typename ... on LaunchRunSuccess { run { runId } }
    ... on InvalidSubsetError { message }
    ... on PythonError { message }
  }
}
"""
STATUS = """query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"""


@contextmanager
def system(home: Path) -> Iterator[tuple[str, str]]:
    """The running system: address of its UI, and ID of the sample's partition."""
    log = home / "up.log"
    with log.open("wb") as out:
        up = subprocess.Popen(
            [sys.executable, str(ROOT / "deployments" / "local" / "up.py")],
            env={**os.environ, "MADVISION_HOME": str(home)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            told = wait_for(lambda: re.search(r"UI: (http://[^/]+)", log.read_text()), START_LIMIT_S)
            sample = re.search(r"(file-[0-9a-f]{16}) is registered", log.read_text())
            assert sample
            yield told.group(1), sample.group(1)
        finally:
            up.send_signal(signal.SIGTERM)
            assert up.wait(STOP_LIMIT_S) == 0


def wait_for(condition: Callable[[], Any], limit_s: float) -> Any:
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if found := condition():
            return found
        time.sleep(0.5)
    raise TimeoutError(f"not within {limit_s} s")


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        data: dict[str, Any] = json.loads(answer.read())["data"]
        return data


def run(address: str, partition: str, *assets: str) -> str:
    """Materialise these assets of a partition; the status in the end."""
    keys = [{"path": [asset]} for asset in assets]
    launched = ask(address, LAUNCH, partition=partition, assets=keys)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    def ended() -> str | None:
        status: str = ask(address, STATUS, run=run_id)["runOrError"]["status"]
        return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None

    status: str = wait_for(ended, RUN_LIMIT_S)
    return status


def processes_of(home: Path) -> list[int]:
    """Processes that have our home in their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"MADVISION_HOME={home}".encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_partition_is_materialised_whole_then_one_stage_alone_and_stopping_leaves_no_process(tmp_path: Path) -> None:
    with system(tmp_path) as (address, sample):
        assert run(address, sample, "raw_video", "transcript", "content_type", "clip_candidates", "clips") == "SUCCESS"
        clips = list((tmp_path / "store" / "clips" / sample).glob("*.json"))
        assert run(address, sample, "clips") == "SUCCESS"
        assert list((tmp_path / "store" / "clips" / sample).glob("*.json")) == clips, "the same work has the same name"
        assert run(address, "nobody-submitted-this", "raw_video") == "FAILURE"

    assert processes_of(tmp_path) == []
