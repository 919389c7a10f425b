"""Claims about the place in the queue and the time that is left, as the API and the page tell them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.estimates import ENOUGH
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.tools.database.queue import utc_now
from madvision_assets.tools.database.statements import Told, insert_lineage
from madvision_assets_tests import stores
from madvision_assets_tests.intake.video_states import Shown, VideoStates, served


@pytest.fixture
def states(tmp_path: Path) -> VideoStates:
    return VideoStates(tmp_path)


@pytest.fixture
def client(states: VideoStates) -> Iterator[httpx.Client]:
    with served(make_app(states.services)) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


def status(client: httpx.Client, shown: Shown) -> dict[str, object]:
    """What the API tells."""
    return dict(client.get("/public/video/status", params={"token": shown.token}).json())


def measure(states: VideoStates, videos: int) -> None:
    """So many videos of ten minutes were done, each step of which took a minute."""
    made = stores.raw_video().origin.model_copy(update={"created_at": utc_now(), "wall_s": 60.0})
    database = states.services.database
    for n in range(videos):
        database.add_video(f"web-measured{n}", "https://example.org/")
        with database.writing() as connection:
            for step in PipelineStep:
                summary = {"duration_s": 600.0} if step is PipelineStep.RAW_VIDEO else None
                mine = made.model_copy(update={"asset": step.value, "run_id": f"run-{n}"})
                told = Told(f"web-measured{n}", mine, "file:///x", summary)
                connection.execute(insert_lineage(told, sqlite=True))


def test_a_queued_video_has_a_place_and_no_time_before_enough_was_measured(
    client: httpx.Client, states: VideoStates
) -> None:
    first, second = (states.submitted(f"https://example.org/{n}.mp4") for n in range(2))
    measure(states, ENOUGH - 1)

    told = [status(client, each) for each in (first, second)]

    assert [each["queue_place"] for each in told] == [1, 2]
    assert [each["estimate"] for each in told] == ["It is next in the queue.", "It is number 2 in the queue."]
    assert [each["remaining_s"] for each in told] == [None, None]
    assert "It is number 2 in the queue." in client.get(second.path).text


def test_a_time_is_told_as_measured_once_there_is_enough(client: httpx.Client, states: VideoStates) -> None:
    measure(states, ENOUGH)
    running, lease = states.running("https://example.org/running.mp4", PipelineStep.RAW_VIDEO)
    states.named(lease, "Twenty minutes", duration_s=1200)
    states.queue.begin(lease.video_id, lease.run_id, lease.attempt, PipelineStep.CLIPS)
    states.queue.report(lease, PipelineStep.CLIPS, 0.5, "half of it")
    queued = states.submitted("https://example.org/queued.mp4")

    at_work, waits = status(client, running), status(client, queued)

    assert (at_work["queue_place"], at_work["remaining_s"]) == (None, {"low_s": 60.0, "high_s": 60.0})
    assert at_work["estimate"] == "Going by other videos, it is ready in about 1 minute."
    # One of five minutes before it, and then as long again.
    assert waits["estimate"] == "It is next in the queue. Going by other videos, it is ready in about 10 minutes."
    assert waits["estimate"] in client.get(queued.path).text


def test_a_video_that_is_done_has_neither_place_nor_time(client: httpx.Client, states: VideoStates) -> None:
    measure(states, ENOUGH)
    shown = states.done("https://example.org/done.mp4", Outcome.NO_SPEECH)

    told = status(client, shown)

    assert (told["queue_place"], told["remaining_s"], told["estimate"]) == (None, None, "")
