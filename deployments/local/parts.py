"""The whole system on this machine, on loopback: code server, daemon, intake, and where wanted the Dagster UI."""

import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from system import START_LIMIT_S, Process, free_port, kill, launch, listens, python, run, stop, unless_set, wait_until

from madvision_assets.work.alive import Part, complaint_of
from madvision_assets.work.keeping import Keeper

LOCATION = "madvision"
# Of Dagster's GraphQL: which code locations it knows, and whether each could be loaded.
LOCATIONS = json.dumps(
    {"query": "{workspaceOrError{... on Workspace{locationEntries{locationOrLoadError{__typename}}}}}"}
).encode()
# Ports that are taken if they are free: UI_PORT=3100 and so on in the environment ask for others.
UI_PORT, CODE_PORT, DAEMON_PORT, INTAKE_PORT, SITE_PORT = (
    int(os.environ.get(f"{part}_PORT", port))
    for part, port in {"UI": 3000, "CODE": 4266, "DAEMON": 4267, "INTAKE": 8000, "SITE": 8321}.items()
)


@dataclass(frozen=True)
class Plan:
    """How a part is started, and how one sees that it is up.

    Attributes:
        arguments: of Python.
        port: where it answers.
        is_up: asked until it says so; None where nothing can be asked.
        awaits: what is waited for, in a few words.
    """

    arguments: list[str]
    port: int
    is_up: Callable[[], bool] | None = None
    awaits: str = "its port"


class System:
    """The parts, each of which can be killed and started again at the same address.

    Args:
        home: where local state is.
        environment: of every part.
        with_ui: whether Dagster's UI is one of them.
        code_server: module and arguments of another code server than ours.

    Attributes:
        intake: address of the intake and its pages.
        ui: address of the Dagster UI; None where it was not wanted.
    """

    def __init__(
        self, home: Path, environment: Mapping[str, str], *, with_ui: bool, code_server: Sequence[str] = ()
    ) -> None:
        self._logs = home / "logs"
        self._running: dict[str, Process] = {}
        code_port, intake_port, ui_port = free_port(CODE_PORT), free_port(INTAKE_PORT), free_port(UI_PORT)
        self.intake = f"http://127.0.0.1:{intake_port}"
        self.ui = f"http://127.0.0.1:{ui_port}" if with_ui else None
        # So that each leads to the other; where somebody says otherwise, that counts.
        links = {"MADVISION_INTERNAL_URL": self.intake, "MADVISION_DAGSTER_URL": self.ui} if self.ui else {}
        told = {name: environment.get(name) or url for name, url in unless_set(links).items()}
        self._environment = {**environment, **told}
        daemon_port = free_port(DAEMON_PORT)
        where = ["-w", str(write_workspace(home, code_port))]
        address = ["--host", "127.0.0.1", "--port"]
        madvision = "madvision_assets.command.main"
        self._plans = {
            "code-server": Plan(
                [*(code_server or [madvision, "code-server"]), *address, str(code_port)],
                code_port,
                partial(listens, code_port),
            ),
            "intake": Plan(
                [madvision, "serve", *address, str(intake_port)], intake_port, partial(listens, intake_port)
            ),
            "daemon": Plan([madvision, "daemon", *where, *address, str(daemon_port)], daemon_port),
        }
        if self.ui is not None:
            page = ["dagster_webserver", "-h", "127.0.0.1", "-p", str(ui_port), *where]
            self._plans["webserver"] = Plan(page, ui_port, partial(has_loaded, self.ui), "the page with our code")

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
            self._running[name] = self._launch(name)
        for name in names or self._plans:
            plan = self._plans[name]
            if plan.is_up is not None:
                wait_until(plan.is_up, plan.awaits, self._running[name])

    def _launch(self, name: str) -> Process:
        return launch(name, python("-m", *self._plans[name].arguments), self._environment, self._logs)

    @contextmanager
    def kept(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Every part, and each started again when it dies or does not do its work; at the end all are stopped.

        Args:
            tell: is told when one is started again, and why.

        Raises:
            RuntimeError: a part did not start; with the end of its log.
        """
        with ExitStack() as running:  # the last one is stopped first, so that nobody asks for one that is gone
            keepers = {name: running.enter_context(self._keeping(name, tell)) for name in self._plans}
            for name, keeper in keepers.items():
                if not keeper.works.wait(START_LIMIT_S):
                    raise RuntimeError(f"{name} does not start; its log: {self._logs / name}.log")
            if self.ui is not None:
                wait_until(partial(has_loaded, self.ui), "the page with our code", self._running["webserver"])
            yield

    @contextmanager
    def _keeping(self, name: str, tell: Callable[[str], None]) -> Iterator[Keeper]:
        ask = partial(complaint_of, Part(name), "127.0.0.1", self._plans[name].port)
        keeper = Keeper(partial(self._popen, name), ask, lambda why: tell(f"{name}: {why}"))
        stop = threading.Event()
        thread = threading.Thread(target=keeper.run, args=(stop,), name=f"keeper of {name}")
        thread.start()
        try:
            yield keeper
        finally:
            stop.set()
            thread.join()
            self._running.pop(name)

    def _popen(self, name: str) -> "subprocess.Popen[bytes]":
        self._running[name] = self._launch(name)
        return self._running[name].popen

    def kill(self, *names: str) -> None:
        """Kill these parts, all of them where none is named, with everything in their process groups."""
        for name in names or tuple(self._running):
            kill(self._running.pop(name))

    def stop(self) -> None:
        """Stop every part, the last one first."""
        while self._running:
            stop(self._running.popitem()[1])


@contextmanager
def whole_system(
    home: Path, environment: Mapping[str, str], *, with_ui: bool, code_server: Sequence[str] = ()
) -> Iterator[System]:
    """Every part, from start to stop; one that dies stays dead until it is started again.

    Raises:
        RuntimeError: a part did not start; with the end of its log.
    """
    system = prepare(home, environment, with_ui=with_ui, code_server=code_server)
    try:
        system.start()
        yield system
    finally:
        system.stop()


def prepare(home: Path, environment: Mapping[str, str], *, with_ui: bool, code_server: Sequence[str] = ()) -> System:
    """The parts, none of them started yet, with all that they need."""
    run(python("-m", "madvision_assets.command.main", "migrate"), environment)
    prepare_instance(home, environment)
    return System(home, environment, with_ui=with_ui, code_server=code_server)


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
