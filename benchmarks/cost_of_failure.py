"""What a failure costs at each stage: ours beside a plain Dagster project with its defaults, in one run.

Both sides are whole systems with their settings as delivered, and do the same work with the same tools, at the same
time, so that a busy machine hits both alike; each has one video at a time. A process is killed in the middle of a
stage, or when a stage's work is done and not yet published; or Dagster's database goes away at the end of the
transcript. What is told is what the video took beyond one that nothing befell: megabytes of the site, seconds of audio
given to Whisper, tokens that the language model billed, CPU seconds of the runs with everything below them, and seconds
until the video was done.
"""

import argparse
import ctypes
import json
import math
import os
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import astuple, dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dagster as dg
import plain_pipeline
import yaml  # type: ignore[import-untyped]
from cpu import Cpu
from measure import ROOT
from parts import LOCATION, write_workspace
from system import free_port, launch, listens, local_environment, python, stop, wait_until

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import web_video_id
from madvision_assets.settings import Settings
from madvision_assets_tests.chaos import points
from madvision_assets_tests.chaos.victims import children
from madvision_assets_tests.fakes import KEY, FakeOpenAI
from madvision_assets_tests.openai_faults import slow
from madvision_assets_tests.real_servers import Server, over_tcp, postgres_server
from madvision_assets_tests.site import Site
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import short_talk, trial, workers_of

TALK_S, DOWNLOAD_S, ANSWER_S = 20.0, 6.0, 4.0
AWAY_S = 25.0
# The database goes when so much of the transcript is done, and is away at its end.
NEAR_THE_END = 0.8
LIMIT_S = 900.0
# What players skip: bytes to fetch that take nobody's time, and make each video another one.
PADDING_BYTES = 8_000_000
# A name of another length would be other tokens.
TALK, NAME, TRIES = "talk.mp4", "video-{:05}", 1000
TIDIERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
INSIDE = Path(points.__file__).parent / "inside"

Ledger = list[dict[str, Any]]


@dataclass(frozen=True)
class Spent:
    """What a video took; the seconds are from the first work on it, and without end where it was not done in time."""

    megabytes: float
    audio_s: float
    tokens: float
    cpu_s: float
    seconds: float

    def beyond(self, usual: "Spent") -> "Spent":
        """What was paid again; what the machine's moods made less is nothing."""
        return Spent(*(max(0.0, mine - its) for mine, its in zip(astuple(self), astuple(usual), strict=True)))


FORMS = ("{:.1f}", "{:.0f}", "{:,.0f}", "{:.1f}", "{:.0f}")
COLUMNS = ("MB fetched", "s of audio", "tokens", "CPU s", "s of waiting")


@dataclass
class Side:
    """A system while it runs.

    Attributes:
        inside: where its processes write what they do, and look whether they are to die.
        submit: hands in a video of this name; its ID and its path on the site.
        is_done: whether a video is done.
        last_moment: of a stage: the point at which its work is done and not yet published.
        code_server: process ID; its children are the runs.
        dagster_database: the server of Dagster's state.
        usual_s: how long the work of each stage takes when nothing befalls it.
    """

    name: str
    home: Path
    inside: Path
    site: Site
    openai: FakeOpenAI
    submit: Callable[[str, bytes], tuple[str, str]]
    is_done: Callable[[str], bool]
    last_moment: Callable[[PipelineStep], str]
    code_server: int
    dagster_database: Server
    usual_s: dict[PipelineStep, float] = field(default_factory=dict)

    def ledger(self, since: int = 0) -> Ledger:
        """What its processes wrote, from this line on."""
        path = self.inside / points.LEDGER
        return [json.loads(line) for line in path.read_text().splitlines()[since:]] if path.exists() else []

    def lines(self, what: str, step: PipelineStep, since: int) -> Ledger:
        """The lines that tell of this, after so many."""
        return [line for line in self.ledger(since) if (line["what"], line["step"]) == (what, step)]

    def is_idle(self) -> bool:
        """Whether nobody works, and every run that has ended is accounted for."""
        # Beside runs, there are those of multiprocessing. One that is about to end has no command any more.
        those_that_stay = (any(word in _command(pid) for word in TIDIERS) for pid in children(self.code_server))
        return not workers_of(self.home) and all(those_that_stay)


Fault = Callable[[Side, PipelineStep, int], None]


class TooLateError(Exception):
    """The stage was over before its process was killed: it took longer when nothing befell it."""


def killed_midway(side: Side, step: PipelineStep, since: int) -> None:
    """The process that does the stage is killed when about half of it is done."""
    line, *_ = wait_for(lambda: side.lines("works", step, since), LIMIT_S, f"{side.name}: {step}")
    time.sleep(side.usual_s[step] / 2)
    if side.lines("worked", step, since):
        raise TooLateError
    os.kill(line["pid"], signal.SIGKILL)


def killed_unpublished(side: Side, step: PipelineStep, since: int) -> None:
    """The process that does the stage dies when its work is done, and nothing of it is published yet."""
    point = side.last_moment(step)
    (side.inside / points.ARMED / point).touch()
    wait_for(lambda: [line for line in side.ledger(since) if line["what"] == "died"], LIMIT_S, point)


def database_away(side: Side, step: PipelineStep, since: int) -> None:
    """Dagster's database is killed shortly before the stage is over, and is away for a while."""
    wait_for(lambda: side.lines("works", step, since), LIMIT_S, f"{side.name}: {step}")
    time.sleep(side.usual_s[step] * NEAR_THE_END)
    side.dagster_database.kill()
    time.sleep(AWAY_S)
    side.dagster_database.start()


FAULTS: Mapping[str, tuple[Fault, Sequence[PipelineStep]]] = {
    "killed in the middle": (killed_midway, tuple(PipelineStep)),
    "killed before publishing": (killed_unpublished, tuple(PipelineStep)),
    "database away": (database_away, (PipelineStep.TRANSCRIPT,)),
}


def _environment(home: Path) -> dict[str, str]:
    """What is the same for both, beside what a trial sets."""
    for name in (points.ARMED, points.DEAD, points.WORKERS, points.TICKS):
        (home / "inside" / name).mkdir(parents=True)
    (home / "tmp").mkdir()
    shortened = {f"MADVISION_{name.upper()}": Settings.model_fields[name] for name in ("lost_after_s", "retry_base_s")}
    return {
        **{name: str(setting.default) for name, setting in shortened.items()},
        "OMP_WAIT_POLICY": "PASSIVE",
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": os.pathsep.join((str(INSIDE), str(ROOT))),
        points.FOLDER: str(home / "inside"),
    }


@contextmanager
def _dagster_server(home: Path, wanted: Mapping[str, Any]) -> Iterator[Server]:
    """A database for Dagster's state, and the instance that names it."""
    (home / "dagster").mkdir(parents=True)
    with postgres_server(home) as (url, server):
        instance = {**wanted, "storage": {"postgres": {"postgres_url": over_tcp(url)}}}
        (home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(instance))
        yield server


@contextmanager
def ours(home: Path) -> Iterator[Side]:
    """The real system, from start to stop."""
    with ExitStack() as running:
        server = running.enter_context(_dagster_server(home, yaml.safe_load((ROOT / "dagster.yaml").read_text())))
        (home / "database").mkdir()
        url, _ = running.enter_context(postgres_server(home / "database"))
        system = running.enter_context(trial(home, over_tcp(url), _environment(home)))
        system.openai.always(slow(ANSWER_S))
        [code_server] = (part.popen.pid for part in system.system.parts if part.name == "code-server")

        def submit(name: str, body: bytes) -> tuple[str, str]:
            video_id = system.submit(name, body, seconds=DOWNLOAD_S)
            return video_id, system.paths[video_id]

        yield Side(
            "ours", home, home / "inside", system.site, system.openai, submit,
            lambda video_id: system.row(video_id).status is QueueStatus.DONE, "document.{}.before".format, code_server,
            server,
        )  # fmt: skip


@contextmanager
def plain(home: Path) -> Iterator[Side]:
    """The peer, from start to stop."""
    with ExitStack() as running:
        site, openai = running.enter_context(Site()), running.enter_context(FakeOpenAI())
        openai.always(slow(ANSWER_S))
        server = running.enter_context(_dagster_server(home, plain_pipeline.INSTANCE))
        environment = {
            **local_environment(home),
            **_environment(home),
            "MADVISION_ALLOW_PRIVATE": "1",
            "MADVISION_ANALYST": "openai",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": openai.base_url,
        }
        instance = running.enter_context(dg.DagsterInstance.from_config(str(home / "dagster")))
        code_server = running.enter_context(_daemon_and_code_server(home, environment))
        with closing(sqlite3.connect(home / plain_pipeline.ROWS)) as connection:
            connection.execute(plain_pipeline.TABLE)

        def submit(name: str, body: bytes) -> tuple[str, str]:
            path = f"/{name}.mp4"
            address = site.serve(path, body, content_type="video/mp4", bytes_per_s=int(len(body) / DOWNLOAD_S))
            video_id = web_video_id(address)
            with closing(sqlite3.connect(home / plain_pipeline.ROWS)) as connection, connection:
                connection.execute("INSERT INTO rows VALUES (?, ?, 'new')", (video_id, address))
            return video_id, path

        yield Side(
            "Dagster's defaults", home, home / "inside", site, openai, submit, partial(_has_succeeded, instance),
            "worked.{}".format, code_server, server,
        )  # fmt: skip


@contextmanager
def _daemon_and_code_server(home: Path, environment: Mapping[str, str]) -> Iterator[int]:
    port = free_port(0)
    file = str(ROOT / "benchmarks" / "plain_pipeline.py")
    grpc = ["-m", "dagster", "api", "grpc", "-f", file, "--location-name", LOCATION]
    with ExitStack() as parts:
        where = python(*grpc, "--host", "127.0.0.1", "--port", str(port))
        code_server = launch("code-server", where, environment, home / "logs")
        parts.callback(stop, code_server)
        wait_until(partial(listens, port), "its port", code_server)
        workspace = str(write_workspace(home, port))
        daemon = launch("daemon", python("-m", "dagster._daemon", "run", "-w", workspace), environment, home / "logs")
        parts.callback(stop, daemon)
        yield code_server.popen.pid


def _has_succeeded(instance: dg.DagsterInstance, video_id: str) -> bool:
    with suppress(Exception):  # its database is away
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": video_id}))
        return any(run.status is dg.DagsterRunStatus.SUCCESS for run in runs)
    return False


def play(side: Side, name: str, body: bytes, befalls: tuple[Fault, PipelineStep] | None = None) -> Spent:
    """One video from its submission until nobody works at it any more, with what befalls it."""
    wait_for(side.is_idle, LIMIT_S, "the end of the one before")
    since, billed = len(side.ledger()), len(side.openai.billed)
    orphans, cpu_s = Orphans(), Cpu.of_tree(side.code_server).ended_s
    video_id, path = side.submit(name, body)
    first, *_ = wait_for(lambda: side.lines("works", PipelineStep.RAW_VIDEO, since), LIMIT_S, f"work at {name}")
    if befalls is not None:
        fault, step = befalls
        fault(side, step, since)
    ended_s = math.inf
    with suppress(TimeoutError):  # it may hang for good
        wait_for(lambda: side.is_done(video_id), LIMIT_S)
        ended_s = time.time()
        wait_for(side.is_idle, LIMIT_S)
    return Spent(
        megabytes=sum(hit.sent_bytes for hit in side.site.hits(path)) / 1e6,
        audio_s=len(side.lines("works", PipelineStep.TRANSCRIPT, since)) * TALK_S,
        tokens=sum(side.openai.billed[billed:]),
        cpu_s=Cpu.of_tree(side.code_server).ended_s - cpu_s + orphans.cpu_s(),
        seconds=ended_s - first["at_s"],
    )


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    return ""


class Orphans:
    """What lost its parent from now on, such as the ffmpeg of a worker that was killed: it becomes our child."""

    def __init__(self) -> None:
        self._known = set(children(os.getpid()))

    def cpu_s(self) -> float:
        """CPU seconds of those that have ended."""
        found = 0.0
        for pid in set(children(os.getpid())) - self._known:
            with suppress(OSError):
                is_server = Path(f"/proc/{pid}/comm").read_text().startswith("postgres")
                ended, _, usage = os.wait4(pid, os.WNOHANG)
                found += usage.ru_utime + usage.ru_stime if ended and not is_server else 0.0
        return found


def learn(side: Side, bodies: Iterator[bytes], videos: int) -> Spent:
    """What a video takes that nothing befalls, medians of several; the one before them fills caches."""
    found, since = [], 0
    for number in range(1 + videos):
        since = len(side.ledger())
        found.append(play(side, NAME.format(number), next(bodies)))
        _tell(f"{side.name}, unbroken: {found[-1]}")
    at_s = {(line["what"], line["step"]): line["at_s"] for line in side.ledger(since)}
    side.usual_s = {step: at_s["worked", step] - at_s["works", step] for step in PipelineStep}
    return Spent(*(statistics.median(values) for values in zip(*map(astuple, found[1:]), strict=True)))


def strike(side: Side, step: PipelineStep, fault: Fault, number: int, bodies: Iterator[bytes]) -> Spent:
    """What a video takes that a fault befalls at this stage; another one where it came too late for the first."""
    while True:
        try:
            return play(side, NAME.format(number), next(bodies), (fault, step))
        except TooLateError:
            side.usual_s[step] /= 2
            number += TRIES


def row(step: PipelineStep, ours: Spent, plain: Spent) -> str:
    """A line of the table: what was paid again, ours and theirs."""
    paid = zip(FORMS, astuple(ours), astuple(plain), strict=True)
    return (
        " | ".join([f"| `{step}`", *(f"{_said(form, mine)} / {_said(form, its)}" for form, mine, its in paid)]) + " |"
    )


def _said(form: str, value: float) -> str:
    return form.format(value) if math.isfinite(value) else f"not done in {LIMIT_S:.0f} s"


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


SIDES = {"ours": ours, "plain": plain}
Asked = list[tuple[str, PipelineStep]]


def measured(name: str, folder: Path, asked: Asked, unbroken: int) -> list[Spent]:
    """What each fault at each stage made a side pay again; in a process of its own, whose children orphans become."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    talk = (folder / TALK).read_bytes()
    box = PADDING_BYTES.to_bytes(4, "big") + b"free"
    bodies = (talk + box + number.to_bytes(PADDING_BYTES - len(box), "big") for number in range(TRIES))
    paid = []
    with SIDES[name](folder / name) as side:
        usual = learn(side, bodies, unbroken)
        for number, (kind, step) in enumerate(asked, 1 + unbroken):
            paid.append(strike(side, step, FAULTS[kind][0], number, bodies).beyond(usual))
            _tell(f"{side.name}, {kind}, {step}: {paid[-1]}")
    return paid


def main() -> None:
    """Play what is asked for, and print a table for each fault."""
    parser = argparse.ArgumentParser(description="What a failure costs: ours / Dagster's defaults.")
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--stages", nargs="*", choices=[*map(str, PipelineStep)], default=[*map(str, PipelineStep)])
    parser.add_argument("--unbroken", type=int, default=2, help="videos that nothing befalls (default: %(default)s)")
    wanted = parser.parse_args()
    asked = [(kind, step) for kind in wanted.faults for step in FAULTS[kind][1] if step in wanted.stages]
    with tempfile.TemporaryDirectory(prefix="mv-cost-") as name:
        folder = Path(name)
        (folder / TALK).write_bytes(short_talk(folder, TALK_S))
        with ProcessPoolExecutor(len(SIDES), get_context("spawn")) as pool:
            runs = [pool.submit(measured, side, folder, asked, wanted.unbroken) for side in SIDES]
            found = list(zip(asked, *(run.result() for run in runs), strict=True))
    for kind in wanted.faults:
        print(f"\n{kind}\n\n| stage | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
        print("\n".join(row(step, mine, its) for (played, step), mine, its in found if played == kind))


if __name__ == "__main__":
    main()
