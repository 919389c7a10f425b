"""Claims about uploads: exactly the bytes that were put there, out of no bucket but ours, also after a break."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer
from obstore.exceptions import GenericError, PreconditionError

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import (
    ConnectionLostError,
    DiskFullError,
    EmptyFileError,
    Failure,
    FileChangedError,
    NotFoundError,
    TooLargeError,
    UnknownBucketError,
    UploadDeniedError,
)
from madvision_assets.domain.video import Upload, Video, web_video_id
from madvision_assets.tools.download import Downloader
from madvision_assets.tools.egress import EgressProxy
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.tools.store.uploads import BucketReader, bucket_names, classify_upload
from madvision_assets.work.ingest import Ingest
from madvision_assets_tests import footage
from madvision_assets_tests.real_servers import S3Server

BUCKET = "uploads"
BODY = bytes(range(256)) * 20_000  # 5 MB
KEYS = ["talk.mp4", "a b/ü+%20#?&.MP4", "no suffix", "日本\u202f.mov"]


def settings_of(server: S3Server) -> AwsAccess:
    return AwsAccess(server.endpoint_url, server.region, server.access_key_id, server.secret_access_key)


def client_of(s3: AwsAccess) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
    )


@pytest.fixture(scope="module")
def s3(s3_server: S3Server) -> AwsAccess:
    s3_server.create_bucket(BUCKET)
    return settings_of(s3_server)


@pytest.fixture
def reader(s3: AwsAccess) -> BucketReader:
    return BucketReader(buckets=frozenset({BUCKET}), s3=s3, max_bytes=10_000_000, time_limit_s=60.0)


def put(s3: AwsAccess, key: str, body: bytes = BODY) -> Upload:
    client = client_of(s3)
    answer = client.put_object(Bucket=BUCKET, Key=key, Body=body)
    client.close()
    return Upload(bucket=BUCKET, key=key, version_id=answer.get("VersionId"), etag=answer["ETag"].strip('"'))


def no_progress(_fraction: float, _text: str) -> None:
    return


@pytest.mark.parametrize("key", KEYS)
def test_an_upload_comes_whole(s3: AwsAccess, reader: BucketReader, tmp_path: Path, key: str) -> None:
    told: list[tuple[float, str]] = []

    path = reader.fetch(put(s3, key).address, tmp_path, lambda *at: told.append(at))

    assert path.read_bytes() == BODY
    assert path.suffix == Path(key).suffix.lower()
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert told[-1] == (1.0, "4.9 of 4.9 MiB")


def test_it_is_not_fetched_again_where_it_came_whole(s3: AwsAccess, reader: BucketReader, tmp_path: Path) -> None:
    address = put(s3, "once.mp4").address
    reader.fetch(address, tmp_path, no_progress)
    client = client_of(s3)
    client.delete_object(Bucket=BUCKET, Key="once.mp4")
    client.close()

    assert reader.fetch(address, tmp_path, no_progress).read_bytes() == BODY


@pytest.mark.parametrize("kept_bytes", [0, 1, 1_000_000, len(BODY)])
def test_a_broken_download_is_gone_on_with(
    s3: AwsAccess, reader: BucketReader, tmp_path: Path, kept_bytes: int
) -> None:
    (tmp_path / "video.part").write_bytes(BODY[:kept_bytes])
    began: list[float] = []

    path = reader.fetch(put(s3, "broken.mp4").address, tmp_path, lambda at, _: began.append(at))

    assert path.read_bytes() == BODY
    assert began[0] >= kept_bytes / len(BODY)


def test_one_that_died_on_the_way_left_what_it_had(s3: AwsAccess, reader: BucketReader, tmp_path: Path) -> None:
    address = put(s3, "died.mp4").address
    began: list[float] = []

    def die(fraction: float, _: str) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader.fetch(address, tmp_path, die)
    path = reader.fetch(address, tmp_path, lambda at, _: began.append(at))

    assert began[0] > 0.5
    assert path.read_bytes() == BODY


def test_other_bytes_under_its_key_are_another_video(s3: AwsAccess, reader: BucketReader, tmp_path: Path) -> None:
    first = put(s3, "changed.mp4")
    second = put(s3, "changed.mp4", b"other")

    assert web_video_id(first.address) != web_video_id(second.address)
    with pytest.raises(FileChangedError):
        reader.fetch(first.address, tmp_path, no_progress)
    assert reader.fetch(second.address, tmp_path / "second", no_progress).read_bytes() == b"other"


def test_a_bucket_that_keeps_versions_gives_the_one_that_was_told(reader: BucketReader, tmp_path: Path) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)  # Swift keeps none for S3
    server.start()
    host, port = server.get_host_and_port()
    s3 = AwsAccess(f"http://{host}:{port}", "us-east-1", "testing", "testing")
    client = client_of(s3)
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client.close()
    first = put(s3, "versions.mp4")
    put(s3, "versions.mp4", b"other")

    path = replace(reader, s3=s3).fetch(first.address, tmp_path, no_progress)

    assert "versionId=" in first.address
    assert path.read_bytes() == BODY
    server.stop()


def test_an_upload_is_taken_in_like_any_video(s3: AwsAccess, reader: BucketReader, tmp_path: Path) -> None:
    talk = footage.talking(tmp_path / "talk.mp4")
    address = put(s3, "taken.mp4", talk.read_bytes()).address
    store = ObjectStore.from_url((tmp_path / "store").as_uri())
    unused = Downloader(
        allow_private=False, max_height=1080, max_bytes=1, max_duration_s=1.0, time_limit_s=1.0, open_proxy=EgressProxy
    )
    ingest = Ingest(store, unused, max_duration_s=3600.0, max_bytes=10_000_000, uploads=reader)
    video = Video(video_id=web_video_id(address), address=address)

    made = ingest.take(video, tmp_path, no_progress)

    document = made.document
    assert (document.address, document.source.title, made.recipe.engine) == (address, "taken", "s3")
    assert store.size_bytes(document.media.key) == talk.stat().st_size
    assert video.source == f"s3://{BUCKET}"


# --- refusals ---


def test_a_bucket_that_is_not_ours_is_never_asked(reader: BucketReader, tmp_path: Path) -> None:
    upload = Upload(bucket="others", key="talk.mp4", etag="9")

    with pytest.raises(UnknownBucketError, match="others"):
        reader.fetch(upload.address, tmp_path, no_progress)
    with pytest.raises(UnknownBucketError):
        BucketReader().fetch(upload.address, tmp_path, no_progress)


def test_names_of_buckets_are_separated_by_commas() -> None:
    assert bucket_names(" a, b,,c ") == {"a", "b", "c"}
    assert bucket_names("") == frozenset()


def test_what_is_gone_empty_or_too_large_is_told(s3: AwsAccess, reader: BucketReader, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        reader.fetch(Upload(bucket=BUCKET, key="never.mp4", etag="9").address, tmp_path, no_progress)
    with pytest.raises(EmptyFileError):
        reader.fetch(put(s3, "empty.mp4", b"").address, tmp_path, no_progress)
    with pytest.raises(TooLargeError):
        replace(reader, max_bytes=1000).fetch(put(s3, "large.mp4").address, tmp_path, no_progress)


@pytest.mark.parametrize(
    ("change", "bucket"), [({"secret_access_key": "wrong"}, BUCKET), ({}, "not-made"), ({}, "Not_A_Bucket")]
)
def test_a_bucket_that_refuses_us_is_the_operators_to_mend(
    s3: AwsAccess, reader: BucketReader, tmp_path: Path, change: dict[str, str], bucket: str
) -> None:
    asked = replace(reader, s3=replace(s3, **change), buckets=frozenset({bucket}))

    with pytest.raises(UploadDeniedError) as refused:
        asked.fetch(Upload(bucket=bucket, key="talk.mp4", etag="9").address, tmp_path, no_progress)

    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "leaf"),
    [
        (PreconditionError("412"), FileChangedError),
        (GenericError("error sending request"), ConnectionLostError),
        (GenericError("status code: 503 Service Unavailable"), ConnectionLostError),
        (GenericError("No space left on device (os error 28)"), DiskFullError),
        (OSError(28, "No space left on device"), DiskFullError),
    ],
)
def test_no_failure_of_an_upload_speaks_against_the_store(error: Exception, leaf: type[Failure]) -> None:
    failure = classify_upload(error, Upload(bucket=BUCKET, key="talk.mp4", etag="9"))

    assert type(failure) is leaf
    assert failure.resource != "store"
