"""How each kind of fault begins and ends: one context manager for each; it gives a word on what it struck."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from system import python

from madvision_assets_tests.chaos import points
from madvision_assets_tests.chaos.gate import Mode
from madvision_assets_tests.chaos.plan import POINT, Fault
from madvision_assets_tests.chaos.report import clear_s
from madvision_assets_tests.chaos.victims import (
    NotNowError,
    children,
    descendants,
    find_victim,
    mark,
    mark_all,
    wait_until_nobody_is_near_parking,
    went_on,
)
from madvision_assets_tests.chaos.world import PARTS, SCRATCH_BYTES, World, start
from madvision_assets_tests.openai_faults import rate_limited, server_error, slow
from madvision_assets_tests.real_servers import Server
from madvision_assets_tests.whole_system import processes_of

RESULT_LIMIT_S = 90.0
HAND_LIMIT_S = 240.0
TWINS = 8
CLOCK_WRONG_S = 3600.0
POLL_S = 0.1
# What a kind has in its hands, which no other may break meanwhile: it would be mended with the first one's end.
# These look for a victim first, and there may be several at once.
SEEKING = {"kill worker", "stop worker", "hang worker", "lose result", "twin", POINT}
HANDS = {
    "lose result": ("result",),
    "kill": ("database", "parts"),
    "kill child": ("parts",),
    "stop": ("parts",),
    "stop machine": ("database", "parts"),
    "kill database": ("database",),
    "stop database": ("database",),
}
# While one of these is on, no sensor can tick.
STOPS_SENSORS = {"kill", "kill child", "stop", "stop machine", "kill database", "stop database", "lose result", "clock"}


@contextmanager
def kill(world: World, fault: Fault) -> Iterator[str]:
    """Parts, unasked, with all that they started; with everything the databases too."""
    everything = fault.target == "everything"
    names = PARTS if everything else (fault.target,)
    if everything or fault.target == "code-server":
        wait_until_nobody_is_near_parking(world)
        mark_all(world)
    world.down.update(names)
    with world.lock:
        for name in names:
            with suppress(KeyError):
                world.system.kill(name)
    if everything:
        for pid in processes_of(world.trial.home):
            _signal(pid, signal.SIGKILL)
        for server in world.databases.values():
            server.kill()
    try:
        yield ""
    finally:
        if everything:
            for server in world.databases.values():
                server.start()
        with world.lock:
            start(world, *names)
            world.down.difference_update(names)


@contextmanager
def kill_child(world: World, fault: Fault) -> Iterator[str]:
    """What a part started to do its work, and not the part: whoever watches only that sees nothing."""
    (part,) = [each for each in world.system.parts if each.name == fault.target]
    struck = children(part.popen.pid)
    for pid in struck:
        _signal(pid, signal.SIGKILL)
    yield f"processes {struck}"


@contextmanager
def kill_worker(world: World, fault: Fault) -> Iterator[str]:
    """The process of a run, at this stage if one is there."""
    victim = find_victim(world, fault.target)
    mark(world, victim)
    _signal(victim.pid, signal.SIGKILL)
    yield str(victim)


@contextmanager
def stop(world: World, fault: Fault) -> Iterator[str]:
    """A part with all that it started stands still, and goes on."""
    found = [part for part in world.system.parts if part.name == fault.target]
    if not found:
        raise NotNowError(f"{fault.target} is down")
    with _stopped(world, [found[0].popen.pid, *descendants(found[0].popen.pid)]):
        yield ""


@contextmanager
def stop_machine(world: World, fault: Fault) -> Iterator[str]:  # noqa: ARG001 - all faults have it
    """Every process of the system and of its databases stands still, and goes on."""
    servers = [server._process.pid for server in world.databases.values()]
    pids = [*processes_of(world.trial.home), *servers, *(pid for each in servers for pid in descendants(each))]
    with _stopped(world, pids):
        yield f"{len(pids)} processes"


@contextmanager
def stop_worker(world: World, fault: Fault) -> Iterator[str]:
    """The process of a run stands still, longer than it takes to be given up, and goes on."""
    victim = find_victim(world, fault.target)
    mark(world, victim)
    with _stopped(world, [victim.pid, *descendants(victim.pid)]):
        yield str(victim)


@contextmanager
def hang_worker(world: World, fault: Fault) -> Iterator[str]:
    """Likewise, and does not go on before its video has: which somebody else must see to."""
    victim = find_victim(world, fault.target)
    mark(world, victim)
    began_at = time.time()
    with _stopped(world, [victim.pid, *descendants(victim.pid)]):
        yield str(victim)
        # While the machine or a database stood still, nobody could see to it.
        while not (is_over := went_on(world, victim)) and at_work_s(world, began_at) < fault.lasts_s:
            time.sleep(POLL_S)
        if not is_over:
            raise HeldUpError(f"{victim} hangs, and nothing was done for its video for {fault.lasts_s:.0f} s")


def at_work_s(world: World, began_at: float) -> float:
    """For how long since then the system could do something."""
    return clear_s(began_at, time.time(), [(first, last) for first, last in world.stops])


class HeldUpError(Exception):
    """A fault that was to be got over was not; says which."""


@contextmanager
def kill_database(world: World, fault: Fault) -> Iterator[str]:
    """PostgreSQL dies, and comes back."""
    servers = _servers(world, fault.target)
    for server in servers:
        server.kill()
    try:
        yield ""
    finally:
        for server in servers:
            server.start()


@contextmanager
def stop_database(world: World, fault: Fault) -> Iterator[str]:
    """PostgreSQL takes connections, and answers none of them."""
    postmasters = [server._process.pid for server in _servers(world, fault.target)]
    with _stopped(world, [pid for each in postmasters for pid in (each, *descendants(each))]):
        yield ""


@contextmanager
def lose_result(world: World, fault: Fault) -> Iterator[str]:
    """What publishing needs is away just when a transcript is made, which is the dearest thing to lose."""
    before = _transcripts(world)
    deadline_s = time.monotonic() + RESULT_LIMIT_S
    while _transcripts(world) == before:
        if time.monotonic() > deadline_s:
            raise NotNowError("no transcript came to its end")
        time.sleep(POLL_S / 2)
    kind, target = ("store", "away") if fault.target == "store" else ("kill database", fault.target)
    away = replace(fault, kind=kind, target=target)
    with hands_on(world, kind), KINDS[kind](world, away):
        yield f"{_transcripts(world)[-1]}"


@contextmanager
def break_store(world: World, fault: Fault) -> Iterator[str]:
    """S3 is away, answers 503, cuts its answers, or is slow."""
    world.store_gate.mode = Mode(fault.target)
    try:
        yield ""
    finally:
        world.store_gate.mode = Mode.OPEN


@contextmanager
def break_names(world: World, fault: Fault) -> Iterator[str]:  # noqa: ARG001 - all faults have it
    """Names do not resolve."""
    with _there(world.inside / points.NO_NAMES):
        yield ""


@contextmanager
def fill_disk(world: World, fault: Fault) -> Iterator[str]:  # noqa: ARG001 - all faults have it
    """The folder of the stages' temporary files is full."""
    if not world.scratch_is_small:
        raise NotNowError("it takes root to have a small disk")
    ballast = world.trial.home / "work" / ".ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        for size in (1024 * 1024, 1):
            with suppress(OSError):
                for _ in range(SCRATCH_BYTES):
                    file.write(bytes(size))
    try:
        yield ""
    finally:
        ballast.unlink()


@contextmanager
def break_analyst(world: World, fault: Fault) -> Iterator[str]:
    """The analyst's API is away, limits its rate, fails, or is slow."""
    openai = world.trial.openai
    if fault.target == "away":
        openai.go_away()
    else:
        openai.always({"429": rate_limited({"retry-after": "4"}), "500": server_error(), "slow": slow(4)}[fault.target])
    try:
        yield ""
    finally:
        openai.always(None)
        if fault.target == "away":
            openai.come_back()


@contextmanager
def break_receiver(world: World, fault: Fault) -> Iterator[str]:
    """Who takes the callbacks does not."""
    world.receiver_gate.mode = Mode(fault.target)
    try:
        yield ""
    finally:
        world.receiver_gate.mode = Mode.OPEN


@contextmanager
def twin(world: World, fault: Fault) -> Iterator[str]:
    """The same is asked for again while it is under way: by many at once, by its own run, by somebody at a terminal."""
    row = find_victim(world, "").row
    video = world.trial.database.get_video(row.video_id)
    asked = video.options.model_dump(exclude_defaults=True)
    if fault.target == "submissions":
        with ThreadPoolExecutor(TWINS) as all_at_once:
            given = list(all_at_once.map(lambda _: _submit(world, video.address, asked), range(TWINS)))
        yield f"{row.video_id}: {sum(given)} of {TWINS} taken"
        return
    world.forgiven[row.video_id] += 1
    if fault.target == "run":
        tags = f'{{"dagster/partition": "{row.video_id}", "madvision/attempt": "{row.attempt}"}}'
        where = ["-w", str(world.trial.home / "dagster" / "workspace.yaml"), "-l", "madvision"]
        command = python("-m", "dagster", "job", "launch", *where, "-j", "process_video", "--tags", tags)
    else:
        command = python("-m", "madvision_assets.command.main", "process", video.address, *_as_flags(asked))
    with (world.folder / "by-hand.log").open("ab") as log:
        done = subprocess.run(
            command, env=world.environment, cwd=world.folder, stdout=log, stderr=log, check=False, timeout=HAND_LIMIT_S
        )
    yield f"{row.video_id}, ended with {done.returncode}"


@contextmanager
def break_clock(world: World, fault: Fault) -> Iterator[str]:  # noqa: ARG001 - all faults have it
    """The daemon's clock is an hour ahead, and is then set right."""
    path = world.inside / points.CLOCK
    with _there(path):
        path.write_text(str(CLOCK_WRONG_S))
        yield ""


@contextmanager
def die_at(world: World, fault: Fault) -> Iterator[str]:
    """Whichever process comes to this point next dies there."""
    armed = world.inside / points.ARMED / fault.target
    if any(part in fault.target for part in ("claim", "told", "start")):
        wait_until_nobody_is_near_parking(world)
    armed.touch()
    deadline_s = time.monotonic() + fault.lasts_s
    try:
        while armed.exists():
            if time.monotonic() > deadline_s:
                raise NotNowError("nobody came to it")
            time.sleep(POLL_S)
    finally:
        armed.unlink(missing_ok=True)
    died = [path.name for path in (world.inside / points.DEAD).glob(f"{fault.target}@*")]
    yield ", ".join(name.partition("@")[2] for name in died)


KINDS: dict[str, Callable[[World, Fault], AbstractContextManager[str]]] = {
    "kill": kill,
    "kill child": kill_child,
    "kill worker": kill_worker,
    "stop": stop,
    "stop machine": stop_machine,
    "stop worker": stop_worker,
    "hang worker": hang_worker,
    "kill database": kill_database,
    "stop database": stop_database,
    "lose result": lose_result,
    "store": break_store,
    "dns": break_names,
    "disk": fill_disk,
    "analyst": break_analyst,
    "receiver": break_receiver,
    "twin": twin,
    "clock": break_clock,
    POINT: die_at,
}


@contextmanager
def hands_on(world: World, kind: str) -> Iterator[None]:
    """Nothing else breaks meanwhile what a fault of this kind does."""
    with ExitStack() as stack:
        for name in HANDS.get(kind, () if kind in SEEKING else (kind,)):
            stack.enter_context(world.hands[name])
        yield


# --- whom and what ---


def _servers(world: World, whose: str) -> list[Server]:
    return list(world.databases.values()) if whose == "both" else [world.databases[whose]]


def _transcripts(world: World) -> list[str]:
    """Videos whose transcript was made, each time."""
    return [str(e["video_id"]) for e in world.ledger() if e["what"] == "worked" and e["step"] == "transcript"]


@contextmanager
def _stopped(world: World, pids: list[int]) -> Iterator[None]:
    with (world.folder / "stopped.txt").open("a") as file:
        file.write("".join(f"{pid}\n" for pid in pids))
    for pid in pids:
        _signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            _signal(pid, signal.SIGCONT)


@contextmanager
def _there(path: Path) -> Iterator[None]:
    path.touch()
    try:
        yield
    finally:
        path.unlink()


def _signal(pid: int, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, sign)


def _submit(world: World, address: str, options: Mapping[str, Any]) -> bool:
    body = {"url": address, "options": options}
    with suppress(httpx.HTTPError):
        return httpx.post(f"{world.system.intake}/public/video", json=body, timeout=30).is_success
    return False


def _as_flags(options: Mapping[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
