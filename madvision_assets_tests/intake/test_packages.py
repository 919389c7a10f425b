"""Claims about the package of a video: one ZIP of all its files, sent while it is read, and timelines by themselves."""

import hashlib
import io
import os
import re
import secrets
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import opentimelineio as otio
import pytest

from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.edit_list import EditForm
from madvision_assets.domain.sidecars import Sidecar
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets.work.package import Package
from madvision_assets_tests import editing
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.intake.video_states import wait_until
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.stores import sealed

LARGE_BYTES = 200 * 1024 * 1024


def finish(intake: Intake, url: str, clips: Clips | None = None) -> tuple[str, str]:
    """Have a video done; gives its token and its ID."""
    receipt = intake.submit(url)
    token, video_id = receipt["token"], receipt["video_id"]
    queue = Queue(intake.services.database)
    queue.claim_due(1000)
    row = queue.get(video_id)
    assert row is not None
    queue.begin(video_id, "run-1", row.attempt, PipelineStep.CLIPS)
    made = editing.published(intake.services.store, video_id)
    if clips is not None:
        made = sealed(clips.model_copy(update={"video_id": video_id}))
        write_document(intake.services.store, made)
        point_current(intake.services.store, made)
    queue.finish_step(video_id, "run-1", PipelineStep.CLIPS, ends=True, made=made)
    return token, video_id


@pytest.fixture(scope="module")
def done(intake: Intake) -> tuple[str, str]:
    return finish(intake, "https://media.example.org/package.mp4")


def test_the_zip_holds_every_file_as_it_is_handed_out_singly(intake: Intake, done: tuple[str, str]) -> None:
    token, video_id = done
    status = intake.status(token)

    answer = intake.client.get(status["package_url"])

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{video_id}.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
        assert zipped.testzip() is None
        names = zipped.namelist()
        held = {zipped.read(name) for name in names}
    assert len(names) == len(set(names)) == 5 * 8 + len(EditForm)
    assert {name.partition("/")[0] for name in names} == {video_id}
    links = [url for clip in status["clips"] for url in clip["files"].values()] + list(status["timeline_urls"].values())
    assert {intake.client.get(url).content for url in links} == held


def test_every_file_of_a_clip_is_linked_by_its_role(intake: Intake, done: tuple[str, str]) -> None:
    clip = intake.status(done[0])["clips"][0]

    assert set(clip["files"]) == {"source", "captions", "thumbnail", "tall_captions", *Sidecar}
    types = {role: intake.client.get(url).headers["content-type"] for role, url in clip["files"].items()}
    assert types == {
        "source": "video/mp4",
        "captions": "application/x-subrip; charset=utf-8",
        "thumbnail": "image/jpeg",
        "tall_captions": "video/mp4",
        "subtitles": "text/vtt; charset=utf-8",
        "styled_subtitles": "text/x-ssa; charset=utf-8",
        "words": "application/json",
        "facts": "application/json",
    }
    assert (clip["url"], clip["subtitles_url"]) == (clip["files"]["source"], clip["files"]["subtitles"])


def test_the_page_leads_to_all_of_it(intake: Intake, done: tuple[str, str]) -> None:
    token, _ = done
    status = intake.status(token)

    page = intake.client.get(f"/video/{token}").text

    links = set(re.findall(rf'href="(/video/{token}/[^"?]+)', page))
    wanted = {status["package_url"], *status["timeline_urls"].values()}
    wanted |= {url for clip in status["clips"] for url in clip["files"].values()}
    assert links >= {urlsplit(url).path for url in wanted}
    assert {intake.client.head(link).status_code for link in links if "transcript" not in link} == {200}
    assert "Tall captions" in page  # a role that this version has no name for
    assert "Captions, word by word (ASS)" in page


def test_its_size_is_known_before_it_is_sent(intake: Intake, done: tuple[str, str]) -> None:
    url = f"/video/{done[0]}/package.zip"

    head, whole = intake.client.head(url), intake.client.get(url)

    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(whole.content)
    assert head.headers["etag"] == whole.headers["etag"]
    again = intake.client.get(url, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("form", list(EditForm))
def test_a_timeline_is_a_download_of_its_own(intake: Intake, done: tuple[str, str], form: EditForm) -> None:
    token, video_id = done
    url = intake.status(token)["timeline_urls"][form]

    answer = intake.client.get(url)

    assert answer.headers["content-type"] == form.media_type
    assert f'filename="{video_id}.{form}"' in answer.headers["content-disposition"]
    assert intake.client.head(url).headers["content-length"] == str(len(answer.content))
    assert intake.client.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    if form is EditForm.OTIO:
        assert len(list(otio.adapters.read_from_string(answer.text, "otio_json").find_clips())) == 10


def test_there_is_no_package_before_there_are_clips(intake: Intake) -> None:
    running = intake.submit("https://media.example.org/early.mp4")["token"]
    nothing = Clips(video_id="x", outcome=Outcome.NO_SPEECH, outcome_reason="Nobody speaks in this video.")
    silent, _ = finish(intake, "https://media.example.org/silent.mp4", nothing)

    for token, detail in ((running, "Nothing is cut of it yet"), (silent, "Nobody speaks")):
        for name in ("package.zip", "timeline.edl"):
            answer = intake.client.get(f"/video/{token}/{name}")
            assert (answer.status_code, answer.json()["code"]) == (404, "no_clips")
            assert detail in answer.json()["detail"]
        assert (intake.status(token)["package_url"], intake.status(token)["timeline_urls"]) == (None, {})
    assert intake.client.get("/video/nobody/package.zip").json()["code"] == "unknown_token"
    assert intake.client.get(f"/video/{silent}/timeline.doc").json()["code"] == "invalid_request"


def test_a_file_that_is_gone_is_told_before_anything_is_sent(intake: Intake) -> None:
    token, video_id = finish(intake, "https://media.example.org/gone-package.mp4")
    store = intake.services.store
    store.delete([next(key for key in store.list_keys(f"media/{video_id}") if key.endswith(".jpg"))])

    answer = intake.client.get(f"/video/{token}/package.zip")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# --- a large one ---


@pytest.fixture
def large(intake: Intake) -> tuple[str, Path]:
    """A video with one clip of 200 MB, which takes no room on the disk; its token, and the file."""
    token, video_id = finish(intake, f"https://media.example.org/{secrets.token_hex(4)}.mp4")
    store = intake.services.store
    package = Package.read(store, video_id)
    digest = hashlib.sha256(b"").hexdigest()
    ref = ObjectRef(key=f"media/{video_id}/{digest}.mp4", sha256=digest, size_bytes=LARGE_BYTES, media_type="video/mp4")
    path = store.local_path(ref.key)
    assert path is not None
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)
    clip = package.clips.clips[0].model_copy(update={"files": {"source": ref}})
    made = sealed(package.clips.model_copy(update={"clips": (clip,), "provenance": None}))
    write_document(store, made)
    point_current(store, made)
    return token, path


def read_positions(path: Path) -> list[int]:
    """How far each open file of this process that is ``path`` was read."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            if fd.readlink() == path:
                found.append(int(Path(f"/proc/self/fdinfo/{fd.name}").read_text().split()[1]))
        except FileNotFoundError:
            continue
    return found


def test_it_is_read_no_faster_than_it_is_taken_and_a_cut_connection_leaves_nothing(
    intake: Intake, large: tuple[str, Path]
) -> None:
    token, path = large
    with socket.create_connection(("127.0.0.1", intake.port)) as client:
        client.sendall(f"GET /video/{token}/package.zip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        wait_until(lambda: bool(read_positions(path)))
        held = -1
        while (now := max(read_positions(path))) != held:  # until nothing moves any more
            held = now
            assert {intake.client.get("/healthz").status_code for _ in range(20)} == {200}  # it has time for others
        assert 0 < held < LARGE_BYTES / 10
    wait_until(lambda: not read_positions(path))


def test_a_file_that_turns_out_short_breaks_off_rather_than_look_whole(intake: Intake, large: tuple[str, Path]) -> None:
    token, path = large
    with intake.client.stream("GET", f"/video/{token}/package.zip") as answer:
        chunks = answer.iter_raw()
        next(chunks)
        os.truncate(path, LARGE_BYTES // 4)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in chunks:
                pass
    assert read_positions(path) == []


@pytest.fixture(scope="module")
def on_s3(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    s3_server.create_bucket("packages")
    settings = settings_in(
        tmp_path_factory.mktemp("s3"),
        store_url="s3://packages/clips",
        aws_endpoint_url=s3_server.endpoint_url,
        aws_region=s3_server.region,
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
    )
    with serving(settings) as running:
        yield running


@pytest.mark.whole
def test_it_comes_out_of_s3_too(on_s3: Intake) -> None:
    token, _ = finish(on_s3, "https://media.example.org/s3-package.mp4")

    answer: Any = on_s3.client.get(f"/video/{token}/package.zip")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
        assert zipped.testzip() is None
        assert len(zipped.namelist()) == 5 * 8 + len(EditForm)
