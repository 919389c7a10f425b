"""Claims about the list of the videos of some tokens, over HTTP."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import event

from madvision_assets.domain import failures
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.intake.tokens import MAX_TOKENS, TOKENS_HEADER
from madvision_assets_tests.intake.video_states import Shown, VideoStates, served

MOMENTS = (("A claim", "It stands alone."), ("Another", "So does this."))
HOSTILE = 'Die Straße "\u202eevil\u202c" <b>\n🎬 ' + "x" * 500


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    return VideoStates(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def client(states: VideoStates) -> Iterator[httpx.Client]:
    with served(make_app(states.services)) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


@pytest.fixture(scope="module")
def three(states: VideoStates) -> tuple[Shown, Shown, Shown]:
    """One that is done, one that failed, and one in the queue."""
    done, lease = states.running("https://talks.example.org/done.mp4", PipelineStep.CLIPS)
    states.named(lease, HOSTILE, duration_s=90)
    states.finish(lease, Outcome.CLIPS, moments=MOMENTS)
    failed = states.failed("https://gone.example.org/x.mp4", PipelineStep.RAW_VIDEO, failures.NotFoundError())
    return done, failed, states.submitted("https://talks.example.org/queued.mp4")


def test_the_videos_of_many_tokens_are_told_in_their_order(
    client: httpx.Client, three: tuple[Shown, Shown, Shown]
) -> None:
    answer = client.get("/public/videos", params={"token": [each.token for each in three]})

    assert answer.status_code == 200
    assert answer.json()["unknown"] == []
    done, failed, queued = answer.json()["videos"]
    assert [each["in_short"] for each in (done, failed, queued)] == [
        "2 clips are ready",
        "This did not work",
        "In the queue",
    ]
    assert (done["token"], done["video_id"]) == (three[0].token, three[0].row.video_id)
    assert done["title"].startswith("Die Straße")
    assert "\n" not in done["title"]
    assert (done["host"], done["duration_s"], done["clips"]) == ("talks.example.org", 90, 2)
    assert (queued["title"], queued["duration_s"], queued["thumbnail_url"]) == (None, None, None)
    assert client.get(done["thumbnail_url"]).headers["content-type"] == "image/jpeg"
    assert client.get(done["page_url"]).status_code == 200


def test_tokens_in_a_header_stand_in_no_address(client: httpx.Client, three: tuple[Shown, Shown, Shown]) -> None:
    listed = ", ".join(each.token for each in three)

    answer = client.get("/public/videos", headers={TOKENS_HEADER: listed})

    assert [each["token"] for each in answer.json()["videos"]] == [each.token for each in three]


def test_unknown_tokens_are_told_and_fail_none_of_the_others(
    client: httpx.Client, three: tuple[Shown, Shown, Shown]
) -> None:
    tokens = ["no such token", three[2].token, "ü" * 3, three[2].token]

    answer = client.get("/public/videos", params={"token": tokens})

    assert answer.status_code == 200
    assert [each["token"] for each in answer.json()["videos"]] == [three[2].token]
    assert answer.json()["unknown"] == ["no such token", "üüü"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"status": "done"}, [0]),
        ({"status": ["failed", "queued"]}, [1, 2]),
        ({"host": "Talks.example.ORG"}, [0, 2]),
        ({"host": "example.org"}, []),
        ({"title": "die STRASSE"}, [0]),
        ({"title": "strasse  die"}, [0]),
        ({"title": "strasse elsewhere"}, []),
        ({"host": "talks.example.org", "status": "queued"}, [2]),
    ],
)
def test_a_list_is_narrowed_by_state_host_and_title(
    client: httpx.Client, three: tuple[Shown, Shown, Shown], asked: dict[str, str], found: list[int]
) -> None:
    tokens = [each.token for each in three]

    answer = client.get("/public/videos", params={"token": tokens, **asked})

    assert [tokens.index(each["token"]) for each in answer.json()["videos"]] == found
    assert answer.json()["unknown"] == []


def test_without_a_token_or_with_too_many_nothing_is_listed(client: httpx.Client) -> None:
    none = client.get("/public/videos")
    many = client.get("/public/videos", headers={TOKENS_HEADER: ",".join(str(n) for n in range(MAX_TOKENS + 1))})
    enough = client.get("/public/videos", headers={TOKENS_HEADER: ",".join(str(n) for n in range(MAX_TOKENS))})

    assert (none.status_code, none.json()["code"]) == (401, "missing_token")
    assert (many.status_code, many.json()["code"]) == (422, "invalid_request")
    assert "At most 100 tokens" in many.json()["detail"]
    assert len(enough.json()["unknown"]) == MAX_TOKENS


def test_a_list_takes_two_statements_however_long_it_is(
    client: httpx.Client, states: VideoStates, three: tuple[Shown, Shown, Shown]
) -> None:
    asked: list[str] = []
    engine = states.services.database.engine
    event.listen(engine, "before_cursor_execute", note := lambda *told: asked.append(told[2]))
    try:
        client.get("/public/videos", params={"token": [each.token for each in three]})
    finally:
        event.remove(engine, "before_cursor_execute", note)

    assert len([each for each in asked if each.startswith("SELECT")]) == 2
