"""A real RabbitMQ for tests, where one is installed: a node of its own, on loopback, with its own port mapper."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from madvision_assets_tests.real_servers import Server, free_port

HOST = "127.0.0.1"
INSTALLED = "/usr/lib/rabbitmq/lib"


@dataclass(frozen=True)
class RabbitMQ:
    """A running broker.

    Attributes:
        url: ``amqp://user:secret@host:port/vhost``.
        server: to kill and to start again; durable queues outlast it.
    """

    url: str
    server: Server


def rabbitmq_program() -> Path | None:
    """The server's program; None where RabbitMQ is not installed."""
    found = sorted(Path(INSTALLED).glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return found[-1] if found and shutil.which("epmd") else None


@contextmanager
def rabbitmq(folder: Path) -> Iterator[RabbitMQ]:
    """A real RabbitMQ with nothing in it.

    Args:
        folder: an existing folder for the logs; the data lie in a temporary folder.

    Raises:
        RuntimeError: RabbitMQ is not installed, or ended at once.
        TimeoutError: it did not come up. Both messages say where its log is.
    """
    program = rabbitmq_program()
    if program is None:
        raise RuntimeError("RabbitMQ is not installed")
    port, mapper_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="mv-mq-") as home, ExitStack() as running:
        mapper = Server(
            ["epmd", "-address", HOST, "-port", str(mapper_port)],
            folder / "epmd.log",
            partial(_listens, mapper_port),
        )
        environment = _environment(Path(home), port, mapper_port)
        server = Server(
            ["env", *(f"{name}={value}" for name, value in environment.items()), str(program)],
            folder / "rabbitmq.log",
            partial(_listens, port),
        )
        for each in (mapper, server):
            running.callback(each.stop)
            each.start()
        yield RabbitMQ(f"amqp://guest:guest@{HOST}:{port}/", server)


def _environment(home: Path, port: int, mapper_port: int) -> dict[str, str]:
    (home / "plugins").write_text("[].")
    return {
        "RUNNING_UNDER_SYSTEMD": "true",  # no shell stays between us and the server
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_EPMD_PORT": str(mapper_port),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(home / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_NODENAME": "madvision@localhost",
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
    }


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
