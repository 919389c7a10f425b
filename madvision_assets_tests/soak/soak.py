"""``make soak``: the real system under the load of a plan, watched until it is done or its time is over."""

import argparse
import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import httpx
import parts
import yaml  # type: ignore[import-untyped]
from parts import System, whole_system
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine
from system import ROOT, local_environment

from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets_tests import footage
from madvision_assets_tests.databases import shut_breakers
from madvision_assets_tests.real_servers import Server, over_tcp, postgres_server
from madvision_assets_tests.soak import code_server, pipeline, report, usage
from madvision_assets_tests.soak.checked import compare
from madvision_assets_tests.soak.plan import SoakPlan, make_plan
from madvision_assets_tests.soak.records import Record, broken, read_records

CODE_SERVER = "code-server"
POLL_S = 1.0
SAMPLE_S = 5.0
REQUEST_LIMIT_S = 60.0
TIDY_LIMIT_S = 90.0
LOOKED_AT = 20  # pages of videos, at the end
MEDIA_S = 6.0
# After its start the system is left to itself, and then looked at while it has nothing to do.
SETTLE_S, IDLE_S = 10.0, 20.0


@dataclass
class World:
    """The system, and what it stands on.

    Attributes:
        system: its parts.
        database: our tables.
        dagster: the engine of Dagster's.
        servers: the processes of PostgreSQL, by whose they are.
    """

    system: System
    database: Database
    dagster: Engine
    servers: Mapping[str, Server]

    def used(self) -> usage.Usage:
        """What everything takes."""
        pids = {part.name: part.popen.pid for part in self.system.parts}
        pids |= {f"PostgreSQL, {name}": server.pid for name, server in self.servers.items()}
        return usage.usage_of(pids, CODE_SERVER)

    def figures(self) -> usage.Figures:
        """What everything has taken so far."""
        databases = {"ours": self.database.engine, "dagster": self.dagster}
        return usage.Figures(
            busy_s=usage.machine_busy_s(),
            cpu_s=self.used().cpu_s,
            connections={name: usage.connections(engine) for name, engine in databases.items()},
            sizes={name: usage.table_sizes(engine) for name, engine in databases.items()},
            events=usage.event_types(self.dagster),
        )


@dataclass
class Watched:
    """What was seen while it ran."""

    samples: list[report.Sample] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@contextmanager
def open_world(folder: Path, plan: SoakPlan, in_flight: int) -> Iterator[World]:
    """Everything, from start to stop."""
    home = folder / "home"
    (home / "dagster").mkdir(parents=True)
    (home / pipeline.FAILED).mkdir()
    footage.numbered(home / pipeline.MEDIA, MEDIA_S)
    plan.write(home / pipeline.PLAN)
    with _postgres(folder / "ours") as (ours, one), _postgres(folder / "dagster") as (its, other):
        wanted = yaml.safe_load((ROOT / "dagster.yaml").read_text())
        wanted["storage"] = {"postgres": {"postgres_url": its}}
        wanted["concurrency"]["runs"]["max_concurrent_runs"] = in_flight
        (home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(wanted))
        environment = {
            **local_environment(home),
            "MADVISION_DATABASE_URL": ours,
            "MADVISION_ANALYST": "offline",
            "MADVISION_MAX_IN_FLIGHT": str(in_flight),
            "MADVISION_RETRY_BASE_S": "2",
            "MADVISION_REQUESTS_PER_MINUTE": "0",
        }
        database, dagster = Database(ours), create_engine(its)
        # Another system on this machine may have the usual ports.
        with (
            patch.multiple(parts, CODE_PORT=0, INTAKE_PORT=0, DAEMON_PORT=0),
            whole_system(home, environment, with_ui=False, code_server=[code_server.__name__]) as system,
        ):
            yield World(system, database, dagster, {"ours": one, "dagster": other})
        database.engine.dispose()
        dagster.dispose()


@contextmanager
def _postgres(folder: Path) -> Iterator[tuple[str, Server]]:
    folder.mkdir()
    with postgres_server(folder) as (url, server):
        yield over_tcp(url), server


class Soak:
    """One soak.

    Args:
        plan: what is to happen.
        world: to what.
    """

    def __init__(self, plan: SoakPlan, world: World) -> None:
        self._plan = plan
        self._world = world
        self._began_s = time.monotonic()
        self.watched = Watched()

    @property
    def at_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began_s

    def play(self) -> None:
        """Submit as planned, and watch, until everything has ended or the time is over."""
        left = list(self._plan.videos)
        next_sample_s = 0.0
        while self.at_s < self._plan.minutes * 60:
            due = [video for video in left if video.at_s <= self.at_s]
            if due:
                self._submit([(video.video_id, video.address, video.priority) for video in due])
                left = left[len(due) :]
            if self.at_s >= next_sample_s:
                next_sample_s = self.at_s + SAMPLE_S
                ended = self._sample()
                if not left and ended == len(self._plan.videos):
                    return
            time.sleep(POLL_S)

    def _submit(self, videos: list[tuple[str, str, int]]) -> None:
        asked = [{"url": address, "priority": priority} for _, address, priority in videos]
        answer = httpx.post(
            f"{self._world.system.intake}/public/videos", json={"videos": asked}, timeout=REQUEST_LIMIT_S
        )
        receipts = answer.raise_for_status().json()["submissions"]
        for (video_id, address, _), receipt in zip(videos, receipts, strict=True):
            if receipt.get("video_id") == video_id:
                self.watched.tokens[video_id] = receipt["token"]
            else:
                self.watched.refused.append(f"{address} was not taken as {video_id}: {receipt}")

    def _sample(self) -> int:
        records = read_records(self._world.database).values()
        ended = sum(record.status.is_final for record in records)
        self.watched.samples.append(report.Sample(self.at_s, ended, self._world.used().rss_mib))
        print(f"{self.at_s:6.0f} s  {ended} of {len(self._plan.videos)} have ended", flush=True)  # noqa: T201 - the answer
        return ended

    def leftovers(self, records: Mapping[str, Record]) -> list[str]:
        """What must not be left once everything has ended, and what the API tells that the tables do not."""
        found = [f"{part.name} has ended" for part in self._world.system.parts if part.popen.poll() is not None]
        found += [f"the breaker {name} is open" for name in shut_breakers(self._world.database)]
        dice = random.Random(self._plan.seed)  # noqa: S311 - which pages are looked at is no secret
        tokens = self.watched.tokens
        for video_id in dice.sample(sorted(tokens), min(LOOKED_AT, len(tokens))):
            there = {"Authorization": f"Bearer {tokens[video_id]}"}
            url = f"{self._world.system.intake}/public/video/status"
            told = httpx.get(url, headers=there, timeout=REQUEST_LIMIT_S).raise_for_status().json()
            if records[video_id].status.is_final and told["status"] != records[video_id].status:
                found.append(f"{video_id}: its submitter is told {told['status']}")
        if all(record.status.is_final for record in records.values()):
            found += self._slots()
        return found

    def _slots(self) -> list[str]:
        """Slots of pools that are still taken when nothing runs; the last run gives its own back as it ends."""
        query = "SELECT count(*) FROM concurrency_slots WHERE run_id IS NOT NULL"
        deadline_s = time.monotonic() + TIDY_LIMIT_S
        while time.monotonic() < deadline_s:
            with self._world.dagster.connect() as connection:
                taken = connection.exec_driver_sql(query).scalar_one()
            if not taken:
                return []
            time.sleep(POLL_S)
        return [f"{taken} slots of pools are taken, and nothing runs"]


def idle_of(world: World) -> dict[str, float]:
    """Cores that each part keeps busy while there is nothing to do."""
    time.sleep(SETTLE_S)
    before, began_s = world.used(), time.monotonic()
    time.sleep(IDLE_S)
    after, lasted_s = world.used(), time.monotonic() - began_s
    return {name: (cpu_s - before.cpu_s[name]) / lasted_s for name, cpu_s in after.cpu_s.items()}


def run(plan: SoakPlan, folder: Path, in_flight: int) -> report.Report:
    """One soak, and its figures."""
    with open_world(folder, plan, in_flight) as world:
        idle = idle_of(world)
        soak = Soak(plan, world)
        before = world.figures()
        soak.play()
        records = read_records(world.database)
        wrong = soak.watched.refused + broken(plan.videos, records) + soak.leftovers(records)
        grown, lasted_s = world.figures() - before, soak.at_s
    ended = [record for record in records.values() if record.ended_at]
    began = min(record.came_at for record in records.values())
    ends_s = [(record.ended_at - began).total_seconds() for record in ended if record.ended_at]
    made = max(1.0, sum(record.made.total() for record in records.values()) / len(PipelineStep))
    asked = {"seed": plan.seed, "videos": len(plan.videos), "minutes": plan.minutes, "scale": plan.scale}
    found = report.Report(
        plan={**asked, "in_flight": in_flight},
        cores=[float(os.cpu_count() or 1), max(0.0, grown.busy_s - sum(grown.cpu_s.values())) / lasted_s],
        wall_s=max(ends_s, default=0.0),
        submitted=len(records),
        ended=len(ended),
        states=report.states(records.values()),
        not_launched=report.not_launched(records.values()),
        videos_per_hour=report.steady_rate(ends_s),
        waiting_s=report.waiting(records.values()),
        turnaround_s=report.turnaround(ended),
        idle=idle,
        cpu_s={name: round(cpu_s / made, 3) for name, cpu_s in grown.cpu_s.items()},
        connections={name: count / made for name, count in grown.connections.items()},
        memory=report.memory(soak.watched.samples),
        tables={name: report.per_video(sizes, made) for name, sizes in grown.sizes.items()},
        events=report.per_video(grown.events, made),
        broken=wrong,
    )
    found.simulated = compare(plan, found, records)
    return found


def show(found: report.Report) -> None:
    """The table."""
    table = Table(title="Soak")
    for column in ("Of", "Figure", "Measured"):
        table.add_column(column, overflow="fold")
    for line in report.lines(found):
        table.add_row(*line)
    console = Console(width=120)
    console.print(table)
    for sentence in found.broken:
        console.print(f"BROKEN {sentence}")


def main() -> int:
    """One soak, as the arguments say."""
    parser = argparse.ArgumentParser(description="The real system under a load of many videos.")
    parser.add_argument("--videos", type=int, default=2000, help="how many (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=40.0, help="in which (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the plan (default: %(default)s)")
    parser.add_argument(
        "--scale", type=float, help="of the service times; by default so that the GPU is busy for 60 %%"
    )
    parser.add_argument("--in-flight", type=int, default=8, help="videos at once (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("soak.json"), help="file of the figures (default: %(default)s)"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # so that everything that runs is stopped
    plan = make_plan(arguments.seed, arguments.videos, arguments.minutes, arguments.scale)
    folder = Path(tempfile.mkdtemp(prefix="madvision-soak-"))
    found = run(plan, folder, arguments.in_flight)
    show(found)
    arguments.out.write_text(json.dumps(found.as_json(), indent=1) + "\n")
    left = found.submitted - found.ended
    if left:
        hourly = found.videos_per_hour
        needs = f"{left / hourly * 60:.0f} more minutes" if hourly else f"more than {math.ceil(plan.minutes)} minutes"
        print(f"{left} videos were not reached in time, and are not judged: they would take {needs}.")  # noqa: T201
    if found.broken:
        print(f"{len(found.broken)} promises were broken. The logs: {folder}")  # noqa: T201 - as above
        return 1
    shutil.rmtree(folder)
    print(f"Every promise held. The figures: {arguments.out}")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main())
