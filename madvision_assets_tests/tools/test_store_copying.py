"""Claims about copying a store: what is sent, what is not, and that a copy taken while the source grows is whole."""

import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from madvision_assets.command.store import store
from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import Failure, StoreDeniedError, StoreUnavailableError
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.store import copying
from madvision_assets.tools.store.backends import parse_store_url
from madvision_assets.tools.store.copying import Copied, Place, copy_objects
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.stores import VIDEO_ID, raw_video, s3_settings, s3_store, sealed

pytestmark = pytest.mark.whole

MEGABYTE = 1024 * 1024
MEDIA = f"media/{VIDEO_ID}"
COPY_AND_MEASURE = """
import resource, sys
import obstore
from madvision_assets.domain.aws import AwsAccess
from madvision_assets.tools.store.backends import parse_store_url
from madvision_assets.tools.store.copying import Place, copy_objects

def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

source, target = (Place(parse_store_url(url), AwsAccess(*sys.argv[3:])) for url in sys.argv[1:3])
before_bytes = peak_bytes()
copy_objects(source, target)
print(peak_bytes() - before_bytes)
"""


def place_of(store: ObjectStore) -> Place:
    return Place(store._location, store._s3)


def folder(path: Path) -> ObjectStore:
    return ObjectStore.from_url(path.as_uri())


def contents(store: ObjectStore) -> dict[str, bytes]:
    return {key: store.get_bytes(key) for key in store.list_keys()}


@pytest.fixture
def source(tmp_path: Path) -> ObjectStore:
    """A folder with a document that counts, and media, one of them large."""
    made = folder(tmp_path / "source")
    document = raw_video()
    write_document(made, document)
    point_current(made, document)
    made.put_bytes(f"{MEDIA}/a.mp4", b"moving pictures")
    made.put_bytes(f"{MEDIA}/b.mp4", bytes(range(256)) * 40 * 1024)  # 10 MiB: in parts
    return made


def test_everything_arrives_and_comes_back(source: ObjectStore, s3_server: S3Server, tmp_path: Path) -> None:
    there, back = s3_store(s3_server), folder(tmp_path / "back")

    sent = copy_objects(place_of(source), place_of(there))
    copy_objects(place_of(there), place_of(back))

    size_bytes = sum(len(data) for data in contents(source).values())
    assert sent == Copied(4, size_bytes, 4, size_bytes)
    assert contents(back) == contents(source)


def test_what_is_there_is_not_sent_again_but_for_pointers(source: ObjectStore, s3_server: S3Server) -> None:
    target = s3_store(s3_server)
    copy_objects(place_of(source), place_of(target))
    source.put_bytes(f"{MEDIA}/c.mp4", b"new")
    target.put_bytes(f"{MEDIA}/a.mp4", b"cut sho")  # what a store that keeps no promises may hold

    again = copy_objects(place_of(source), place_of(target))

    pointer = source.get_bytes(f"raw_video/{VIDEO_ID}/current.json")
    assert (again.objects, again.sent_objects) == (5, 3)
    assert again.sent_bytes == len(b"new") + len(b"moving pictures") + len(pointer)
    assert contents(target) == contents(source)


def test_nothing_is_ever_deleted(source: ObjectStore, tmp_path: Path) -> None:
    target = folder(tmp_path / "target")
    target.put_bytes("media/web-2/old.mp4", b"of a video that was forgotten")

    copy_objects(place_of(source), place_of(target))

    assert target.exists("media/web-2/old.mp4")


def test_a_folder_may_stay_where_it_is(source: ObjectStore, tmp_path: Path) -> None:
    target = folder(tmp_path / "target")
    whole = contents(source)
    for key in ("incoming/0a1b/000000.1", "incoming/0a1b/current.json"):
        source.put_bytes(key, b"half a file")

    sent = copy_objects(place_of(source), place_of(target), without={"incoming"})

    assert contents(target) == whole
    assert sent.objects == len(whole)


def test_media_types_survive_a_folder(source: ObjectStore, s3_server: S3Server) -> None:
    target = s3_store(s3_server)
    source.put_bytes(f"{MEDIA}/a.srt", b"1\n")
    copy_objects(place_of(source), place_of(target))

    types = {}
    for name in ("a.mp4", "b.mp4", "a.srt"):
        link = target.presigned_url(f"{MEDIA}/{name}", 60)
        assert link is not None
        with urllib.request.urlopen(link, timeout=10) as answer:
            types[name] = answer.headers["Content-Type"]

    assert types == {"a.mp4": "video/mp4", "b.mp4": "video/mp4", "a.srt": "application/x-subrip"}


def test_a_copy_points_at_what_it_has_though_the_source_moves_on(
    source: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = folder(tmp_path / "target")
    first = read_current(source, RawVideo, VIDEO_ID)
    newer = sealed(first.model_copy(update={"provenance": None}), engine_version="2.0")
    listed: Callable[..., object] = copying._listed
    looks = []

    def moves_on(backend: object) -> object:
        """After the last object was listed, a newer version is published."""
        yield from listed(backend)  # type: ignore[misc]
        looks.append(backend)
        if len(looks) == 3:
            write_document(source, newer)
            point_current(source, newer)

    monkeypatch.setattr(copying, "_listed", moves_on)
    copy_objects(place_of(source), place_of(target))

    assert len(looks) == 3
    assert read_current(source, RawVideo, VIDEO_ID) == newer
    assert read_current(target, RawVideo, VIDEO_ID) == first


def test_a_copy_that_was_broken_off_goes_on(source: ObjectStore, tmp_path: Path) -> None:
    target = folder(tmp_path / "target")
    blocked = tmp_path / "target" / "raw_video"
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_bytes(b"a file where a folder should be")

    with pytest.raises(Failure):
        copy_objects(place_of(source), place_of(target))
    blocked.unlink()
    copy_objects(place_of(source), place_of(target))

    assert contents(target) == contents(source)


def test_a_copy_into_itself_is_refused(source: ObjectStore) -> None:
    for inside in (source.url, f"{source.url}/backup"):
        with pytest.raises(ValueError, match="place of its own"):
            copy_objects(place_of(source), Place(parse_store_url(inside), AwsAccess()))


def test_a_server_that_is_away_or_refuses_is_told(source: ObjectStore, s3_server: S3Server) -> None:
    for given, failure in (
        ({"endpoint_url": "http://127.0.0.1:9"}, StoreUnavailableError),
        ({"secret_access_key": "a-wrong-one"}, StoreDeniedError),
    ):
        with pytest.raises(failure):
            copy_objects(place_of(source), place_of(s3_store(s3_server, **given)))


def test_a_bucket_elsewhere_is_reached_by_a_file_and_not_by_the_environment(
    source: ObjectStore, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = s3_store(s3_server)
    credentials = tmp_path / "elsewhere.env"
    credentials.write_text("".join(f"{name}={value}\n" for name, value in s3_server.environment().items()))
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    done = CliRunner().invoke(store, ["copy", source.url, target.url, "--target-env", str(credentials)])
    listed = CliRunner().invoke(store, ["list", target.url, "--env", str(credentials)])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("4 objects (10.5 MB) in file:///")
    assert set(listed.output.split()) == set(source.list_keys())


def test_memory_does_not_grow_with_the_objects(s3_server: S3Server, tmp_path: Path) -> None:
    source, target = folder(tmp_path / "source"), s3_store(s3_server)
    for number in range(6):
        source.put_bytes(f"media/web-1/{number}.mp4", bytes([number]) * 60 * MEGABYTE)

    s3 = s3_settings(s3_server)
    given = [s3.endpoint_url, s3.region, s3.access_key_id, s3.secret_access_key]
    grown = subprocess.run(
        [sys.executable, "-c", COPY_AND_MEASURE, source.url, target.url, *map(str, given)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert int(grown.stdout) < 250 * MEGABYTE
    assert sum(size for _, size in target.list_sizes()) == 360 * MEGABYTE
    source.delete(list(source.list_keys()))  # pytest keeps the folders of its last runs
