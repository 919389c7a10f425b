"""Claims about following a video: its state, its clips and their files."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from madvision_assets.domain.captions import vtt_of
from madvision_assets.domain.clips import Clip, Clips, FailedClip, Outcome, Role
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failure_records import to_text
from madvision_assets.domain.failures import (
    ApiKeyInvalidError,
    BotCheckError,
    ConnectionLostError,
    Failure,
    MediaToolError,
    NoAudioTrackError,
)
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake import status
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.stores import sealed

SRT = "1\n00:00:00,000 --> 00:00:01,500\nBread & <butter>\n\n2\n100:00:02,000 --> 100:00:03,250\nTwo\nlines\n\n"
FILM = bytes(range(256)) * 40
TITLE = 'Größe: "why" ../ it → matters'


def _begin(intake: Intake, url: str, step: PipelineStep = PipelineStep.RAW_VIDEO) -> tuple[Queue, str, str]:
    """Submit an address and begin a step of it; gives token and video ID."""
    receipt = intake.submit(url)
    queue = Queue(intake.services.database)
    queue.begin(receipt["video_id"], "run-1", None, step)
    return queue, receipt["token"], receipt["video_id"]


def _fail(intake: Intake, url: str, failure: Failure, step: PipelineStep = PipelineStep.RAW_VIDEO) -> dict[str, Any]:
    queue, token, video_id = _begin(intake, url, step)
    queue.fail(video_id, "run-1", None, step, failure)
    return intake.status(token)


def _put(store: ObjectStore, video_id: str, data: bytes, extension: str, media_type: str) -> ObjectRef:
    sha256 = hashlib.sha256(data).hexdigest()
    key = f"media/{video_id}/{sha256}.{extension}"
    store.put_bytes(key, data, media_type=media_type)
    return ObjectRef(key=key, sha256=sha256, size_bytes=len(data), media_type=media_type)


def _finish(intake: Intake, url: str, *failed: FailedClip, without: Mapping[str, str] | None = None) -> str:
    """Have a video done, with one clip, without these pictures, and these that failed; gives its token."""
    queue, token, video_id = _begin(intake, url, PipelineStep.CLIPS)
    store = intake.services.store
    clip = Clip(
        clip_id=f"{video_id}.01", rank=1, title=TITLE, reason="It stands alone.", score=0.9, start_s=10, end_s=30,
        duration_s=20.04, audio_video_offset_s=0, width=640, height=360, failed=without or {},
        files={
            role: _put(store, video_id, data, role.suffix, role.media_type)
            for role, data in ((Role.SOURCE, FILM), (Role.CAPTIONS, SRT.encode()), (Role.THUMBNAIL, b"\xff\xd8\xff"))
        },
    )  # fmt: skip
    made = sealed(Clips(video_id=video_id, outcome=Outcome.CLIPS, outcome_reason="found", clips=(clip,), failed=failed))
    write_document(store, made)
    point_current(store, made)
    queue.finish_step(video_id, "run-1", PipelineStep.CLIPS, ends=True, made=made)
    return token


@pytest.fixture(scope="module")
def done(intake: Intake) -> dict[str, Any]:
    return intake.status(_finish(intake, "https://media.example.org/done.mp4"))


def _states(told: dict[str, Any]) -> list[str]:
    return [step["status"] for step in told["steps"]]


# --- tokens ---


def test_a_token_is_taken_as_a_header_and_in_the_address(intake: Intake) -> None:
    token = intake.submit()["token"]

    in_address = intake.client.get("/public/video/status", params={"token": token}).json()

    assert in_address == intake.status(token)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}])
def test_without_a_token_the_way_to_give_it_is_told(intake: Intake, headers: dict[str, str]) -> None:
    answer = intake.client.get("/public/video/status", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "missing_token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "ü", "a" * 5000, "..%2f..%2fetc"])
def test_an_unknown_token_is_not_found_wherever_it_is_given(intake: Intake, token: str) -> None:
    in_address = intake.client.get(f"/public/video/status?token={token}")
    media = intake.client.get(f"/video/{token}/clips/x.01.mp4")

    assert (in_address.status_code, in_address.json()["code"]) == (404, "unknown_token")
    assert media.status_code == 404


# --- states ---


def test_a_running_video_shows_how_far_it_is(intake: Intake) -> None:
    queue, token, video_id = _begin(intake, "https://media.example.org/running.mp4", PipelineStep.TRANSCRIPT)
    lease = queue.begin(video_id, "run-1", None, PipelineStep.TRANSCRIPT)
    queue.report(lease, PipelineStep.TRANSCRIPT, 0.5, "3 of 6 minutes heard")

    told = intake.status(token)

    assert (told["status"], told["pipeline_step"], told["progress"]) == ("running", "transcript", 0.5)
    assert told["message"] == "3 of 6 minutes heard"
    assert _states(told) == ["done", "running", "pending", "pending", "pending"]
    assert told["next_attempt_at"] is None
    assert told["clips"] == []


def test_a_waiting_video_says_why_and_until_when(intake: Intake) -> None:
    told = _fail(intake, "https://waiting.example.org/a.mp4", ConnectionLostError("reset by peer"))

    assert (told["status"], told["retry"], told["failure_class"]) == ("waiting", 1, "transient")
    assert datetime.fromisoformat(told["next_attempt_at"]) > datetime.now(UTC)
    assert told["failure_details"].startswith(ConnectionLostError.sentence)
    assert "reset by peer" in told["failure_details"]
    assert _states(told)[0] == "waiting"


def test_a_video_whose_host_is_paused_waits_though_nothing_is_wrong_with_it(intake: Intake) -> None:
    _fail(intake, "https://paused.example.org/a.mp4", BotCheckError())
    other = intake.submit("https://paused.example.org/b.mp4")

    told = intake.status(other["token"])

    assert (told["status"], told["failure_cause"], told["retry"]) == ("waiting", "source_bot_check", 0)
    assert told["next_attempt_at"] is not None


def test_a_failed_video_says_what_to_do(intake: Intake) -> None:
    told = _fail(intake, "https://failed.example.org/a.mp4", NoAudioTrackError())

    assert (told["status"], told["failure_cause"], told["failure_class"]) == ("failed", "no_audio_track", "permanent")
    assert told["failure_details"] == NoAudioTrackError.sentence
    assert _states(told) == ["failed", "pending", "pending", "pending", "pending"]


def test_failures_name_nothing_of_ours(intake: Intake) -> None:
    ours = ApiKeyInvalidError("https://llm.internal/v1 rejected it")
    theirs = ConnectionLostError("https://x.example.org/a/b.mp4 broke off; see /var/lib/madvision/work/x.part")

    first = _fail(intake, "https://ours.example.org/", ours, PipelineStep.CONTENT_TYPE)
    second = _fail(intake, "https://theirs.example.org/", theirs)

    assert first["failure_details"] == ApiKeyInvalidError.sentence
    assert "/var/lib" not in second["failure_details"]
    assert "https://x.example.org/a/b.mp4" in second["failure_details"]


def test_a_local_file_is_shown_by_its_name_alone(intake: Intake) -> None:
    from madvision_assets.domain.video import Video
    from madvision_assets.tools.database.submissions import NewSubmission

    video = Video(video_id="file-0123456789abcdef", address="file:///home/somebody/talk.mp4")
    (receipt,) = intake.services.submissions.add([NewSubmission(video)])

    assert intake.status(receipt.token)["url"] == "talk.mp4"


# --- clips ---


def test_a_clip_that_failed_is_named_beside_the_others(intake: Intake) -> None:
    lost = FailedClip(rank=2, title="The accident", cause="corrupt_media", details="a group of pictures")
    token = _finish(intake, "https://media.example.org/lost.mp4", lost)

    told = intake.status(token)

    assert len(told["clips"]) == 1
    (failed,) = told["failed_clips"]
    assert (failed["rank"], failed["title"]) == (2, "The accident")
    assert "damaged" in failed["sentence"]
    page = intake.client.get(f"/video/{token}").text
    assert "One clip is ready" in page
    assert "No clip of “The accident”: " in page


def test_a_picture_that_could_not_be_made_is_named_with_its_clip(intake: Intake) -> None:
    why = to_text(MediaToolError("making a rendition took longer than 90 s"))
    token = _finish(
        intake, "https://media.example.org/lacking.mp4", without={"vertical": why, "vertical_captions": why}
    )

    told = intake.status(token)

    assert set(told["clips"][0]["failed"]) == {"vertical", "vertical_captions"}
    sentence = told["clips"][0]["failed"]["vertical"]
    assert sentence.startswith(MediaToolError.sentence)
    assert "media_tool_failed" not in sentence
    assert f"“{TITLE}” is without vertical, vertical captions: {sentence}" in unescape(
        intake.client.get(f"/video/{token}").text
    )


def test_a_finished_video_lists_its_clips_with_links_that_work(intake: Intake, done: dict[str, Any]) -> None:
    (clip,) = done["clips"]

    assert (done["status"], done["outcome"], done["progress"]) == ("done", "clips", 1.0)
    assert _states(done) == ["done"] * 5
    assert (clip["title"], clip["duration_s"], clip["width"]) == (TITLE, 20.04, 640)
    types = {
        name: intake.client.get(clip[name]).headers["content-type"].partition(";")[0]
        for name in ("url", "captions_url", "subtitles_url", "thumbnail_url")
    }
    assert types == {
        "url": "video/mp4",
        "captions_url": "application/x-subrip",
        "subtitles_url": "text/vtt",
        "thumbnail_url": "image/jpeg",
    }
    assert intake.client.get(clip["url"]).content == FILM


def test_any_part_of_a_clip_can_be_fetched(intake: Intake, done: dict[str, Any]) -> None:
    url = done["clips"][0]["url"]

    part = intake.client.get(url, headers={"Range": "bytes=100-199"})
    last = intake.client.get(url, headers={"Range": "bytes=-5"})
    beyond = intake.client.get(url, headers={"Range": "bytes=999999-"})
    nonsense = intake.client.get(url, headers={"Range": "bytes=5-2"})
    other_unit = intake.client.get(url, headers={"Range": "lines=1-2"})
    older = {"Range": "bytes=999999-", "If-Range": '"of-a-longer-one"'}
    changed = intake.client.get(url, headers=older)
    same = intake.client.get(url, headers={"Range": "bytes=-5", "If-Range": part.headers["etag"]})

    assert (part.status_code, part.content) == (206, FILM[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(FILM)}"
    assert last.content == FILM[-5:]
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(FILM)}"
    assert (nonsense.status_code, nonsense.json()["code"]) == (400, "invalid_range")
    assert (other_unit.status_code, other_unit.content) == (200, FILM)
    assert (changed.status_code, changed.content) == (200, FILM)
    assert (same.status_code, same.content) == (206, FILM[-5:])


@pytest.mark.parametrize("name", ["url", "captions_url", "subtitles_url", "thumbnail_url"])
def test_a_clip_that_the_client_has_is_not_sent_again(intake: Intake, done: dict[str, Any], name: str) -> None:
    url = done["clips"][0][name]
    head = intake.client.head(url)

    again = intake.client.get(url, headers={"If-None-Match": head.headers["etag"]})
    changed = intake.client.get(url, headers={"If-None-Match": '"other"'})

    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(changed.content)
    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200


@pytest.mark.parametrize("name", ["url", "subtitles_url"])
def test_a_download_has_a_readable_and_safe_name(intake: Intake, done: dict[str, Any], name: str) -> None:
    answer = intake.client.get(done["clips"][0][name], params={"download": "1"})

    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename")
    assert "filename*=UTF-8''01-gr%C3%B6%C3%9Fe-why-it" in disposition
    assert "/" not in disposition
    assert ".." not in disposition


@pytest.mark.parametrize(
    "name", ["x.01.mp4", "x.mp4", "mp4", "..%2f..%2fcurrent.json", "{id}.exe", "{id}.json", "{id}."]
)
def test_only_the_files_of_the_videos_own_clips_are_given(intake: Intake, done: dict[str, Any], name: str) -> None:
    base, _, file = done["clips"][0]["url"].rpartition("/")

    answer = intake.client.get(f"{base}/{name.replace('{id}', file.removesuffix('.mp4'))}")

    assert answer.status_code == 404
    assert answer.json()["code"] in {"unknown_clip", "not_found"}


def test_a_video_without_clips_has_no_files(intake: Intake) -> None:
    token = intake.submit("https://media.example.org/none.mp4")["token"]

    assert intake.client.get(f"/video/{token}/clips/x.01.mp4").json()["code"] == "unknown_clip"


def test_a_file_that_is_gone_from_the_store_is_not_found(intake: Intake) -> None:
    clip = intake.status(_finish(intake, "https://media.example.org/gone.mp4"))["clips"][0]
    video_id = clip["clip_id"].removesuffix(".01")
    intake.services.store.delete(intake.services.store.list_keys(f"media/{video_id}"))

    answers = [intake.client.get(clip[name]) for name in ("url", "captions_url")]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_a_store_that_is_away_leaves_the_status_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "STORE_LIMIT_S", 0.5)
    with serving(settings_in(tmp_path)) as intake:
        token = _finish(intake, "https://media.example.org/away.mp4")
        (tmp_path / "store").rename(tmp_path / "moved")
        (tmp_path / "store").write_text("in the way")

        told = intake.status(token)

    assert (told["status"], told["outcome"], told["clips"]) == ("done", "clips", [])
    assert told["message"] == status.CLIPS_AWAY


@pytest.fixture(scope="module")
def on_s3(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    s3_server.create_bucket("intake")
    settings = settings_in(
        tmp_path_factory.mktemp("s3"),
        store_url="s3://intake/clips",
        aws_endpoint_url=s3_server.endpoint_url,
        aws_region=s3_server.region,
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
    )
    with serving(settings) as running:
        yield running


def test_clips_on_s3_are_fetched_from_there_by_a_link_that_ends(on_s3: Intake) -> None:
    clip = on_s3.status(_finish(on_s3, "https://media.example.org/s3.mp4"))["clips"][0]

    answer = on_s3.client.get(clip["url"])

    assert answer.status_code == 307
    assert "Expires=3600" in urlsplit(answer.headers["location"]).query
    assert httpx.get(answer.headers["location"]).content == FILM
    assert on_s3.client.get(clip["subtitles_url"]).text == vtt_of(SRT)


def test_clips_on_s3_are_saved_under_their_name_and_can_be_asked_after(on_s3: Intake) -> None:
    url = on_s3.status(_finish(on_s3, "https://media.example.org/named.mp4"))["clips"][0]["url"]

    link = on_s3.client.get(url, params={"download": True}).headers["location"]
    saved = httpx.get(link)
    head = on_s3.client.head(url, params={"download": True})

    assert urlsplit(link)[:2] == urlsplit(on_s3.client.get(url).headers["location"])[:2]
    assert (saved.content, saved.headers["content-type"]) == (FILM, "video/mp4")
    assert saved.headers["content-disposition"] == head.headers["content-disposition"]
    assert "attachment; filename=" in saved.headers["content-disposition"]
    assert (head.status_code, head.headers["content-type"]) == (200, "video/mp4")
    assert (head.headers["content-length"], bool(head.headers["etag"])) == (str(len(FILM)), True)


# --- words ---


def test_subtitles_say_what_the_captions_say() -> None:
    assert vtt_of(SRT) == (
        "WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.500\nBread &amp; &lt;butter>\n\n"
        "2\n100:00:02.000 --> 100:00:03.250\nTwo\nlines\n"
    )
    assert vtt_of("") == "WEBVTT\n\n"
