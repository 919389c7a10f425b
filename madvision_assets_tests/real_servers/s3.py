"""OpenStack Swift as a real S3 server."""

import os
import pwd
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from madvision_assets_tests.real_servers.servers import (
    START_LIMIT_S,
    Server,
    free_port,
    process,
    wait_until,
    write_text,
)

S3_REGION = "us-east-1"
S3_BUCKET = "madvision"

# Without `cache`, which wants a memcached: every request asks the account and container servers instead.
PROXY_PIPELINE = (
    "catch_errors gatekeeper proxy-logging listing_formats bulk s3api tempauth copy slo dlo proxy-logging proxy-server"
)


@dataclass(frozen=True)
class S3Request:
    """One request, as the server's log has it.

    Attributes:
        method: such as ``GET``.
        path: bucket and key, with the query.
        sent_bytes: of the answer's body.
        at_s: when it came, seconds since the epoch.
    """

    method: str
    path: str
    sent_bytes: int
    at_s: float


@dataclass(frozen=True)
class S3Server:
    """A running S3 server.

    Attributes:
        endpoint_url: ``http://127.0.0.1:<port>``; path-style addresses only.
        region: the region that requests must be signed for.
        access_key_id: of an account that may do everything.
        secret_access_key: its secret.
        log_folder: one log per process.
    """

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    log_folder: Path

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket; one that exists already is fine."""
        import boto3  # type: ignore[import-untyped]

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )
        try:
            client.create_bucket(Bucket=bucket)
        except client.exceptions.BucketAlreadyOwnedByYou:
            return
        finally:
            client.close()

    def requests(self) -> list["S3Request"]:
        """Every request that was answered so far, in the order of the answers."""
        lines = [line.split() for line in (self.log_folder / "proxy.log").read_text(encoding="utf-8").splitlines()]
        # Without the client's address it is Swift's own question to its storage servers.
        return [
            S3Request(words[4], words[5], 0 if words[12] == "-" else int(words[12]), float(words[19]))
            for words in lines
            if words[0] == "proxy-server:" and len(words) > 19 and words[1] != "-"
        ]

    def environment(self) -> Mapping[str, str]:
        """The variables that point MadVision, boto3 and the AWS tools at this server."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "MADVISION_STORE_URL": f"s3://{S3_BUCKET}/trial",
        }


@contextmanager
def swift_s3(folder: Path) -> Iterator[S3Server]:
    """A real S3 server, see ``swift_server``."""
    with swift_server(folder) as (s3, _proxy):
        yield s3


@contextmanager
def swift_server(folder: Path) -> "Iterator[tuple[S3Server, Server]]":
    """A real S3 server, and its front to kill and start again.

    It is Swift's account, container, object and proxy servers, one device, one replica. It checks signatures, and
    knows multipart uploads, ranges, presigned links and ``If-None-Match``.

    Args:
        folder: an existing folder for configuration, logs and data (removed at a regular end), on a file system with
            extended attributes.

    Raises:
        RuntimeError: a server ended at once.
        TimeoutError: a server did not come up. Both messages say where its log is.
    """
    folder = folder.resolve()
    device = folder / "devices" / "d1"
    device.mkdir(parents=True)
    os.setxattr(device, "user.madvision", b"1")  # fails here, with a plain reason, where Swift would fail obscurely
    ports = {name: free_port() for name in ("account", "container", "object", "proxy")}
    write_text(folder / "swift.conf", "[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n")
    for name in ("account", "container", "object"):
        _build_ring(folder, name, ports[name])
        write_text(folder / f"{name}.conf", _storage_conf(folder, name, ports[name]))
    write_text(folder / "proxy.conf", _proxy_conf(folder, ports["proxy"]))
    with ExitStack() as running:
        waits: list[tuple[Callable[[], bool], subprocess.Popen[bytes], Path]] = []
        for name in ("account", "container", "object"):
            log = folder / f"{name}.log"
            server = running.enter_context(process(_swift_command(folder, name), log))
            waits.append((partial(_answers, ports[name]), server, log))
        for wait in waits:
            wait_until(*wait)
        answers = partial(_answers, ports["proxy"])
        proxy = Server(_swift_command(folder, "proxy"), folder / "proxy.log", answers)
        running.callback(proxy.stop)
        proxy.start()
        s3 = S3Server(f"http://127.0.0.1:{ports['proxy']}", S3_REGION, "test:tester", "testing", folder)
        yield s3, proxy
    shutil.rmtree(device)  # only the logs are worth keeping


def _swift_command(folder: Path, name: str) -> list[str]:
    module = "obj" if name == "object" else name
    program = f"from swift.{module}.server import main; main()"
    return [sys.executable, "-W", "ignore", "-c", program, str(folder / f"{name}.conf"), "-v"]


def _build_ring(folder: Path, name: str, port: int) -> None:
    # In a process of its own: importing swift replaces sockets and threads of the whole process by eventlet's.
    program = (
        "from swift.common.ring import RingBuilder; builder = RingBuilder(4, 1, 1); "
        "builder.add_dev({'region': 1, 'zone': 1, 'device': 'd1', 'weight': 1, 'meta': '', 'ip': '127.0.0.1', "
        f"'port': {port}, 'replication_ip': '127.0.0.1', 'replication_port': {port}}}); "
        f"builder.rebalance(); builder.get_ring().save({str(folder / f'{name}.ring.gz')!r})"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=START_LIMIT_S)


def _common_conf(folder: Path, port: int) -> str:
    user = pwd.getpwuid(os.geteuid()).pw_name
    return (
        "[DEFAULT]\nbind_ip = 127.0.0.1\n"
        f"bind_port = {port}\nuser = {user}\nswift_dir = {folder}\ndevices = {folder / 'devices'}\n"
        "mount_check = false\nworkers = 0\ndisable_fallocate = true\nlog_level = WARNING\n"
        "log_udp_host = 127.0.0.1\n"  # to nobody, rather than to the machine's system log
    )


def _storage_conf(folder: Path, name: str, port: int) -> str:
    return (
        f"{_common_conf(folder, port)}"
        # No updater runs, so a listing must be brought up to date within the request, however busy the machine.
        "container_update_timeout = 30\nnode_timeout = 30\nconn_timeout = 10\n"
        f"[pipeline:main]\npipeline = healthcheck {name}-server\n"
        f"[filter:healthcheck]\nuse = egg:swift#healthcheck\n[app:{name}-server]\nuse = egg:swift#{name}\n"
    )


def _proxy_conf(folder: Path, port: int) -> str:
    more = {
        "tempauth": "user_test_tester = testing .admin .reseller_admin\n",
        "proxy-logging": "access_log_level = INFO\n",
    }
    filters = "".join(
        f"[filter:{name}]\nuse = egg:swift#{name.replace('-', '_')}\n{more.get(name, '')}"
        for name in dict.fromkeys(PROXY_PIPELINE.split()[:-1])
    )
    return (
        f"{_common_conf(folder, port)}"
        f"[pipeline:main]\npipeline = healthcheck {PROXY_PIPELINE}\n[filter:healthcheck]\nuse = egg:swift#healthcheck\n"
        f"{filters}"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
        "node_timeout = 30\nconn_timeout = 10\nrecoverable_node_timeout = 30\n"
    )


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
