"""Claims about `make up`: the whole system as processes, driven as a submitter and as the Dagster UI drive it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import processes_of

ROOT = Path(__file__).resolve().parents[1]
START_LIMIT_S = 150
RUN_LIMIT_S = 240
STOP_LIMIT_S = 60
TOLD = ("Dagster UI", "Submit a video", "A sample to submit there")
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
LINKS = """query Links($asset: String!, $video: String!) {
  assetNodeOrError(assetKey: {path: [$asset]}) { ... on AssetNode {
    assetMaterializations(partitions: [$video], limit: 1) {
      metadataEntries { label ... on UrlMetadataEntry { url } }
    }
  } }
}"""
STATUS = """query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"""


@dataclass(frozen=True)
class Addresses:
    """Where the parts of the running system are."""

    ui: str
    intake: str
    sample: str
    password: str


@contextmanager
def system(home: Path) -> Iterator[Addresses]:
    """The running system."""
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
            wait_for(lambda: "Ctrl-C" in log.read_text(), START_LIMIT_S)
            told = log.read_text()
            ui, intake, sample = (
                re.findall(rf"{name}: (http://\S+?)(?:/locations\S*)?$", told, re.MULTILINE)[0] for name in TOLD
            )
            password = re.findall(r"ask for a password, with any name: (\S+)$", told, re.MULTILINE)[0]
            yield Addresses(ui=ui, intake=intake, sample=sample, password=password)
        finally:
            up.send_signal(signal.SIGTERM)
            assert up.wait(STOP_LIMIT_S) == 0


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
    return status_in_the_end(address, launched["run"]["runId"])


def status_in_the_end(address: str, run_id: str) -> str:
    """What became of a run."""

    def ended() -> str:
        status: str = ask(address, STATUS, run=run_id)["runOrError"]["status"]
        return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else ""

    return wait_for(ended, RUN_LIMIT_S)


def links(address: str, video_id: str, asset: str) -> dict[str, str]:
    """Where the newest materialisation of a video leads, by the names of its links."""
    [made] = ask(address, LINKS, asset=asset, video=video_id)["assetNodeOrError"]["assetMaterializations"]
    return {entry["label"]: entry["url"] for entry in made["metadataEntries"] if "url" in entry}


def follow(intake: httpx.Client, token: str, until: str) -> dict[str, Any]:
    """Wait for a status of a submission."""

    def reached() -> dict[str, Any]:
        status: dict[str, Any] = intake.get("/public/video/status", params={"token": token}).raise_for_status().json()
        return status if status["status"] == until else {}

    return wait_for(reached, RUN_LIMIT_S)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_submitted_video_becomes_clips_by_itself_and_the_ui_and_the_table_agree(tmp_path: Path) -> None:
    with system(tmp_path) as at, httpx.Client(base_url=at.intake, timeout=30) as intake:
        receipt = intake.post("/public/video", json={"url": at.sample}).raise_for_status().json()
        done = follow(intake, receipt["token"], "done")
        video_id = receipt["video_id"]
        assert (done["attempt"], done["outcome"], len(done["clips"])) == (1, "clips", 4)
        assert intake.get("/readyz").json()["status"] == "ready"
        part = intake.get(done["clips"][0]["url"], headers={"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, b"ftyp")

        to = links(at.ui, video_id, "clips")
        assert sorted(to) == ["clip_01", "clip_02", "clip_03", "clip_04", "page"]
        page = httpx.get(to["page"], auth=("anybody", at.password), timeout=30).raise_for_status().text
        [run_id] = re.findall(rf'href="{at.ui}/runs/([0-9a-f-]+)"', page)
        assert status_in_the_end(at.ui, run_id) == "SUCCESS", "which is a moment after its video is done"
        assert httpx.get(to["clip_01"], auth=("anybody", at.password), timeout=30).content[4:8] == b"ftyp"

        made = list((tmp_path / "store" / "clips" / video_id).glob("*.json"))
        assert run(at.ui, video_id, "clips") == "SUCCESS"
        assert list((tmp_path / "store" / "clips" / video_id).glob("*.json")) == made, "the same work has the same name"
        by_hand = follow(intake, receipt["token"], "done")
        assert (by_hand["attempt"], by_hand["outcome"]) == (2, "clips")
        assert run(at.ui, "nobody-submitted-this", "raw_video") == "FAILURE"

    assert processes_of(tmp_path) == {}
