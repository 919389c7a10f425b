"""A real server for tests: uvicorn as ``madvision serve`` has it, in a thread, on a port of its own."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from madvision_assets.intake.server import Server, configured
from madvision_assets.intake.services import Services, make_services
from madvision_assets.settings import Settings

WAIT_S = 90.0
ADDRESS = "https://media.example.org/talk.mp4"


@dataclass(frozen=True)
class Intake:
    """A running intake: a client of it, and what it works with."""

    client: httpx.Client
    services: Services
    port: int
    app: Any = None

    def submit(self, url: str = ADDRESS, **asked: Any) -> dict[str, Any]:
        """Submit an address; gives the receipt."""
        answer = self.client.post("/public/video", json={"url": url, **asked})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def status(self, token: str) -> dict[str, Any]:
        """Where the video of a token stands."""
        answer = self.client.get("/public/video/status", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def settings_in(folder: Path, **given: Any) -> Settings:
    """Settings with their state in a folder; no environment of the machine is read."""
    return Settings(**{"home": folder, "requests_per_minute": 0, "callbacks_per_minute": 0, "_env_file": None, **given})


@contextmanager
def serving(settings: Settings, *, migrate: bool = True) -> Iterator[Intake]:
    """Serve until the end of the block."""
    services = make_services(settings)
    if migrate:
        services.database.migrate()
    config = configured(services, "127.0.0.1", 0)
    server = Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + WAIT_S
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server takes too long to start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        # None is surplus: httpcore closes idle ones above its limit (20) while another thread begins to use them.
        kept = httpx.Limits(max_connections=100, max_keepalive_connections=None)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S, limits=kept) as client:
            yield Intake(client, services, port, config.app)
    finally:
        server.should_exit = True
        thread.join(WAIT_S)
        services.database.engine.dispose()


@contextmanager
def postgres_database(server_url: str) -> Iterator[str]:
    """URL of a new database on a PostgreSQL server."""
    server = create_engine(server_url, isolation_level="AUTOCOMMIT")
    name = f"intake_{secrets.token_hex(4)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()
