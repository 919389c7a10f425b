"""Claims about the bounds of files that are sent: what is refused, before a byte is taken where that can be."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.domain.received import BLOCK_BYTES
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.uploads import pace, receiving
from madvision_assets_tests.intake.sending import (
    PATCH,
    UPLOAD,
    VERSION,
    asked_for,
    begin,
    half_sent,
    kept,
    offset_of,
    patched,
    some_bytes,
    status_in,
)
from madvision_assets_tests.intake.serving import Intake, serving, settings_in
from madvision_assets_tests.waiting import wait_for

LIMIT_S = 60.0
MAX_BYTES = 10 * BLOCK_BYTES


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with serving(
        settings_in(tmp_path_factory.mktemp("bounds"), max_bytes=MAX_BYTES, uploads_per_client=100)
    ) as running:
        yield running


def code_of(answer: Any) -> tuple[int, str]:
    """Status and code of a problem, which says something to a person."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert " " in problem["detail"]
    return answer.status_code, problem["code"]


def test_what_is_spoken_is_told(intake: Intake) -> None:
    answer = intake.client.options(UPLOAD)

    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == str(MAX_BYTES)
    assert set(answer.headers["Tus-Extension"].split(",")) == {"creation", "expiration", "termination"}


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Upload-Length": str(MAX_BYTES + 1)}, (413, "file_too_large")),
        ({"Upload-Length": "0"}, (422, "invalid_request")),
        ({"Upload-Length": "-1"}, (422, "invalid_request")),
        ({"Upload-Length": "9" * 30}, (422, "invalid_request")),
        ({}, (422, "invalid_request")),
        ({"Upload-Length": "9", "Tus-Resumable": "0.2.0"}, (412, "tus_version")),
        ({"Upload-Length": "9", "Upload-Metadata": "filename ///"}, (422, "invalid_request")),
        ({"Upload-Length": "9", "Upload-Metadata": "priority MQ=="}, (422, "invalid_request")),  # 1
        ({"Upload-Length": "9", "Upload-Metadata": "options W10="}, (422, "invalid_request")),  # []
        ({"Upload-Length": "9", "Upload-Metadata": "options ew=="}, (422, "invalid_request")),  # {
        (
            {"Upload-Length": "9", "Upload-Metadata": "callback_url aHR0cDovLzEyNy4wLjAuMS8="},  # http://127.0.0.1/
            (422, "refused_address"),
        ),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_sent(
    intake: Intake, headers: dict[str, str], refused: tuple[int, str]
) -> None:
    assert code_of(intake.client.post(UPLOAD, headers={**VERSION, **headers})) == refused


def test_bytes_at_another_offset_are_refused_and_the_right_one_is_told(intake: Intake) -> None:
    path = begin(intake, 1000)
    patched(intake, path, 0, b"x" * 100)

    answer = patched(intake, path, 99, b"x" * 901)

    assert code_of(answer) == (409, "upload_offset")
    assert answer.headers["Upload-Offset"] == "100"
    assert offset_of(intake, path) == 100


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Content-Type": "video/mp4"}, (415, "unsupported_media_type")),
        ({"Upload-Offset": "x"}, (422, "invalid_request")),
        ({"Tus-Resumable": "2.0.0"}, (412, "tus_version")),
        ({"Content-Length": "1001"}, (413, "body_too_large")),
    ],
)
def test_a_request_that_is_none_brings_nothing(
    intake: Intake, headers: dict[str, str], refused: tuple[int, str]
) -> None:
    path = begin(intake, 1000)
    length = int(headers.pop("Content-Length", "10"))

    assert code_of(patched(intake, path, 0, b"x" * length, **headers)) == refused
    assert offset_of(intake, path) == 0


def test_a_body_of_untold_length_ends_where_the_file_does(intake: Intake) -> None:
    path = begin(intake, 1000)

    answer = intake.client.patch(path, content=iter([b"x" * 900, b"x" * 101]), headers={**PATCH, "Upload-Offset": "0"})

    assert code_of(answer) == (413, "body_too_large")
    assert offset_of(intake, path) in {0, 900}  # the piece that goes too far is dropped whole


@pytest.mark.parametrize("method", ["HEAD", "GET", "PATCH", "DELETE"])
def test_nobody_finds_an_upload_without_its_address(intake: Intake, method: str) -> None:
    path = begin(intake, 1000)
    headers = {**PATCH, "Upload-Offset": "0"}

    answer = intake.client.request(method, path[:-1] + ("A" if path[-1] != "A" else "B"), headers=headers)

    assert answer.status_code == 404
    assert method == "HEAD" or code_of(answer) == (404, "unknown_upload")


def test_a_refused_body_is_not_listened_to_for_ever(intake: Intake) -> None:
    with half_sent(intake, f"{UPLOAD}/unknown", 0, 10**15, b"x") as connection:
        assert status_in(connection) == 404
        with pytest.raises(OSError):  # noqa: PT011, PT012 - reset, or a broken pipe
            for _ in range(10_000):
                connection.sendall(b"x" * 65536)


def test_nobody_submits_the_place_of_a_file(intake: Intake) -> None:
    answer = intake.client.post("/public/video", json={"url": f"received://{'0' * 32}/a.mp4?size=1"})

    assert code_of(answer) == (422, "invalid_address")


def test_the_method_may_be_named_in_a_header(intake: Intake) -> None:
    path = begin(intake, 10)
    headers = {**PATCH, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

    assert intake.client.post(path, content=b"0123456789", headers=headers).status_code == 204
    assert offset_of(intake, path) == 10


def test_a_whole_file_is_not_given_up(intake: Intake) -> None:
    path = begin(intake, 10)
    patched(intake, path, 0, b"0123456789")

    refused = intake.client.delete(path, headers=VERSION)
    assert code_of(refused) == (409, "upload_finished")
    assert "DELETE /public/video" in refused.json()["detail"]
    assert kept(intake)


def test_a_client_has_so_many_unfinished_files(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, uploads_per_client=2)) as intake:
        first, _ = begin(intake, 10), begin(intake, 10)
        refused = asked_for(intake, 10)
        patched(intake, first, 0, b"0123456789")

        assert code_of(refused) == (429, "too_many_uploads")
        assert "Retry-After" in refused.headers
        assert asked_for(intake, 10).status_code == 201


def test_where_no_files_are_taken_that_is_told(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, uploads_per_client=0)) as intake:
        assert code_of(asked_for(intake, 10)) == (403, "uploads_off")
        assert 'type="file"' not in intake.client.get("/").text


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({"upload_bytes_per_client": 2 * BLOCK_BYTES}, (429, "upload_quota")),
        ({"upload_bytes": 2 * BLOCK_BYTES}, (503, "uploads_full")),
    ],
)
def test_files_that_are_not_taken_over_have_so_much_room(
    tmp_path: Path, limits: dict[str, int], refused: tuple[int, str]
) -> None:
    with serving(settings_in(tmp_path, **limits)) as intake:
        data = some_bytes(1.5)
        first, second = begin(intake, len(data)), begin(intake, len(data))
        assert patched(intake, first, 0, data).status_code == 204

        answer = patched(intake, second, 0, data)

        assert code_of(answer) == refused
        assert "Retry-After" in answer.headers
        assert sum(kept(intake).values()) <= 2 * BLOCK_BYTES
        # What can be taken goes on where it stopped, once there is room.
        offset_bytes = offset_of(intake, second)
        intake.client.delete(first, headers=VERSION)
        with intake.services.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM uploads WHERE video_id IS NOT NULL")
        assert patched(intake, second, offset_bytes, data[offset_bytes:]).status_code == 204


def test_one_who_sends_too_slowly_is_cut_off_and_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "PATIENCE_S", 0.5)
    with serving(settings_in(tmp_path, upload_min_bytes_per_s=100_000)) as intake:
        path = begin(intake, 1000)
        with half_sent(intake, path, 0, 1000, b"x" * 10) as connection:
            assert status_in(connection) == 408
        assert offset_of(intake, path) == 10
        assert patched(intake, path, 10, b"x" * 990).status_code == 204


def test_drops_that_come_all_the_time_gain_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "PATIENCE_S", 0.5)
    with serving(settings_in(tmp_path, upload_min_bytes_per_s=100_000)) as intake:
        path = begin(intake, 100_000)
        with half_sent(intake, path, 0, 100_000, b"x") as connection:
            connection.settimeout(0.05)
            for _ in range(1000):
                try:
                    connection.sendall(b"x")
                    assert b" 408 " in connection.recv(1000)
                    break
                except TimeoutError:
                    continue
            else:
                pytest.fail("it went on for ever")


def test_so_many_come_at_once_and_no_more(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, uploads_per_client=3)) as intake, ExitStack() as held:
        paths = [begin(intake, 1000) for _ in range(3)]
        senders = intake_senders(intake)
        for path in [*paths]:
            held.enter_context(half_sent(intake, path, 0, 1000, b"x"))
        wait_for(lambda: senders._under_way.total() == 3, LIMIT_S, "all have begun")

        answer = patched(intake, paths[0], 0, b"x" * 1000)

        assert code_of(answer) == (429, "too_many_uploads")
        assert int(answer.headers["Retry-After"]) > 0
        held.close()
        wait_for(lambda: senders._under_way.total() == 0, LIMIT_S, "all are let go")
        assert dict(senders._under_way) == {}


def test_half_of_the_places_are_for_those_who_hold_none() -> None:
    senders = pace.Senders(each=10, limit=16)
    with ExitStack() as held:
        for client, gets in (
            ("a", 8),
            ("b", 1),
            ("c", 1),
            ("a", 0),
            ("b", 0),
            *((f"d{n}", 1) for n in range(6)),
            ("e", 0),
        ):
            for place in range(gets):
                held.enter_context(senders.place(client, f"{client}{place}"))
            with pytest.raises(ProblemError):
                senders.place(client, "more").__enter__()
        assert senders._under_way.total() == 16
    with senders.place("a", "a0"), senders.place("b", "b0"):
        assert senders._under_way == {"a": 1, "b": 1}


def test_a_file_in_crumbs_is_refused_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "SMALL_REQUESTS", 5)
    with serving(settings_in(tmp_path)) as intake:
        path = begin(intake, 100)
        answers = [patched(intake, path, n, b"x") for n in range(10)]

        assert [answer.status_code for answer in answers].count(204) == 6
        assert code_of(answers[6]) == (429, "upload_fragmented")


def test_while_the_store_is_away_what_was_confirmed_stays(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    from madvision_assets.domain.failures import StoreUnavailableError
    from madvision_assets.tools.store.incoming import IncomingFiles

    data = some_bytes(2.5)
    path = begin(intake, len(data))
    put = IncomingFiles.put

    def fails(files: IncomingFiles, place: str, block: int, writer: int, piece: bytes) -> None:
        if block == 1:
            raise StoreUnavailableError("no answer")
        put(files, place, block, writer, piece)

    with monkeypatch.context() as patch:
        patch.setattr(IncomingFiles, "put", fails)
        answer = patched(intake, path, 0, data)

    assert code_of(answer) == (503, "store_unavailable")
    assert offset_of(intake, path) == BLOCK_BYTES
    assert patched(intake, path, BLOCK_BYTES, data[BLOCK_BYTES:]).status_code == 204


def intake_senders(intake: Intake) -> pace.Senders:
    """Those of the running server."""
    assert intake.app is not None
    senders: pace.Senders = intake.app.state.senders
    return senders
