"""Points between two writes at which a process can be made to die: named here, and known to nothing in the product.

``install`` runs in every process under test before anything else (``inside/sitecustomize.py``). As soon as a module is
imported that holds one of the functions named below, the function is wrapped: just before and just after it the process
looks into the campaign's folder for a file of the point's name, and if there is one, takes it away and kills itself.
The wrappers also keep a ledger of what was done, and make names and clocks lie where the campaign says so.

Standard library only: whatever is imported here is imported first.
"""

import functools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = "CHAOS_FOLDER"
ARMED, DEAD, WORKERS, TICKS = "armed", "dead", "workers", "ticks"
LEDGER, NO_NAMES, CLOCK = "ledger.jsonl", "no-names", "clock"
SENSORS = ("queue_sensor", "queue_reconciler", "webhook_sensor")
DOMAIN = ".videos.test"
MOMENTS = ("before", "after")

STEPS = ("raw_video", "transcript", "content_type", "clip_candidates", "clips")
# The writes of a stage in their order, with what it begins with.
WRITES = ("begin", "document", "lineage", "pointer", "finished", "materialised", "step-over")
MEDIA_STEPS = ("raw_video", "clips")
# What the sensors and the intake write.
OTHERS = ("claim", "start", "told", "submission")

POINTS = (
    *(f"{write}.{step}.{moment}" for step in STEPS for write in WRITES for moment in MOMENTS),
    *(f"media.{step}.{moment}" for step in MEDIA_STEPS for moment in MOMENTS),
    *(f"{name}.{moment}" for name in OTHERS for moment in MOMENTS),
)

_EVENTS = {"ASSET_MATERIALIZATION": "materialised", "STEP_SUCCESS": "step-over"}


class _Now:
    """What this process is at: one video, and one step of it."""

    video_id = ""
    step = ""


def install() -> None:
    """Be asked for each module that is imported."""
    if FOLDER in os.environ:
        sys.meta_path.insert(0, _Finder())
        socket.getaddrinfo = _resolving(socket.getaddrinfo)


def _folder() -> Path:
    return Path(os.environ[FOLDER])


def note(what: str, **more: object) -> None:
    """A line of the ledger."""
    line = {"what": what, "pid": os.getpid(), "at_s": time.time(), "video_id": _Now.video_id, "step": _Now.step, **more}
    with (_folder() / LEDGER).open("a") as ledger:
        ledger.write(json.dumps(line) + "\n")  # one small write to a file that is appended to: whole


def die_if_told(point: str) -> None:
    """Die here, if the campaign says so; the same step of a video is not killed twice, which would make it poison."""
    armed = _folder() / ARMED / point
    if not armed.exists():
        return
    mine = f"{_Now.video_id or '-'}.{_Now.step or '-'}"
    dead = _folder() / DEAD
    if _Now.video_id and any(dead.glob(f"*@{mine}")):
        return
    with suppress(FileNotFoundError):  # somebody else dies
        armed.rename(dead / f"{point}@{mine}")
        note("died", point=point)
        os.kill(os.getpid(), signal.SIGKILL)


def _around(write: str, *, at_step: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A write with a point before it and one after it."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            name = f"{write}.{_Now.step}" if at_step else write
            die_if_told(f"{name}.before")
            answer = function(*arguments, **named)
            die_if_told(f"{name}.after")
            return answer

        return wrapped

    return wrap


def _beginning(begin: Callable[..., Any]) -> Callable[..., Any]:
    """``Queue.begin``: from here on this process is at this step of this video."""

    @functools.wraps(begin)
    def wrapped(self: Any, video_id: str, run_id: str, attempt: int | None, step: Any, **named: Any) -> Any:
        _Now.video_id, _Now.step = video_id, str(step)
        note("begins", run_id=run_id)
        die_if_told(f"begin.{step}.before")
        lease = begin(self, video_id, run_id, attempt, step, **named)
        (_folder() / WORKERS / video_id).write_text(f"{os.getpid()} {step}")
        die_if_told(f"begin.{step}.after")
        return lease

    return wrapped


def _starting(start: Callable[..., Any]) -> Callable[..., Any]:
    """``Queue.start``: a run's process has come to life."""

    @functools.wraps(start)
    def wrapped(self: Any, video_id: str, run_id: str, attempt: int) -> Any:
        note("starts", run_id=run_id, of=video_id)
        die_if_told("start.before")
        lease = start(self, video_id, run_id, attempt)
        die_if_told("start.after")
        return lease

    return wrapped


def _storing(store_event: Callable[..., Any]) -> Callable[..., Any]:
    """Dagster's ``store_event``: only what tells of the end of a step."""

    @functools.wraps(store_event)
    def wrapped(self: Any, event: Any) -> Any:
        told = event.dagster_event.event_type_value if event.is_dagster_event else ""
        name = _EVENTS.get(told)
        point = f"{name}.{event.dagster_event.step_key}" if name and _Now.video_id else ""
        if point:
            die_if_told(f"{point}.before")
        store_event(self, event)
        if point:
            die_if_told(f"{point}.after")

    return wrapped


def _working(step: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The work of a stage, noted when it is done: what is done twice is seen here, whatever became of it.

    Whoever else does the same work, and knows no queue, can be made to die where it is done.
    """

    def wrap(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            note("works", step=step)
            made = work(*arguments, **named)
            note("worked", step=step)
            die_if_told(f"worked.{step}")
            return made

        return wrapped

    return wrap


def _ticking(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The work of a sensor: when it came to its end last is the time of a file."""

    def wrap(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            answer = work(*arguments, **named)
            with suppress(OSError):
                (_folder() / TICKS / name).touch()
            return answer

        return wrapped

    return wrap


def _shifted(clock: Callable[..., Any]) -> Callable[..., Any]:
    """A clock of the daemon that goes wrong while the campaign says by how much."""
    from datetime import timedelta

    @functools.wraps(clock)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        now = clock(*arguments, **named)
        try:
            wrong_s = float((_folder() / CLOCK).read_text())
        except (OSError, ValueError):
            return now
        return now + (wrong_s if isinstance(now, float) else timedelta(seconds=wrong_s))

    return wrapped if any("dagster._daemon" in word for word in sys.orig_argv) else clock


def _resolving(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Names of ours lead to loopback, unless names are away; others are the system's."""

    @functools.wraps(resolve)
    def wrapped(host: Any, *arguments: Any, **named: Any) -> Any:
        if not (isinstance(host, str) and host.endswith(DOMAIN)):
            return resolve(host, *arguments, **named)
        if (_folder() / NO_NAMES).exists():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve("127.0.0.1", *arguments, **named)

    return wrapped


# Module, what is to be replaced in it, and by what.
_WRAPS: Sequence[tuple[str, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = (
    ("madvision_assets.tools.store.documents", "write_document", _around("document")),
    ("madvision_assets.tools.store.documents", "point_current", _around("pointer")),
    ("madvision_assets.tools.store.objects", "ObjectStore.store_media", _around("media")),
    ("madvision_assets.tools.database.database", "Database.add_lineage", _around("lineage")),
    ("madvision_assets.tools.database.queue", "Queue.begin", _beginning),
    ("madvision_assets.tools.database.queue", "Queue.finish_step", _around("finished")),
    ("madvision_assets.tools.database.queue", "Queue.claim_due", _around("claim", at_step=False)),
    ("madvision_assets.tools.database.queue", "Queue.start", _starting),
    ("madvision_assets.tools.database.submissions", "Submissions.add", _around("submission", at_step=False)),
    ("madvision_assets.work.webhooks", "WebhookSender._settle", _around("told", at_step=False)),
    ("madvision_assets.work.dispatch", "Dispatcher.launches", _ticking(SENSORS[0])),
    ("madvision_assets.defs.runtime.reconcile", "Reconciler.look", _ticking(SENSORS[1])),
    ("madvision_assets.work.webhooks", "WebhookSender.deliver_due", _ticking(SENSORS[2])),
    ("madvision_assets.work.ingest", "Ingest.take", _working("raw_video")),
    ("madvision_assets.work.transcribe", "Transcriber.transcribe", _working("transcript")),
    ("madvision_assets.tools.analyst.openai_analyst", "OpenAIAnalyst.classify", _working("content_type")),
    ("madvision_assets.tools.analyst.openai_analyst", "OpenAIAnalyst.propose", _working("clip_candidates")),
    ("madvision_assets.work.render", "ClipRenderer.render", _working("clips")),
    ("dagster_postgres.event_log.event_log", "PostgresEventLogStorage.store_event", _storing),
    ("dagster._time", "get_current_timestamp", _shifted),
    ("dagster._time", "get_current_datetime", _shifted),
)


def wrap_module(module: ModuleType) -> None:
    """Wrap what is named of this module.

    Raises:
        AttributeError: it is not there any more.
    """
    for name, where, wrap in _WRAPS:
        if name == module.__name__:
            holder, _, attribute = where.rpartition(".")
            place: Any = getattr(module, holder) if holder else module
            setattr(place, attribute, wrap(getattr(place, attribute)))


class _Finder(MetaPathFinder):
    """Finds modules as Python does, and has those that are named above wrapped once they are loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of ours; None leaves it to others."""
        if not any(fullname == name for name, *_ in _WRAPS):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Wrapping(spec.loader)
        return spec


class _Wrapping(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        wrap_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
