"""A thousand addresses, good ones and bad ones, over HTTP to the end of the queue.

The intake is its own process, the database is PostgreSQL, hosts answer on loopback, and runs are done by several
processes; only hearing and judging are quick.
"""

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from madvision_assets.domain.failures import leaf_of
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import Settings
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.tables import lineage
from madvision_assets_tests.databases import new_database, shut_breakers, url_of
from madvision_assets_tests.hosts import AT_THE_DOOR, RETRY_AFTER_S, Case, open_hosts
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.worker_pool import WorkerPool, worker_pool

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ADDRESSES = 1000
SINGLE = 150  # submitted one by one; the rest in batches
LATE = 200  # submitted while the work is going on
PROCESSES = 3
MAX_RETRIES = 2
START_LIMIT_S = 60.0
STOPPED = {0, -signal.SIGTERM}  # uvicorn ends by the signal that it was told to stop with
WORK_LIMIT_S = 900.0
# yt-dlp looks at what an address holds, and then fetches it.
REQUESTS_OF_A_DOWNLOAD = 2


@dataclass(frozen=True)
class Asked:
    """A submission, with the case that it asks for; None for one that is refused at the door."""

    body: dict[str, Any]
    case: Case | None


@dataclass
class World:
    """The end of it all, to be looked at.

    Attributes:
        receipts: what each submitter was told, beside what he asked.
    """

    settings: Settings
    database: Database
    worker_pool: WorkerPool
    client: httpx.Client
    cases: list[Case]
    receipts: list[tuple[Asked, dict[str, Any]]]

    def row(self, case: Case) -> Any:
        """Where its video stands."""
        return self.worker_pool.given["dispatcher"].queue.get(case.video_id)


@contextmanager
def intake(settings: Settings, log: Path) -> Iterator[httpx.Client]:
    """``madvision serve`` as a process of its own."""
    variables = {
        "MADVISION_HOME": str(settings.home),
        "MADVISION_DATABASE_URL": settings.effective_database_url,
        "MADVISION_ALLOW_PRIVATE": "1",
        "MADVISION_REQUESTS_PER_MINUTE": "0",
        "MADVISION_CALLBACKS_PER_MINUTE": "0",
        "MADVISION_CONNECTIONS_PER_CLIENT": "0",
    }
    command = [sys.executable, "-m", "madvision_assets.command.main", "serve", "--port", "0"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=out, stderr=out)
        try:
            ports = wait_for(
                lambda: re.findall(r"running on http://127\.0\.0\.1:(\d+)", log.read_text()), START_LIMIT_S
            )
            with httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", timeout=60) as client:
                yield client
        finally:
            process.terminate()
            assert process.wait(START_LIMIT_S) in STOPPED


def thousand(cases: list[Case], rng: random.Random) -> tuple[list[Asked], list[Asked]]:
    """What is submitted before the work begins, and what meanwhile: every case once, many again, some refused.

    Only what ends well is asked for late: a video that failed would be tried again, since somebody asks for it.
    """
    late = [Asked(case.asked(rng), case) for case in rng.choices([c for c in cases if c.outcome], k=LATE)]
    refused = [Asked({"url": address}, None) for address in AT_THE_DOOR]
    again = rng.choices(cases, k=ADDRESSES - LATE - len(refused) - len(cases))
    early = [*refused, *(Asked(case.asked(rng), case) for case in (*cases, *again))]
    rng.shuffle(early)
    return early, late


def submit(client: httpx.Client, asked: list[Asked], single: int) -> list[tuple[Asked, dict[str, Any]]]:
    """The first so many one by one, four at a time, the rest in batches of 300."""

    def one(each: Asked) -> dict[str, Any]:
        answer = client.post("/public/video", json=each.body)
        assert answer.status_code == (202 if each.case else 422), answer.text
        return dict(answer.json())

    def many(batch: list[Asked]) -> list[dict[str, Any]]:
        answer = client.post("/public/videos", json={"videos": [each.body for each in batch]})
        assert answer.status_code == 202, answer.text
        return list(answer.json()["submissions"])

    batches = [asked[at : at + 300] for at in range(single, len(asked), 300)]
    with ThreadPoolExecutor(4) as clients:
        told = [*clients.map(one, asked[:single])]
        told += [answer for answers in clients.map(many, batches) for answer in answers]
    return list(zip(asked, told, strict=True))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("thousand")
    with (
        new_database("postgresql", request, folder) as database,
        open_hosts(folder, MAX_RETRIES) as hosts,
    ):
        database.migrate()
        settings = Settings(
            _env_file=None, home=folder / "home", database_url=url_of(database), allow_private=True,
            max_in_flight=PROCESSES, max_retries=MAX_RETRIES, retry_base_s=0.2, breaker_pause_s=1.0,
        )  # fmt: skip
        early, late = thousand(hosts.cases, random.Random(1000))  # noqa: S311 - the same every time
        with worker_pool(settings, PROCESSES) as workers, intake(settings, folder / "intake.log") as client:
            receipts = submit(client, early, SINGLE - 50)
            with ThreadPoolExecutor(1) as meanwhile:
                told = meanwhile.submit(submit, client, late, 50)
                workers.work_off(WORK_LIMIT_S)
                receipts += told.result()
            workers.work_off(WORK_LIMIT_S)
            yield World(settings, database, workers, client, hosts.cases, receipts)


def test_they_are_a_meaningful_mix(world: World) -> None:
    assert len(world.receipts) == ADDRESSES
    assert len([case for case in world.cases if case.status is QueueStatus.DONE]) >= 50
    assert len({case.kind for case in world.cases if case.cause}) >= 10
    assert len({each.body["url"] for each, _ in world.receipts}) > 2 * len(world.cases), "spelled differently"


def test_each_ends_as_it_deserves_with_its_cause(world: World) -> None:
    expected = {case.address: (case.kind, case.status, case.cause, case.outcome) for case in world.cases}
    rows = {case: world.row(case) for case in world.cases if world.row(case)}
    found = {c.address: (c.kind, row.status, row.failure_cause, row.outcome) for c, row in rows.items()}

    assert found == expected
    assert len(Operations(world.database).rows(limit=2 * ADDRESSES)) == len(world.cases), "no video beside these"
    told = {case: row.retry for case, row in rows.items() if case.retries is not None}
    assert told == {case: case.retries for case in told}


def test_each_is_asked_for_once_and_downloaded_once(world: World) -> None:
    for case in world.cases:
        if case.site and case.downloads:
            hits = [hit for hit in case.site.hits(case.path) if hit.status == 200]
            resumed = sum(hit.range_start is not None for hit in hits)
            assert len(hits) - resumed == REQUESTS_OF_A_DOWNLOAD, (case.kind, hits)
            assert resumed == (case.kind == "cut once"), case.kind


def test_a_host_that_limits_its_rate_is_left_alone_for_as_long_as_it_says(world: World) -> None:
    limited = [(c.site, c.path) for c in world.cases if c.kind == "rate-limited"]
    hits = sorted((hit for site, path in limited if site for hit in site.hits(path)), key=lambda hit: hit.at_s)
    refusals = [hit.at_s for hit in hits if hit.status == 429]
    assert refusals
    for at_s in refusals:
        meanwhile = [hit for hit in hits if at_s < hit.at_s < at_s + RETRY_AFTER_S]
        assert len(meanwhile) <= (PROCESSES - 1) * REQUESTS_OF_A_DOWNLOAD, "more than those that were under way"


def test_each_stage_of_each_is_done_once(world: World) -> None:
    query = select(lineage.c.video_id, lineage.c.asset, func.count()).group_by(lineage.c.video_id, lineage.c.asset)
    with world.database.reading() as connection:
        made = {(video_id, asset): count for video_id, asset, count in connection.execute(query).all()}
    done = [case.video_id for case in world.cases if case.status is QueueStatus.DONE]
    assert made == {(video_id, step.value): 1 for video_id in done for step in PipelineStep}


def test_each_attempt_is_one_run_that_ended(world: World) -> None:
    starts = {case.address: world.row(case).attempt for case in world.cases}
    assert {c.address: starts[c.address] for c in world.cases if c.starts} == {
        c.address: c.starts for c in world.cases if c.starts
    }
    assert set(world.worker_pool.requests.values()) == {1}
    runs = world.worker_pool.instance.get_runs()
    assert len(runs) == world.worker_pool.requests.total() == sum(starts.values())
    assert all(run.is_finished for run in runs)
    whole = [run for run in runs if run.is_success and "madvision/cause" not in run.tags]
    assert len(whole) == sum(case.status is QueueStatus.DONE for case in world.cases)
    assert all(leaf_of(run.tags.get("madvision/cause", "")).is_ours for run in runs if not run.is_success)


def test_every_token_is_answered_and_tells_the_same(world: World) -> None:
    taken = [(asked.case, told) for asked, told in world.receipts if asked.case]
    assert len({told["token"] for _, told in taken}) == len(taken)

    def status(told: dict[str, Any]) -> dict[str, Any]:
        answer = world.client.get("/public/video/status", headers={"Authorization": f"Bearer {told['token']}"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(status, [told for _, told in taken]))
    for (case, told), answer in zip(taken, answers, strict=True):
        assert answer["video_id"] == told["video_id"] == case.video_id
        assert (answer["status"], answer["failure_cause"], answer["outcome"]) == (
            case.status, case.cause, case.outcome,
        )  # fmt: skip
        assert bool(answer["clips"]) == (case.outcome == "clips")


def test_those_that_cannot_be_taken_are_told_why(world: World) -> None:
    told = {asked.body["url"]: answer for asked, answer in world.receipts if asked.case is None}
    codes = {url: answer["type"].rpartition("/")[2].rpartition(":")[2] for url, answer in told.items()}
    assert codes == AT_THE_DOOR


def test_every_clip_can_be_fetched(world: World) -> None:
    receipts = {told["video_id"]: told for asked, told in world.receipts if asked.case and asked.case.options}
    for told in receipts.values():
        status = world.client.get("/public/video/status", params={"token": told["token"]}).json()
        for clip in status["clips"]:
            part = world.client.get(clip["url"], headers={"Range": "bytes=4-7"})
            assert (part.status_code, part.content) == (206, b"ftyp")


def test_nothing_is_left_behind_and_nothing_was_to_be_repaired(world: World) -> None:
    assert shut_breakers(world.database) == {}
    assert world.worker_pool.given["dispatcher"].queue.running() == []
    assert world.worker_pool.instance.event_log_storage.get_concurrency_run_ids() == set()
    assert world.worker_pool.reconcile(looks=10) == {"Table and runs agree."}
    assert list(world.settings.work_folder.iterdir()) == []
