"""The whole system on this machine, on loopback: code server, daemon, intake, and where wanted the Dagster UI."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from system import START_LIMIT_S, Process, free_port, kill, launch, listens, python, run, stop, wait_until

LOCATION = "madvision"
# Of Dagster's GraphQL: which code locations it knows, and whether each could be loaded.
LOCATIONS = json.dumps(
    {"query": "{workspaceOrError{... on Workspace{locationEntries{locationOrLoadError{__typename}}}}}"}
).encode()
UI_PORT, CODE_PORT, INTAKE_PORT, SITE_PORT = 3000, 4266, 8000, 8321


@dataclass(frozen=True)
class Plan:
    """How a part is started, and how one sees that it is up.

    Attributes:
        arguments: of Python.
        is_up: asked until it says so; None where nothing can be asked.
        awaits: what is waited for, in a few words.
    """

    arguments: list[str]
    is_up: Callable[[], bool] | None = None
    awaits: str = "its port"


class System:
    """The parts, each of which can be killed and started again at the same address.

    Attributes:
        intake: address of the intake and its pages.
        ui: address of the Dagster UI; None where it was not wanted.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], *, with_ui: bool) -> None:
        self._environment = environment
        self._logs = home / "logs"
        self._running: dict[str, Process] = {}
        code_port, intake_port, ui_port = free_port(CODE_PORT), free_port(INTAKE_PORT), free_port(UI_PORT)
        self.intake = f"http://127.0.0.1:{intake_port}"
        self.ui = f"http://127.0.0.1:{ui_port}" if with_ui else None
        where = ["-w", str(write_workspace(home, code_port))]
        address = ["--host", "127.0.0.1", "--port"]
        server = ["dagster", "code-server", "start", "-m", "madvision_assets.definitions", "--location-name", LOCATION]
        self._plans = {
            "code-server": Plan([*server, *address, str(code_port)], partial(listens, code_port)),
            "intake": Plan(
                ["madvision_assets.command.main", "serve", *address, str(intake_port)], partial(listens, intake_port)
            ),
            "daemon": Plan(["dagster._daemon", "run", *where]),
        }
        if self.ui is not None:
            page = ["dagster_webserver", "-h", "127.0.0.1", "-p", str(ui_port), *where]
            self._plans["webserver"] = Plan(page, partial(has_loaded, self.ui), "the page with our code")

    @property
    def parts(self) -> tuple[Process, ...]:
        """Every part that was started and not stopped by us."""
        return tuple(self._running.values())

    def start(self, *names: str) -> None:
        """Start these parts, all of them where none is named, and wait until they are up.

        Raises:
            RuntimeError: a part did not start; with the end of its log.
        """
        for name in names or self._plans:
            self._running[name] = launch(
                name, python("-m", *self._plans[name].arguments), self._environment, self._logs
            )
        for name in names or self._plans:
            plan = self._plans[name]
            if plan.is_up is not None:
                wait_until(plan.is_up, plan.awaits, self._running[name])

    def kill(self, *names: str) -> None:
        """Kill these parts, all of them where none is named, with everything in their process groups."""
        for name in names or tuple(self._running):
            kill(self._running.pop(name))

    def stop(self) -> None:
        """Stop every part, the last one first."""
        while self._running:
            stop(self._running.popitem()[1])


@contextmanager
def whole_system(home: Path, environment: Mapping[str, str], *, with_ui: bool) -> Iterator[System]:
    """Every part, from start to stop.

    Raises:
        RuntimeError: a part did not start; with the end of its log.
    """
    run(python("-m", "madvision_assets.command.main", "migrate"), environment)
    prepare_instance(home, environment)
    system = System(home, environment, with_ui=with_ui)
    try:
        system.start()
        yield system
    finally:
        system.stop()


def prepare_instance(home: Path, environment: Mapping[str, str]) -> None:
    """Make the Dagster instance with the limits of its pools, before several processes would at once."""
    code = (
        "from pathlib import Path; from madvision_assets.defs.launch import open_instance; import sys; "
        "open_instance(Path(sys.argv[1]), Path('dagster.yaml')).dispose()"
    )
    run(python("-c", code, str(home / "dagster")), environment)


def write_workspace(home: Path, code_port: int) -> Path:
    """A workspace that points at our code server, under the name that the root workspace.yaml has too."""
    workspace = home / "dagster" / "workspace.yaml"
    server = f"host: 127.0.0.1, port: {code_port}, location_name: {LOCATION}"
    workspace.write_text(f"load_from:\n  - grpc_server: {{{server}}}\n")
    return workspace


def has_loaded(address: str) -> bool:
    """Whether the UI shows our code location."""
    request = urllib.request.Request(f"{address}/graphql", LOCATIONS, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=START_LIMIT_S) as answer:  # noqa: S310 - loopback
            entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    except OSError:
        return False
    return [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries] == ["RepositoryLocation"]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps silent."""

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is for the pipeline."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A web site on loopback that holds a folder; at the same address each time, where its port is free."""
    server = ThreadingHTTPServer(("127.0.0.1", free_port(SITE_PORT)), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
