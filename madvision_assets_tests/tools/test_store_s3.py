"""Claims about S3 alone: links, credentials, outages; and about memory, which S3 needs most of."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import StoreDeniedError, StoreUnavailableError
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.stores import s3_settings, s3_store

pytestmark = pytest.mark.whole

MEGABYTE = 1024 * 1024
UP_AND_DOWN = """
import resource, sys
from pathlib import Path
from madvision_assets.domain.aws import AwsAccess
from madvision_assets.tools.store.objects import ObjectStore

def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

url, folder, *given = sys.argv[1:]
names = ("endpoint_url", "region", "access_key_id", "secret_access_key")
store = ObjectStore.from_url(url, s3=AwsAccess(**dict(zip(names, given))))
store.check()
before_bytes = peak_bytes()
reference = store.store_media(Path(folder, "big.bin"), "web-1", "bin", "application/octet-stream")
store.download(reference.key, Path(folder, "copy.bin"))
print(peak_bytes() - before_bytes)
"""


def test_a_presigned_link_is_good_without_credentials_and_only_as_signed(s3_server: S3Server) -> None:
    store = s3_store(s3_server)
    store.put_bytes("clip.mp4", b"moving pictures", media_type="video/mp4")

    link = store.presigned_url("clip.mp4", expires_s=60)

    assert link is not None
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == b"moving pictures"
        assert answer.headers["Content-Type"] == "video/mp4"
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(link.replace("clip.mp4", "other.mp4"), timeout=10)
    refused.value.close()


def test_stores_without_links_say_so(tmp_path: Path) -> None:
    for url in ("memory://", tmp_path.as_uri()):
        assert ObjectStore.from_url(url).presigned_url("a", expires_s=60) is None


def test_a_wrong_secret_is_for_the_operator_and_is_not_shown(s3_server: S3Server) -> None:
    store = s3_store(s3_server, secret_access_key="a-wrong-one")

    for use in (store.check, lambda: store.get_bytes("a"), lambda: list(store.list_keys())):
        with pytest.raises(StoreDeniedError, match="SignatureDoesNotMatch") as refused:
            use()
        assert "a-wrong-one" not in str(refused.value)
    assert "a-wrong-one" not in repr(store) + repr(store._s3)


def test_a_missing_bucket_is_for_the_operator(s3_server: S3Server, tmp_path: Path) -> None:
    store = s3_store(s3_server, bucket="no-such-bucket")
    file = tmp_path / "file"
    file.write_bytes(b"x" * 9 * MEGABYTE)

    for use in (
        store.check,
        lambda: store.get_bytes("a"),
        lambda: store.put_file(file, "a", "text/plain"),
        lambda: store.download("a", tmp_path / "copy"),
        lambda: list(store.list_keys()),
        lambda: store.delete(["a"]),
    ):
        with pytest.raises(StoreDeniedError, match="NoSuchBucket"):
            use()


def test_a_server_that_is_down_is_given_up_after_seconds(s3_server: S3Server) -> None:
    store = ObjectStore.from_url("s3://bucket", s3=s3_settings(s3_server, endpoint_url="http://127.0.0.1:9"))
    started_s = time.monotonic()

    with pytest.raises(StoreUnavailableError, match=r"a/b\.json: no answer"):
        store.get_bytes("a/b.json")

    assert time.monotonic() - started_s < 30


def test_the_endpoint_given_beats_the_one_in_the_environment(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")

    store = s3_store(s3_server)
    store.put_bytes("given", b"kept")

    assert store.get_bytes("given") == b"kept"


def test_the_environment_gives_the_credentials_that_are_not_given(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.create_bucket("from-the-environment")
    for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, s3_server.environment()[name])

    store = ObjectStore.from_url(
        "s3://from-the-environment", s3=AwsAccess(endpoint_url=s3_server.endpoint_url, region="")
    )
    store.put_bytes("signed", b"kept")

    assert store.get_bytes("signed") == b"kept"


class _Refusing(BaseHTTPRequestHandler):
    """A security token service that trusts nobody."""

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = (
            b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>"
        )
        self.send_response(403)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_link_that_nobody_gives_credentials_for_is_for_the_operator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("x")
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        given = {
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{server.server_port}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        store = ObjectStore.from_url("s3://bucket/prefix", s3=AwsAccess(region="eu-central-1"))

        with pytest.raises(StoreDeniedError, match="AWS gives no credentials"):
            store.presigned_url("media/a.mp4", 60, "attachment", "video/mp4")
        server.shutdown()


BAD_ENDPOINTS = [
    "localhost:9000",
    "not a url",
    "ftp://127.0.0.1:9",
    "http://",
    "http://a b",
    "http://key:secret@host",
]


@pytest.mark.parametrize("endpoint_url", BAD_ENDPOINTS)
def test_an_endpoint_that_is_no_address_is_refused_by_the_name_of_its_variable(endpoint_url: str) -> None:
    with pytest.raises(ValueError, match="AWS_ENDPOINT_URL_S3") as refused:
        AwsAccess(endpoint_url=endpoint_url)

    assert "secret" not in str(refused.value)


def test_memory_does_not_grow_with_the_file(s3_server: S3Server, tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(300 * MEGABYTE)
    store = s3_store(s3_server)
    settings = s3_settings(s3_server)
    given = [settings.endpoint_url, settings.region, settings.access_key_id, settings.secret_access_key]
    command = [sys.executable, "-c", UP_AND_DOWN, store.url, str(tmp_path), *map(str, given)]

    grown = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True, cwd=Path.cwd()).stdout

    assert int(grown) < 200 * MEGABYTE
    copy = tmp_path / "copy.bin"
    assert copy.stat().st_size == 300 * MEGABYTE
    copy.unlink()  # pytest keeps the folders of its last runs
