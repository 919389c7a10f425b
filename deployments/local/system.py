"""The parts of the system as processes of this machine, on loopback, each started and stopped by us."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from madvision_assets.settings import read_variable

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "deployments" / "local"
SAMPLE = LOCAL / "sample_talk" / "sample_talk.mp4"
MODEL = "tiny.en"  # real, small, English, and in a package (models.txt)
START_LIMIT_S = 120
STOP_LIMIT_S = 20


@dataclass(frozen=True)
class Process:
    """One part that runs."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path


def local_environment(home: Path) -> dict[str, str]:
    """Our environment, with everything below one home and the small model where no other is asked for."""
    fixed = {"MADVISION_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "PYTHONUNBUFFERED": "1"}
    return {"MADVISION_WHISPER_MODEL": MODEL, **os.environ, **fixed}


def unless_set(defaults: Mapping[str, str]) -> dict[str, str]:
    """These variables as the environment or an ``.env`` file has them, and those that neither has as they are here."""
    return {name: read_variable(name) or default for name, default in defaults.items()}


def demo_environment(home: Path) -> dict[str, str]:
    """That of the demo: no key is used, and the sample's site on loopback may be reached."""
    return {"MADVISION_ANALYST": "offline", "MADVISION_ALLOW_PRIVATE": "1", **local_environment(home)}


def home_folder() -> Path:
    """Where local state lives."""
    return Path(read_variable("MADVISION_HOME") or ROOT / ".madvision").expanduser().absolute()


def free_port(preferred: int) -> int:
    """The preferred port where nobody listens on it, else one that the system picks."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("No free port on 127.0.0.1.")


def launch(name: str, command: list[str], environment: Mapping[str, str], logs: Path) -> Process:
    """One part, in a process group of its own."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("ab") as out:
        popen = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return Process(name, popen, log)


def run(command: list[str], environment: Mapping[str, str]) -> None:
    """One command, to its end; its output is ours.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run(
        command, cwd=ROOT, env=dict(environment), check=True, timeout=START_LIMIT_S, stdout=subprocess.DEVNULL
    )


def stop(part: Process) -> None:
    """End a part and everything in its process group: asked first, then killed."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(part.popen.pid, sign)
        except ProcessLookupError:
            break
        try:
            part.popen.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            continue
    part.popen.wait()


def kill(part: Process) -> None:
    """Kill a part and everything in its process group, unasked."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(part.popen.pid, signal.SIGKILL)
    part.popen.wait()


def wait_until(condition: Callable[[], bool], what: str, part: Process) -> None:
    """Until the condition holds.

    Raises:
        RuntimeError: the part ended, or it took too long; with the end of its log.
    """
    deadline_s = time.monotonic() + START_LIMIT_S
    while part.popen.poll() is None and time.monotonic() < deadline_s:
        if condition():
            return
        time.sleep(0.2)
    tail = part.log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{part.name}: {what} was waited for in vain. The end of {part.log}:\n{tail}")


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def python(*arguments: str) -> list[str]:
    """A command of this Python."""
    return [sys.executable, *arguments]
