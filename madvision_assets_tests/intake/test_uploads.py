"""Claims about files that are sent to the intake, by a client of the tus project, into a folder and into S3."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from madvision_assets.domain.failures import NotFoundError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.received import BLOCK_BYTES, ReceivedFile
from madvision_assets.domain.video import RawVideo, uncut_id
from madvision_assets.intake.uploads import Senders
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.tables import metadata, submissions
from madvision_assets.tools.database.uploads import REMEMBERED
from madvision_assets.tools.download import Downloader
from madvision_assets.tools.egress import EgressProxy
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.incoming import IncomingFiles
from madvision_assets.work.ingest import Ingest
from madvision_assets.work.sharing import Sharing
from madvision_assets.work.sweeping import UploadSweeper
from madvision_assets_tests import footage
from madvision_assets_tests.intake.sending import (
    VERSION,
    begin,
    change_row,
    half_sent,
    kept,
    offset_of,
    patched,
    receipt_of,
    some_bytes,
    status_in,
    uploader,
)
from madvision_assets_tests.intake.serving import Intake, postgres_database, serving, settings_in
from madvision_assets_tests.stores import s3_settings, s3_store
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

LIMIT_S = 60.0
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["SQLite and a folder", "PostgreSQL and S3"])
def intake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    """One that takes files."""
    folder = tmp_path_factory.mktemp("uploads")
    if request.param.startswith("SQLite"):
        with serving(settings_in(folder, uploads_per_client=100)) as running:
            yield running
        return
    server = request.getfixturevalue("s3_server")
    access = s3_settings(server)
    with postgres_database(request.getfixturevalue("postgres_url")) as url:
        settings = settings_in(
            folder,
            uploads_per_client=100,
            database_url=SecretStr(url),
            store_url=s3_store(server).url,
            aws_endpoint_url_s3=access.endpoint_url,
            aws_region=access.region,
            aws_access_key_id=access.access_key_id,
            aws_secret_access_key=SecretStr(access.secret_access_key or ""),
        )
        with serving(settings) as running:
            yield running


def sweep(intake: Intake) -> int:
    return UploadSweeper(intake.services.database, intake.services.store).sweep()


def ingest_of(intake: Intake) -> Ingest:
    downloader = Downloader(
        allow_private=False,
        max_height=1080,
        max_bytes=50_000_000,
        max_duration_s=600.0,
        time_limit_s=60.0,
        open_proxy=EgressProxy,
    )
    return Ingest(intake.services.store, downloader, 600.0, 50_000_000)


def test_a_file_that_was_sent_is_a_submission_with_all_that_was_asked(intake: Intake) -> None:
    asked = {
        "filename": "../my talk.mp4",
        "priority": "-3",
        "callback_url": "<https://hooks.example.org/done>",
        "options": json.dumps({"max_clips": 4}),
        "filetype": "video/mp4",
    }
    sent = uploader(intake, some_bytes(1.5), metadata=asked)
    sent.upload()

    receipt = receipt_of(sent)
    status = intake.status(receipt["token"])
    assert (status["video_id"], status["url"]) == (receipt["video-id"], "my talk.mp4")
    assert (status["status"], status["priority"], status["options"]["max_clips"]) == ("queued", -3, 4)
    assert len(receipt["callback-secret"]) == 43
    assert intake.client.get(receipt["page-url"]).status_code == 200
    assert intake.client.get(receipt["status-url"]).json() == status
    with intake.services.database.reading() as connection:
        kept = connection.execute(select(submissions.c.callback_url)).scalars().all()
    assert kept == ["https://hooks.example.org/done"]


def test_the_same_bytes_are_one_video_in_whatever_pieces_they_come(intake: Intake) -> None:
    data = some_bytes(2.3)
    receipts = []
    for size in (len(data), 1_000_000, BLOCK_BYTES, BLOCK_BYTES + 1):
        sent = uploader(intake, data, chunk_size=size)
        sent.upload()
        receipts.append(receipt_of(sent))
    other = uploader(intake, data[:-1] + b"?")
    other.upload()

    assert len({each["video-id"] for each in receipts}) == 1
    assert len({each["token"] for each in receipts}) == len(receipts)
    assert receipt_of(other)["video-id"] != receipts[0]["video-id"]


def test_what_came_before_the_connection_was_cut_is_not_sent_again(intake: Intake) -> None:
    data = some_bytes(2.5)
    path = begin(intake, len(data))
    cut_at = BLOCK_BYTES + 123_456
    with half_sent(intake, path, 0, len(data), data[:cut_at]):
        pass
    wait_for(lambda: offset_of(intake, path) == cut_at, LIMIT_S, "the first part is kept")

    sent = uploader(intake, data, url=f"http://127.0.0.1:{intake.port}{path}")
    assert sent.offset == cut_at
    sent.upload()

    again = uploader(intake, data)
    again.upload()
    assert receipt_of(sent)["video-id"] == receipt_of(again)["video-id"]


@pytest.mark.parametrize("again", [False, True], ids=["asks", "sends"])
def test_who_comes_back_after_a_cut_is_told_of_what_is_just_being_kept(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Else it is all sent again: the connection is gone before the store has what came by it."""
    data = some_bytes(0.5)
    path = begin(intake, len(data))
    keeps, asked = threading.Event(), threading.Event()
    put, settled = IncomingFiles.put, Senders.settled

    def put_once_asked(self: IncomingFiles, *block: Any) -> None:
        keeps.set()
        asked.wait(LIMIT_S)
        put(self, *block)

    async def settle(self: Senders, upload: str) -> None:
        asked.set()
        await settled(self, upload)

    monkeypatch.setattr(IncomingFiles, "put", put_once_asked)
    monkeypatch.setattr(Senders, "settled", settle)
    with half_sent(intake, path, 0, len(data), data[:123_456]):
        pass
    assert keeps.wait(LIMIT_S)

    # A browser tries again at once, where it began.
    assert patched(intake, path, 0, data).status_code == 409 if again else offset_of(intake, path) == 123_456


def test_who_lost_the_last_answer_asks_for_it_again(intake: Intake) -> None:
    data = some_bytes(0.01)
    path = begin(intake, len(data))
    assert "submission" not in intake.client.get(path).json()
    last = patched(intake, path, 0, data)

    head = intake.client.head(path, headers=VERSION)
    told = intake.client.get(path).json()

    assert head.headers["MadVision-Token"] == last.headers["MadVision-Token"] == told["submission"]["token"]
    assert (told["offset_bytes"], told["size_bytes"]) == (len(data), len(data))
    assert intake.status(told["submission"]["token"])["status"] == "queued"


def test_one_who_was_overtaken_changes_nothing(intake: Intake) -> None:
    data = some_bytes(1.2)
    path = begin(intake, len(data))
    with half_sent(intake, path, 0, len(data), b"x" * 1000) as first:
        wait_for(lambda: row_of(intake, path)["writer"] == 1, LIMIT_S, "the first has begun")
        assert patched(intake, path, 0, data[:2000]).status_code == 204
        first.sendall(b"x" * (len(data) - 1000))
        assert status_in(first) == 409
    assert patched(intake, path, 2000, data[2000:]).status_code == 204

    again = uploader(intake, data)
    again.upload()
    assert intake.client.get(path).json()["submission"]["video_id"] == receipt_of(again)["video-id"]


@pytest.mark.parametrize("asked", [{}, {"options": json.dumps({"max_clips": 4})}])
def test_raw_video_takes_the_very_bytes_over_and_the_store_has_them_once(
    intake: Intake, tmp_path: Path, asked: dict[str, str]
) -> None:
    film = footage.talking(tmp_path / "film.mp4", 5.0 + len(asked))  # other bytes, another video
    sent = uploader(intake, film.read_bytes(), chunk_size=100_000, metadata=asked)
    sent.upload()
    services, video_id = intake.services, receipt_of(sent)["video-id"]
    video = services.database.get_video(video_id)

    made = ingest_of(intake).take(video, tmp_path / "work", lambda *_: None).document

    assert made.media.sha256 == hashlib.sha256(film.read_bytes()).hexdigest()
    assert hashlib.sha256(services.store.get_bytes(made.media.key)).hexdigest() == made.media.sha256
    assert (made.source.title, made.source.extractor) == ("talk", "upload")
    publish(intake, made)
    place = ReceivedFile.of(video.address).place
    assert [key for key in kept(intake) if place in key]
    sweep(intake)
    assert [key for key in kept(intake) if place in key] == []
    assert intake.client.get(httpx_path(sent.url)).json()["submission"]["video_id"] == video_id

    again = ingest_of(intake).take(video, tmp_path / "again", lambda *_: None).document
    assert again.media == made.media

    other = uploader(intake, film.read_bytes(), metadata={"options": json.dumps({"max_clips": 2})})
    other.upload()
    other_id = receipt_of(other)["video-id"]
    assert (other_id != video_id, uncut_id(other_id)) == (True, uncut_id(video_id))
    assert intake.status(receipt_of(other)["token"])["options"]["max_clips"] == 2
    origin = read_current(services.store, RawVideo, video_id).origin
    shared = Sharing(services.store, services.database).find_download(other_id, origin.code_version)
    assert shared is not None
    assert (shared.document.media.sha256, shared.document.options.max_clips) == (made.media.sha256, 2)


def test_of_a_video_that_failed_the_file_is_kept_until_it_expires(intake: Intake, tmp_path: Path) -> None:
    sent = uploader(intake, some_bytes(0.01))
    sent.upload()
    path, video_id = httpx_path(sent.url), receipt_of(sent)["video-id"]
    video = intake.services.database.get_video(video_id)
    place = ReceivedFile.of(video.address).place

    change_row(intake, path, expires_at=LONG_AGO)
    sweep(intake)
    assert [key for key in kept(intake) if place in key], "it is still waited for"
    end_badly(intake, video_id)
    sweep(intake)

    assert [key for key in kept(intake) if place in key] == []
    with pytest.raises(NotFoundError, match="not kept any more"):
        ingest_of(intake).take(video, tmp_path / "work", lambda *_: None)


def test_an_unfinished_file_expires_and_leaves_nothing_behind(intake: Intake) -> None:
    before = kept(intake)
    data = some_bytes(1.5)
    size_bytes = len(data)
    path = begin(intake, size_bytes + 1)
    assert patched(intake, path, 0, data).status_code == 204
    sweep(intake)
    assert sum(kept(intake).values()) - sum(before.values()) == size_bytes

    change_row(intake, path, expires_at=datetime.now(UTC))
    assert intake.client.head(path, headers=VERSION).status_code == 410
    assert patched(intake, path, size_bytes, b"x").status_code == 410
    sweep(intake)
    assert kept(intake).keys() <= before.keys()
    assert intake.client.head(path, headers=VERSION).status_code == 410
    change_row(intake, path, expires_at=datetime.now(UTC) - REMEMBERED - timedelta(seconds=1))
    sweep(intake)

    assert intake.client.head(path, headers=VERSION).status_code == 404


def test_a_file_that_is_given_up_is_deleted_at_once(intake: Intake) -> None:
    before = kept(intake)
    path = begin(intake, 3 * BLOCK_BYTES)
    with half_sent(intake, path, 0, 3 * BLOCK_BYTES, some_bytes(1.5)) as sending:
        wait_for(lambda: offset_of(intake, path) == BLOCK_BYTES, LIMIT_S, "a block is kept")
        assert intake.client.delete(path, headers=VERSION).status_code == 204
        sending.sendall(some_bytes(1.5))
        assert status_in(sending) == 409

    assert kept(intake).keys() <= before.keys()
    assert intake.client.head(path, headers=VERSION).status_code == 410
    assert intake.client.delete(path, headers=VERSION).status_code == 410


def test_many_small_pieces_leave_no_more_in_the_store_than_came(intake: Intake) -> None:
    before = sum(kept(intake).values())
    data = some_bytes(1.1)
    path = begin(intake, len(data))
    for start in range(0, len(data), 300_000):
        patched(intake, path, start, data[start : start + 300_000])

    size_bytes = len(data)  # pytest would spell the bytes out
    assert offset_of(intake, path) == size_bytes
    assert sum(kept(intake).values()) - before == size_bytes


def test_forgetting_a_video_deletes_the_file_that_was_sent(intake: Intake, tmp_path: Path) -> None:
    from madvision_assets.work.forgetting import find, forget
    from madvision_assets_tests.work.test_forgetting import Partitions

    sent = uploader(intake, some_bytes(1.1))
    sent.upload()
    services, video_id = intake.services, receipt_of(sent)["video-id"]
    place = ReceivedFile.of(services.database.get_video(video_id).address).place

    found = find(services.database, services.store, [video_id])
    (done,) = forget(services.database, services.store, tmp_path, Partitions(), [video_id])

    assert (found.objects, done.objects) == (2, 2)
    assert [key for key in kept(intake) if place in key] == []
    assert intake.client.head(httpx_path(sent.url), headers=VERSION).status_code == 404


def test_no_secret_is_kept(intake: Intake, capfd: pytest.CaptureFixture[str]) -> None:
    data = os.urandom(1000)
    path = begin(intake, len(data))
    token = patched(intake, path, 0, data).headers["MadVision-Token"]
    secret = path.rpartition("/")[2]

    rows = []
    with intake.services.database.reading() as connection:
        for table in metadata.sorted_tables:
            rows += [repr(row) for row in connection.execute(select(table))]
    said = "".join(capfd.readouterr())

    assert len(secret) == 43
    assert [row for row in rows if secret in row or token in row] == []
    assert [key for key in kept(intake) if secret in key or token in key] == []
    assert secret not in said
    assert token not in said


def httpx_path(url: str | None) -> str:
    return "/public/upload/" + str(url).rpartition("/")[2]


def row_of(intake: Intake, path: str) -> dict[str, object]:
    from madvision_assets.intake.uploads.receiving import Receiver

    return Receiver(intake.services).find(path.rpartition("/")[2]).model_dump()


def publish(intake: Intake, made: RawVideo) -> None:
    """The stage is done."""
    from madvision_assets.tools.store.documents import point_current, write_document
    from madvision_assets_tests.stores import sealed

    document = sealed(made)
    queue = Queue(intake.services.database)
    queue.claim_due(1000)
    row = queue.get(made.video_id)
    assert row is not None
    queue.begin(row.video_id, document.origin.run_id, row.attempt, row.pipeline_step)
    write_document(intake.services.store, document)
    point_current(intake.services.store, document)
    intake.services.database.add_lineage(document, "memory://")


def end_badly(intake: Intake, video_id: str) -> None:
    """It fails for good."""
    queue = Queue(intake.services.database)
    queue.claim_due(1000)
    row = queue.get(video_id)
    assert row is not None
    lease = queue.begin(video_id, "run", row.attempt, row.pipeline_step)
    queue.fail(video_id, "run", lease.attempt, row.pipeline_step, NotFoundError("gone"))
    assert queue.get(video_id).status is QueueStatus.FAILED  # type: ignore[union-attr]
