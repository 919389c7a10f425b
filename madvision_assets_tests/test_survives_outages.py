"""Claims about outages: what is away comes back, and everything ends by itself with nothing done twice."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import AnalystUnavailableError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.openai_faults import rate_limited, server_error
from madvision_assets_tests.real_servers import S3_BUCKET, Server, postgres_server, swift_server
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import PATIENCE_S, Trial, processes_of, short_talk, trial

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ONCE = dict.fromkeys(PipelineStep, 1)
BREAKER_PAUSE_S = 3
ASKED_TO_WAIT_S = 4
DATABASE_OUTAGE_S = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[str, Server]]:
    """A PostgreSQL of the test's own, to be killed."""
    with postgres_server(tmp_path) as server:
        yield server


@pytest.fixture
def system(tmp_path: Path, database: tuple[str, Server]) -> Iterator[Trial]:
    """The whole system; when it has stopped, nothing of it is left."""
    home = tmp_path / "home"
    with trial(home, database[0], {"MADVISION_BREAKER_PAUSE_S": str(BREAKER_PAUSE_S)}) as running:
        yield running
    assert processes_of(home) == {}


@pytest.fixture
def talk(tmp_path: Path) -> bytes:
    return short_talk(tmp_path)


def assert_done_once(system: Trial, *video_ids: str) -> None:
    """Each video is done, each stage once, each download once, and nothing is held against anybody any more."""
    for video_id in video_ids:
        row = system.row(video_id)
        assert (row.status, row.outcome) == ("done", "clips"), (row.failure_cause, row.failure_details)
        assert system.lineage(video_id) == ONCE
        assert system.versions(video_id) == ONCE
        assert system.downloads(video_id) == 1
    assert system.shut_breakers() == {}


def waits_for_the_analyst(system: Trial, video_id: str) -> bool:
    told = system.status(video_id)
    at = (told["status"], told["pipeline_step"], told["failure_cause"])
    return at == ("waiting", "content_type", AnalystUnavailableError.code)


def test_while_the_analyst_is_away_videos_are_downloaded_and_heard_and_wait_and_then_end_by_themselves(
    system: Trial, talk: bytes
) -> None:
    system.openai.go_away()
    videos = [system.submit(f"talk-{n}", talk, seconds=2) for n in range(6)]
    for video_id in videos:
        wait_for(partial(waits_for_the_analyst, system, video_id), PATIENCE_S, f"{video_id} that waits for the analyst")
        assert system.lineage(video_id) == {PipelineStep.RAW_VIDEO: 1, PipelineStep.TRANSCRIPT: 1}

    told = system.status(videos[0])
    assert AnalystUnavailableError.sentence in told["failure_details"]
    assert told["next_attempt_at"] is not None
    ready = wait_for(lambda: (r := system.get("/readyz").json())["status"] == "degraded" and r, PATIENCE_S)
    [breakers] = [check for check in ready["checks"] if check["name"] == "breakers"]
    assert AnalystUnavailableError.sentence in breakers["detail"]

    system.openai.always(server_error())
    system.openai.come_back()
    wait_for(lambda: len(system.openai.completions) >= 2, PATIENCE_S, "probes that are answered with a 500")
    system.openai.always(rate_limited({"retry-after": str(ASKED_TO_WAIT_S)}))
    wait_for(lambda: system.shut_breakers() == {"analyst": "analyst_rate_limited"}, PATIENCE_S, "a breaker that heard")
    in_vain = len(system.openai.completions)
    system.openai.always(None)
    system.wait_for_end(*videos)

    assert_done_once(system, *videos)
    assert len(system.openai.completions) == in_vain + 2 * len(videos)
    assert all(system.row(video_id).retry <= 2 for video_id in videos), "an outage is not the videos' fault"


def test_a_database_that_is_away_while_a_transcript_is_made_costs_nothing(
    system: Trial, talk: bytes, database: tuple[str, Server]
) -> None:
    video_id = system.submit("talk", talk)
    system.wait_at(video_id, PipelineStep.TRANSCRIPT)
    worker = system.worker(video_id)
    database[1].kill()
    threading.Event().wait(DATABASE_OUTAGE_S)  # the outage itself
    assert system.get("/healthz").status_code == 200
    assert system.get("/readyz").status_code == 503
    database[1].start()

    assert system.row(video_id).pipeline_step is PipelineStep.TRANSCRIPT
    wait_for(lambda: system.lineage(video_id)[PipelineStep.TRANSCRIPT] == 1, PATIENCE_S, "a transcript")
    assert system.worker(video_id) == worker
    system.wait_for_end(video_id)
    assert system.attempts(video_id) == [("clips", "done", None)]
    assert_done_once(system, video_id)
    wait_for(lambda: system.get("/readyz").status_code == 200, PATIENCE_S, "readiness")


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[tuple[Server, dict[str, str], AwsAccess]]:
    """An S3 server of the test's own, to be killed; the variables that name it, and the same as settings."""
    folder = tmp_path / "swift"
    folder.mkdir()
    with swift_server(folder) as (server, front):
        server.create_bucket(S3_BUCKET)
        settings = AwsAccess(server.endpoint_url, server.region, server.access_key_id, server.secret_access_key)
        yield front, dict(server.environment()), settings


def test_while_the_store_is_away_a_transcript_is_kept_and_downloads_wait(
    tmp_path: Path, database: tuple[str, Server], s3: tuple[Server, dict[str, str], AwsAccess], talk: bytes
) -> None:
    front, variables, settings = s3
    # A sensor that asks a store which is away takes a while from its claim to its run; here nobody is lost.
    variables |= {"MADVISION_BREAKER_PAUSE_S": str(BREAKER_PAUSE_S), "MADVISION_LOST_AFTER_S": "60"}
    with trial(tmp_path / "home", database[0], variables, settings) as system:
        loading = [system.submit(f"loading-{n}", talk, seconds=25) for n in range(3)]
        for video_id in loading:
            system.wait_at(video_id, PipelineStep.RAW_VIDEO)
        heard = system.submit("heard", talk)
        system.wait_at(heard, PipelineStep.TRANSCRIPT)
        front.kill()
        wait_for(lambda: "store" in system.shut_breakers(), PATIENCE_S, "a breaker that spares the store")
        waits = wait_for(
            lambda: [v for v in loading if system.row(v).status is QueueStatus.WAITING],
            PATIENCE_S,
            "a video that waits",
        )
        assert system.status(waits[0])["failure_cause"] == "store_unavailable"
        assert system.get("/readyz").status_code == 503
        front.start()
        system.wait_for_end(heard, *loading)

        assert_done_once(system, heard, *loading)
        causes = {cause for video_id in (heard, *loading) for *_, cause in system.attempts(video_id)}
        assert causes == {"store_unavailable", None}
