"""Claims about the blocks of files that are sent: which count, and that only the very bytes make the video."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.failures import FileChangedError, IncompleteDownloadError, InvalidAddressError
from madvision_assets.domain.received import (
    BLOCK_BYTES,
    NO_CHAIN,
    ReceivedFile,
    chained,
    plain_name,
    received_video_id,
)
from madvision_assets.tools.store.incoming import IncomingFiles
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.stores import BACKENDS, make_store

PLACE = "0123456789abcdef" * 2
FIRST, SECOND = b"a" * BLOCK_BYTES, b"the end"
FILE = ReceivedFile(place=PLACE, size_bytes=BLOCK_BYTES + len(SECOND), name="Talk.MKV")
VIDEO_ID = received_video_id(chained(chained(NO_CHAIN, FIRST), SECOND))


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return make_store(request.param, request, tmp_path)


def fetched(store: ObjectStore, folder: Path) -> Path:
    return IncomingFiles(store).fetch(FILE.address, VIDEO_ID, folder, lambda *_: None)


def test_blocks_become_the_file_and_the_last_writer_of_each_counts(store: ObjectStore, tmp_path: Path) -> None:
    files = IncomingFiles(store)
    files.put(PLACE, 0, 2, FIRST)
    files.put(PLACE, 0, 1, b"an earlier writer, who came late")
    files.put(PLACE, 1, 9, SECOND[:3])
    files.put(PLACE, 1, 10, SECOND + b" and what nobody confirmed")

    path = fetched(store, tmp_path)

    assert path.read_bytes() == FIRST + SECOND
    assert path.suffix == ".mkv"
    assert files.tail(PLACE, BLOCK_BYTES + 3) == (SECOND[:3], 10)
    assert files.tail(PLACE, BLOCK_BYTES) == (b"", 0)
    files.delete(PLACE)
    assert list(store.list_keys()) == []


@pytest.mark.parametrize("blocks", [(FIRST, b"THE END"), (b"A" * BLOCK_BYTES, SECOND)], ids=["end", "beginning"])
def test_other_bytes_under_the_id_of_a_file_are_refused(
    blocks: tuple[bytes, ...], store: ObjectStore, tmp_path: Path
) -> None:
    for number, data in enumerate(blocks):
        IncomingFiles(store).put(PLACE, number, 1, data)

    with pytest.raises(FileChangedError):
        fetched(store, tmp_path)


@pytest.mark.parametrize("blocks", [{0: FIRST}, {1: SECOND}, {0: FIRST, 1: SECOND[:-1]}, {0: FIRST[:-1], 1: SECOND}])
def test_a_file_of_which_something_is_missing_is_not_taken(blocks: dict[int, bytes], tmp_path: Path) -> None:
    store = ObjectStore.from_url("memory://")
    for number, data in blocks.items():
        IncomingFiles(store).put(PLACE, number, 1, data)

    with pytest.raises(IncompleteDownloadError, match=r"\d+ of \d+ bytes are kept"):
        fetched(store, tmp_path)


def test_what_a_killed_writer_left_in_a_folder_goes_too(tmp_path: Path) -> None:
    store = ObjectStore.from_url(tmp_path.as_uri())
    IncomingFiles(store).put(PLACE, 0, 1, FIRST)
    (tmp_path / "incoming" / PLACE / "000001.1#7").write_bytes(b"not yet in its place")

    IncomingFiles(store).delete(PLACE)

    assert list((tmp_path / "incoming").iterdir()) == []


@given(st.text(max_size=300))
def test_an_address_says_what_file_it_is_whatever_its_name(name: str) -> None:
    plain = plain_name(name)
    file = ReceivedFile(place=PLACE, size_bytes=7, name=plain)

    assert ReceivedFile.of(file.address) == file
    assert not set(plain) & set("/\\\0\n\x1b")


@pytest.mark.parametrize("address", ["received://x/a?size=1", f"received://{PLACE}/a?size=x", f"s3://{PLACE}/a?size=1"])
def test_an_address_of_another_form_is_none(address: str) -> None:
    with pytest.raises(InvalidAddressError):
        ReceivedFile.of(address)
