"""What 100,000 videos cost: a submission, a status and a tick of the sensor, beside the same with 1,000."""

import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from crowd import HOSTS, Mix, address_of, fill, forget_newer, store_clips, token_of
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._grpc.impl import get_external_sensor_execution
from measure import Figure, at_most, p99, show
from serving import Client, connected, intake

from madvision_assets.definitions import build_defs
from madvision_assets.defs.partitions import videos
from madvision_assets.defs.sensors import queue_sensor
from madvision_assets.settings import Settings
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets_tests.intake.serving import postgres_database
from madvision_assets_tests.real_servers import postgres

LIMIT = 1.5
SMALL, LARGE = 1_000, 100_000
MIXES = {
    "mostly done": {SMALL: Mix(100, 100, 100), LARGE: Mix(400, 400, 400)},
    "all queued": {SMALL: Mix(queued=SMALL), LARGE: Mix(queued=LARGE)},
}
BLOCKS, REQUESTS = 5, 300  # the 99th percentile of each block, and the median of the blocks
TICKS = 40
PARTITIONS_AT_ONCE = 5_000
CODE = LoadableTargetOrigin(executable_path=sys.executable, module_name="madvision_assets.definitions")


@dataclass(frozen=True)
class Site:
    """A database of some size, with the intake and the sensor that work on it."""

    size: int
    mix: Mix
    database: Database
    port: int
    sensor: "Sensor"
    tokens: tuple[str, ...]


class Sensor:
    """The queue's sensor, evaluated as the code server does it for the daemon."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._definitions = build_defs(settings).get_repository_def()
        self._instance = instance

    def tick(self) -> tuple[float, list[tuple[str, int]]]:
        """One evaluation, and its partitions made as the daemon makes them; seconds, and the attempts claimed."""
        started_s = time.perf_counter()
        asked = get_external_sensor_execution(
            self._definitions, InProcessCodeLocationOrigin(CODE), self._instance.get_ref(), queue_sensor.name,
            None, None, None, None, None,
        )  # fmt: skip
        for request in getattr(asked, "dynamic_partitions_requests", None) or ():
            known = {
                key for key in request.partition_keys if self._instance.has_dynamic_partition(str(videos.name), key)
            }
            self._instance.add_dynamic_partitions(str(videos.name), sorted(set(request.partition_keys) - known))
        taken_s = time.perf_counter() - started_s
        claimed = [(r.partition_key, int(r.tags["madvision/attempt"])) for r in getattr(asked, "run_requests", ())]
        if not claimed:
            raise RuntimeError(f"The tick claimed nothing: {asked}")
        return taken_s, claimed


def figures() -> list[Figure]:
    """Both mixes; the two sizes take turns, request by request and tick by tick."""
    found = []
    with tempfile.TemporaryDirectory(prefix="mv-bench-") as folder, postgres(Path(folder)) as server:
        for name, mixes in MIXES.items():
            with ExitStack() as running:
                sites = [
                    running.enter_context(_site(server, Path(folder) / f"{name}-{size}", size, mix))
                    for size, mix in mixes.items()
                ]
                found += _compare(name, sites)
    return found


@contextmanager
def _site(server: str, home: Path, size: int, mix: Mix) -> Iterator[Site]:
    home.mkdir()
    with ExitStack() as running:
        url = running.enter_context(postgres_database(server))
        settings = Settings(_env_file=None, home=home, database_url=url)
        database = Database(url)
        running.callback(database.engine.dispose)
        fill(database, size, mix)
        chosen = random.sample(range(1, size + 1), REQUESTS)
        store_clips(settings, [number for number in chosen if number >= mix.first_done])
        (home / "dagster").mkdir()
        (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        instance = running.enter_context(dg.DagsterInstance.from_config(str(home / "dagster")))
        _add_partitions(instance, database)
        port = running.enter_context(intake(url, home))
        tokens = tuple(token_of(number) for number in chosen)
        yield Site(size, mix, database, port, Sensor(settings, instance), tokens)


def _add_partitions(instance: dg.DagsterInstance, database: Database) -> None:
    with database.reading() as connection:
        known = list(connection.exec_driver_sql("SELECT video_id FROM videos").scalars())
    for start in range(0, len(known), PARTITIONS_AT_ONCE):
        instance.add_dynamic_partitions(str(videos.name), known[start : start + PARTITIONS_AT_ONCE])


def _compare(name: str, sites: list[Site]) -> list[Figure]:
    measured: Mapping[str, dict[int, float]] = {
        "POST /public/video, p99": _requests(sites, _post),
        "GET /public/video/status, p99": _requests(sites, _status),
        "tick of the sensor that claims 4, median": _ticks(sites),
    }
    return [
        at_most(f"{what}, {LARGE:,} videos, {name} / {SMALL:,}", at[LARGE] * 1000, at[SMALL] * 1000, LIMIT, "{:.1f} ms")
        for what, at in measured.items()
    ]


def _requests(sites: list[Site], one: Callable[[Client, Site, int], float]) -> dict[int, float]:
    blocks: dict[int, list[float]] = {site.size: [] for site in sites}
    for block in range(BLOCKS + 1):
        began = datetime.now(UTC)
        taken: dict[int, list[float]] = {site.size: [] for site in sites}
        with ExitStack() as open_connections:
            clients = [open_connections.enter_context(connected(site.port)) for site in sites]
            for n in range(REQUESTS):
                for client, site in random.sample(list(zip(clients, sites, strict=True)), len(sites)):
                    taken[site.size].append(one(client, site, n))
        for site in sites:
            forget_newer(site.database, began)
            if block:  # the first one warms up
                blocks[site.size].append(p99(taken[site.size]))
    return {size: statistics.median(values) for size, values in blocks.items()}


def _post(client: Client, site: Site, n: int) -> float:
    """Every other address is known already."""
    known = random.randint(site.mix.first_done, site.size) if site.mix.first_done < site.size else n + 1
    fresh = f"https://media-{n % HOSTS}.example.org/{secrets.token_hex(8)}.mp4"
    return client.post("/public/video", {"url": address_of(known) if n % 2 else fresh})


def _status(client: Client, site: Site, n: int) -> float:
    return client.get("/public/video/status", site.tokens[n])


def _ticks(sites: list[Site]) -> dict[int, float]:
    taken: dict[int, list[float]] = {site.size: [] for site in sites}
    for n in range(TICKS + 3):
        for site in random.sample(sites, len(sites)):
            seconds, claimed = site.sensor.tick()
            for video_id, attempt in claimed:  # they are due again
                Queue(site.database).release(video_id, attempt)
            if n >= 3:  # the first ones warm up
                taken[site.size].append(seconds)
    return {size: statistics.median(values) for size, values in taken.items()}


if __name__ == "__main__":
    sys.exit(not show(figures()))
