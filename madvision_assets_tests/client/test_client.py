"""Claims about the client, with a real intake and with servers that are away, slow to take, or no MadVision."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from madvision_assets.client import (
    Client,
    MadVisionError,
    Problem,
    ProblemError,
    Receipt,
    StillUnderWayError,
    UnreachableError,
)
from madvision_assets.client import client as client_module
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import PrivateVideoError
from madvision_assets.domain.received import BLOCK_BYTES
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests import editing
from madvision_assets_tests.intake.sending import some_bytes
from madvision_assets_tests.intake.serving import serving
from madvision_assets_tests.intake.video_states import VideoStates
from madvision_assets_tests.site import Page, Site
from madvision_assets_tests.waiting import wait_for

LIMIT_S = 120.0
LATE_S = 30.0  # a busy machine is not so late
MOMENTS = (("The first of them", "it stands alone"), ("The second", "so does it"))


@dataclass(frozen=True)
class Served:
    """Videos that a test moves, the intake that tells of them, and a client of it."""

    states: VideoStates
    url: str
    client: Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    states = VideoStates(tmp_path_factory.mktemp("client"))
    with serving(states.services.settings) as intake:
        url = f"http://127.0.0.1:{intake.port}"
        with Client(url) as client:
            yield Served(states, url, client)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def address(name: str) -> str:
    return f"https://media.example.org/{name}.mp4"


def test_a_video_is_submitted_followed_and_its_files_are_taken(served: Served, tmp_path: Path) -> None:
    shown, lease = served.states.running(address("taken"), PipelineStep.CLIPS)
    receipt = served.client.submit(address("taken"), priority=-1, options=None)
    assert (receipt.video_id, receipt.callback_secret) == (shown.row.video_id, None)

    with ThreadPoolExecutor(2) as pool:
        followed = pool.submit(lambda: list(served.client.follow(receipt.token)))
        waited = pool.submit(served.client.wait, receipt.token, LIMIT_S)
        served.states.finish(lease, Outcome.CLIPS, moments=MOMENTS)
        last = followed.result(LIMIT_S)[-1]
        assert waited.result(LIMIT_S) == last

    assert (last.status, last.is_over, last.outcome) == ("done", True, "clips")
    film, captions, _ = served.states._media
    first, second = last.clips
    assert [clip.title for clip in last.clips] == [title for title, _ in MOMENTS]
    path = served.client.download(first, tmp_path / "new")
    assert (path.name, path.read_bytes()) == (f"{first.clip_id}.mp4", film.read_bytes())
    assert served.client.download(second, tmp_path, "captions").read_bytes() == captions.read_bytes()
    assert [each.name for each in tmp_path.rglob("*.part")] == []
    with pytest.raises(MadVisionError, match=r"no file 'vertical', but .*source"):
        served.client.download(first, tmp_path, "vertical")


def test_what_there_is_of_a_video_comes_as_values(served: Served, tmp_path: Path) -> None:
    receipt = served.client.submit(address("whole"))
    editing.published(served.states.services.store, receipt.video_id)
    for name in ("a.mp4", "a.flac"):
        served.states.services.store.put_bytes(f"media/{receipt.video_id}/{name}", b"1", media_type="video/mp4")

    clips = served.client.editable(receipt.token)
    assert clips.words[0].text == "The"
    tried = served.client.edit(receipt.token, clips.version, [{"change": "drop", "clip": 1}], dry_run=True)
    assert (len(clips.clips), len(tried.clips)) == (5, 4)
    edit = {"change": "retitle", "clip": 2, "title": "Another"}
    assert "Another" in {each.title for each in served.client.edit(receipt.token, clips.version, [edit]).clips}
    with pytest.raises(ProblemError) as outdated:
        served.client.edit(receipt.token, clips.version, [edit])
    assert outdated.value.code == "edit_outdated"

    assert "The first one" in served.client.transcript(receipt.token)
    assert served.client.transcript(receipt.token, "srt").startswith("1\n00:00:00,000 -->")
    assert b"OTIO_SCHEMA" in served.client.timeline(receipt.token)
    assert served.client.clip_file(receipt.token, f"{receipt.video_id}.01.facts.json").startswith(b"{")
    assert served.client.package(receipt.token, tmp_path / "all.zip").read_bytes().startswith(b"PK")


def test_videos_are_listed_by_the_hundred_searched_and_deleted(served: Served) -> None:
    shown, lease = served.states.running(address("listed"))
    served.states.named(lease, "A talk about bread")
    served.states.heard(lease, "The cat sat on the mat.")
    unknown = [f"unknown-{n}" for n in range(120)]

    listed = served.client.list_videos([*unknown, shown.token], status=["running"], title="bread")
    assert ([each.title for each in listed.videos], listed.unknown) == (["A talk about bread"], unknown)
    assert listed.videos[0].created_at.tzinfo is not None
    assert served.client.list_videos([shown.token], status=["done", "failed"]).videos == []
    [moment] = served.client.search([shown.token], '"cat sat"', limit=1).moments
    assert (moment.video_id, moment.clip) == (shown.row.video_id, None)

    deleted = served.client.delete(shown.token)
    assert (deleted.video_id, deleted.is_kept) == (shown.row.video_id, False)
    with pytest.raises(ProblemError) as gone:
        served.client.status(shown.token)
    assert (gone.value.code, gone.value.problem.status) == ("unknown_token", 404)
    with pytest.raises(ProblemError, match="No submission"):
        list(served.client.follow(shown.token))


def test_of_many_submissions_each_has_a_receipt_or_a_problem(served: Served) -> None:
    good, bad = served.client.submit_many([{"url": address("many")}, {"url": "http://127.0.0.1/x.mp4"}])

    assert isinstance(good, Receipt)
    assert isinstance(bad, Problem)
    assert bad.code == "refused_address"


def test_a_refusal_is_told_in_the_words_of_the_api(served: Served) -> None:
    with pytest.raises(ProblemError) as refused:
        served.client.submit("http://127.0.0.1/x.mp4")
    told = httpx.post(f"{served.url}/public/video", json={"url": "http://127.0.0.1/x.mp4"}, timeout=LIMIT_S).json()

    assert str(refused.value) == told["detail"]
    assert refused.value.problem.errors is not None
    assert [each.pointer for each in refused.value.problem.errors] == ["/url"]


def test_why_there_are_no_clips_is_told(served: Served) -> None:
    shown = served.states.failed(address("private"), PipelineStep.RAW_VIDEO, PrivateVideoError())

    status = served.client.wait(shown.token)
    assert (status.status, status.clips) == ("failed", [])
    assert status.sentence == PrivateVideoError.sentence


def test_a_wait_is_bounded_and_tells_where_it_stood(served: Served) -> None:
    shown = served.states.submitted(address("never"))

    with pytest.raises(StillUnderWayError, match="is still queued") as under_way:
        served.client.wait(shown.token, limit_s=0.2)
    assert under_way.value.status is not None
    assert under_way.value.status.video_id == shown.row.video_id


STATUS = "/public/video/status"


def test_a_wait_ends_by_its_limit_however_the_server_answers(served: Served, site: Site) -> None:
    site.fail(STATUS, 503, Retry_After="3")
    with Client(site.url("")) as client:
        began_s = time.monotonic()
        with pytest.raises(StillUnderWayError, match="503") as under_way:
            client.wait("t", limit_s=0.5)
        assert time.monotonic() - began_s < LATE_S
        assert (under_way.value.status, under_way.value.is_temporary) == (None, True)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        with Client(f"http://127.0.0.1:{silent.getsockname()[1]}") as client, pytest.raises(StillUnderWayError):
            client.wait("t", limit_s=0.5)
        assert time.monotonic() - began_s < 2 * LATE_S
    with pytest.raises(ProblemError) as unknown:
        served.client.wait("nobodys", limit_s=LIMIT_S)
    assert unknown.value.code == "unknown_token"


def test_a_wait_has_patience_up_to_its_limit(served: Served, site: Site) -> None:
    shown = served.states.failed(address("patient"), PipelineStep.RAW_VIDEO, PrivateVideoError())
    answer = httpx.get(f"{served.url}{STATUS}", headers={"Authorization": f"Bearer {shown.token}"})
    site.serve(STATUS, answer.content, content_type="application/json")
    site.fail_first(2, 503, path=STATUS, Retry_After="0")
    with Client(site.url(""), patience_s=0) as client:
        assert client.wait("t", limit_s=LIMIT_S).status == "failed"
        site.fail(STATUS, 503, Retry_After="0")
        with pytest.raises(ProblemError):
            client.wait("t")


def test_who_follows_asks_again_however_late_the_server_says(
    served: Served, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "USUAL_PAUSE_S", 0.05)
    waits = served.states.submitted(address("refused"))
    over = served.states.failed(address("over"), PipelineStep.RAW_VIDEO, PrivateVideoError())
    first, last = (
        httpx.get(f"{served.url}{STATUS}", headers={"Authorization": f"Bearer {each.token}"}).content
        for each in (waits, over)
    )
    events = "/video/t/events"
    site.fail(events, 429, Retry_After="60")
    site.serve(STATUS, first, content_type="application/json")
    with Client(site.url("")) as client, ThreadPoolExecutor(1) as pool:
        followed = pool.submit(lambda: list(client.follow("t")))
        try:
            wait_for(lambda: len(site.hits(events)) > 1, LATE_S)
        finally:
            site.serve(STATUS, last, content_type="application/json")
        assert [each.status for each in followed.result(LIMIT_S)] == ["failed"]


def test_a_file_is_sent_and_becomes_a_video(served: Served, tmp_path: Path) -> None:
    file, told = tmp_path / "Größe.mp4", list[tuple[int, int]]()
    file.write_bytes(some_bytes(1.5))

    receipt = served.client.upload(
        file, priority=-2, options={"max_clips": 3}, told=lambda sent, size: told.append((sent, size))
    )
    status = served.client.status(receipt.token)
    assert (status.priority, status.options["max_clips"]) == (-2, 3)
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
    file.write_bytes(b"")
    with pytest.raises(ProblemError, match="The file is empty"):
        served.client.upload(file)


def test_a_file_whose_connection_breaks_is_gone_on_with(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "broken.mp4"
    file.write_bytes(some_bytes(2.5))
    after_bytes = int(1.2 * BLOCK_BYTES)
    with cutting(httpx.URL(served.url).port or 0, after_bytes) as port, Client(f"http://127.0.0.1:{port}") as client:
        receipt = client.upload(file)

    assert served.client.status(receipt.token).status == "queued"


def test_what_says_when_to_ask_again_is_asked_again_and_not_for_longer_than_there_is_patience(
    served: Served, site: Site
) -> None:
    path = "/public/video/status"
    shown = served.states.submitted(address("busy"))
    answer = httpx.get(f"{served.url}{path}", headers={"Authorization": f"Bearer {shown.token}"}, timeout=LIMIT_S)
    site.serve(path, answer.content, content_type="application/json")
    site.fail_first(2, 503, path=path, Retry_After="0")
    with Client(site.url(""), patience_s=LIMIT_S) as client:
        assert client.status(shown.token).video_id == shown.row.video_id
        assert len(site.hits(path)) == 3

        site.fail(path, 429, Retry_After="3600")
        with pytest.raises(ProblemError, match="429") as refused:
            client.status(shown.token)
    assert (refused.value.retry_after_s, len(site.hits(path))) == (3600.0, 4)


def test_nobody_and_who_is_no_madvision_are_told_without_the_token(site: Site) -> None:
    site.serve("/public/video/status", b"<html>hello</html>")
    with Client(site.url("")) as client, pytest.raises(UnreachableError, match="does not answer as MadVision"):
        client.status("hide-me")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", patience_s=0) as client, pytest.raises(UnreachableError) as away:
        client.transcript("hide-me")
    assert str(away.value).startswith(f"127.0.0.1:{port} does not answer")
    assert "hide-me" not in str(away.value)


def test_a_file_that_breaks_off_is_not_there(site: Site, tmp_path: Path) -> None:
    site.add("/video/t/package.zip", Page(b"x" * 100_000, cut_after_bytes=50_000))
    with Client(site.url("")) as client, pytest.raises(UnreachableError):
        client.package("t", tmp_path / "all.zip")

    assert list(tmp_path.iterdir()) == []


@contextmanager
def cutting(port: int, after_bytes: int) -> Iterator[int]:
    """A way to a port that breaks the one connection on which that byte goes there; gives its own port."""
    left_bytes = after_bytes

    def there(near: socket.socket, far: socket.socket) -> None:
        nonlocal left_bytes
        with suppress(OSError):
            while piece := near.recv(65536):
                before, left_bytes = left_bytes, left_bytes - len(piece)
                far.sendall(piece)
                if before > 0 >= left_bytes:
                    break
        end(near, far)

    def back(near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while piece := far.recv(65536):
                near.sendall(piece)
        end(near)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for way in (there, back):
                    threading.Thread(target=way, args=(near, far), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


def end(*connections: socket.socket) -> None:
    for each in connections:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
