"""Claims about local copies that hold only what was read of an object."""

import random
from pathlib import Path

import pytest

from madvision_assets.domain.failures import MissingInputError
from madvision_assets.tools.store import partial
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.tools.store.partial import BLOCK_BYTES

SIZE = 5 * BLOCK_BYTES + 1234
CHANCE = random.Random(1)  # noqa: S311
DATA = CHANCE.randbytes(SIZE)


@pytest.fixture
def store() -> ObjectStore:
    store = ObjectStore.from_url("memory://")
    store.put_bytes("a", DATA)
    return store


def test_what_is_read_is_the_objects_and_is_fetched_once(store: ObjectStore, tmp_path: Path) -> None:
    with store.partial("a", tmp_path / "copy") as copy:
        for _ in range(200):
            at = CHANCE.randrange(SIZE + 10)
            copy.seek(at)
            length = CHANCE.randrange(1, 3 * BLOCK_BYTES)
            assert copy.read(length) == DATA[at : at + length]
        assert copy.fetched_bytes == SIZE
    assert (tmp_path / "copy").read_bytes() == DATA


def test_only_the_stretches_that_are_wanted_are_fetched(store: ObjectStore, tmp_path: Path) -> None:
    with store.partial("a", tmp_path / "copy") as copy:
        for begin, end in ((100, 200), (150, 300), (50, 400), (120, 130), (SIZE - 10, SIZE + 99)):
            copy.fetch((begin, end))
        assert copy.fetched_bytes == 360
    made = (tmp_path / "copy").read_bytes()
    assert made[50:400] + made[-10:] == DATA[50:400] + DATA[-10:]
    assert not any(made[:50] + made[400:-10])
    assert len(made) == SIZE


def test_many_stretches_are_fetched_together_and_each_byte_once(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "PART_BYTES", 1000)
    monkeypatch.setattr(partial, "BATCH_BYTES", 3500)
    wanted, held = bytearray(SIZE), bytearray(SIZE)
    with store.partial("a", tmp_path / "copy") as copy:
        for _ in range(20):
            begins = [CHANCE.randrange(SIZE // 4) for _ in range(30)]
            stretches = [(begin, begin + CHANCE.randrange(3000)) for begin in begins]
            copy.fetch(*stretches)
            for begin, end in stretches:
                wanted[begin:end], held[begin:end] = DATA[begin:end], b"\1" * (end - begin)
            assert copy.fetched_bytes == held.count(1)
    assert (tmp_path / "copy").read_bytes() == wanted


def test_the_copy_takes_no_more_room_than_what_was_fetched(store: ObjectStore, tmp_path: Path) -> None:
    with store.partial("a", tmp_path / "copy") as copy:
        copy.fetch((3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 10))
        assert (tmp_path / "copy").stat().st_blocks * 512 < 2 * BLOCK_BYTES


def test_an_object_that_is_not_there_is_a_failure(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        store.partial("b", tmp_path / "copy")
