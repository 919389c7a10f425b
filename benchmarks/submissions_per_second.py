"""Submissions a second, beside a bare FastAPI route that inserts one row into the same database."""

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import ROOT, Figure, at_least, show
from serving import connected, intake, serving
from system import local_environment

from madvision_assets.tools.database import Database
from madvision_assets_tests.intake.serving import postgres_database
from madvision_assets_tests.real_servers import postgres

LIMIT = 0.7
CONNECTIONS = 8
REQUESTS = 60  # of each connection in one round
ROUNDS = 10
HOSTS = 50


def figures() -> list[Figure]:
    """Medians of alternating rounds, on PostgreSQL and on SQLite."""
    with tempfile.TemporaryDirectory(prefix="mv-bench-") as folder:
        home = Path(folder)
        with postgres(home) as server, postgres_database(server) as url:
            on_postgres = _on("PostgreSQL", url, home)
        return [on_postgres, _on("SQLite", f"sqlite:///{home / 'bench.db'}", home)]


def _on(name: str, url: str, home: Path) -> Figure:
    Database(url).migrate()
    peer = [str(ROOT / "benchmarks" / "bare_route.py"), url]
    with intake(url, home) as ours_at, serving("bare", peer, local_environment(home), home) as peer_at:
        rates = _rates({"ours": ours_at, "peer": peer_at})
    claim = f"submissions a second, {name}, {CONNECTIONS} connections / a bare FastAPI route with one insert"
    return at_least(claim, rates["ours"], rates["peer"], LIMIT, "{:.0f}/s")


def _rates(ports: Mapping[str, int]) -> dict[str, float]:
    """Requests a second of each, taking turns; the first round only warms up."""
    found: dict[str, list[float]] = {name: [] for name in ports}
    with ThreadPoolExecutor(CONNECTIONS) as clients:
        for _ in range(ROUNDS + 1):
            for name, port in ports.items():
                started_s = time.perf_counter()
                list(clients.map(_submit, [port] * CONNECTIONS))
                found[name].append(CONNECTIONS * REQUESTS / (time.perf_counter() - started_s))
    return {name: statistics.median(rates[1:]) for name, rates in found.items()}


def _submit(port: int) -> None:
    with connected(port) as client:
        for n in range(REQUESTS):
            address = f"https://media-{n % HOSTS}.example.org/{secrets.token_hex(8)}.mp4"
            client.post("/public/video", {"url": address})


if __name__ == "__main__":
    sys.exit(not show(figures()))
