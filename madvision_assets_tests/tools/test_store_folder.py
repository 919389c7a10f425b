"""Claims about a store in a folder, and about store URLs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from madvision_assets.domain.failures import StoreDeniedError
from madvision_assets.tools.store.objects import ABANDONED_AFTER_S, ObjectStore

KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from madvision_assets.tools.store.objects import ObjectStore

def die(done_bytes, total_bytes):
    if done_bytes > 24_000_000:
        os.kill(os.getpid(), signal.SIGKILL)

ObjectStore.from_url(sys.argv[1]).put_file(Path(sys.argv[2]), "media/a/film.mp4", "video/mp4", die)
"""


def test_what_a_killed_writer_leaves_is_never_an_object_and_is_swept_once_it_is_old(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(40_000_000))
    root = tmp_path / "store"
    store = ObjectStore.from_url(root.as_uri())
    command = [sys.executable, "-c", KILLED_WRITER, store.url, str(film)]
    killed = subprocess.run(command, check=False, timeout=60, cwd=Path.cwd())
    assert killed.returncode == -9
    (staged,) = (root / "media" / "a").iterdir()

    assert list(store.list_keys()) == []
    assert not store.exists("media/a/film.mp4")
    store.put_bytes("media/a/young", b"")
    assert staged.exists()
    long_ago_s = staged.stat().st_mtime - 2 * ABANDONED_AFTER_S
    os.utime(staged, (long_ago_s, long_ago_s))
    store.put_file(film, "media/a/film.mp4", "video/mp4")

    assert sorted(path.name for path in staged.parent.iterdir()) == ["film.mp4", "young"]


def test_a_folder_is_made_on_first_use_and_not_before(tmp_path: Path) -> None:
    store = ObjectStore.from_url((tmp_path / "new" / "store").as_uri())
    assert not (tmp_path / "new").exists()

    store.check()

    assert (tmp_path / "new" / "store").is_dir()


def test_a_folder_with_spaces_and_umlauts_in_its_name_works(tmp_path: Path) -> None:
    store = ObjectStore.from_url((tmp_path / "mein lädchen 100%").as_uri())

    store.put_bytes("a/b", b"x")

    assert (tmp_path / "mein lädchen 100%" / "a" / "b").read_bytes() == b"x"


def test_a_folder_that_cannot_be_made_is_for_the_operator(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (Path("/proc/no/store"), tmp_path / "file" / "store"):
        store = ObjectStore.from_url(folder.as_uri())
        with pytest.raises(StoreDeniedError, match="folder cannot be made") as refused:
            store.check()
        assert str(tmp_path) not in str(refused.value)


def test_a_folder_that_cannot_be_written_is_for_the_operator() -> None:
    with pytest.raises(StoreDeniedError, match=r"a/b: "):
        ObjectStore.from_url("file:///proc").put_bytes("a/b", b"x")


MALFORMED = {
    "https://bucket/prefix": "'https' is not known",
    "madvision": "no scheme",
    "": "no scheme",
    "file://relative/path": "absolute path",
    "file:relative": "absolute path",
    "s3://": "bucket",
    "s3://Bad_Bucket/prefix": "bucket",
    "s3://bucket/a//b": "prefix",
    "s3://bucket/../b": "prefix",
    "s3://key:secret@bucket/prefix": "credentials",
    "s3://bucket/prefix?endpoint=x": "query",
    "memory://name": "nothing after it",
}


@pytest.mark.parametrize(("url", "reason"), MALFORMED.items())
def test_a_malformed_url_is_refused_by_the_name_of_its_variable(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        ObjectStore.from_url(url)

    assert "MADVISION_STORE_URL" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_url_has_one_spelling() -> None:
    assert ObjectStore.from_url("s3://bucket/a/b/").url == "s3://bucket/a/b"
    assert ObjectStore.from_url("s3://bucket/").uri("k") == "s3://bucket/k"
    assert ObjectStore.from_url("file:///var/store/").uri("k") == "file:///var/store/k"
    assert ObjectStore.from_url("file:///").uri("k") == "file:///k"
    assert ObjectStore.from_url("memory://").uri("k") == "memory://k"
