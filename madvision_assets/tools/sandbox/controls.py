"""Which controls this machine has, and how a command is started under them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from madvision_assets.domain.failures import SandboxUnusableError
from madvision_assets.tools.sandbox import landlock, libc
from madvision_assets.tools.sandbox.policy import Policy

LAUNCHER = Path(__file__).with_name("launcher.py")
CONTROLS = ("namespaces", "landlock", "seccomp")
LOOK_S, LOOKS = 30.0, 3
STARTED = b"+"  # what the launcher reports right before it becomes the command


@lru_cache(maxsize=1)
def active() -> tuple[str, ...]:
    """The controls that work here, looked at once; limits and ``no_new_privs`` always hold besides.

    A look without an answer (a machine that is paused, or out of memory) says nothing of them, and is not kept.

    Raises:
        SandboxUnusableError: no look had an answer.
    """
    if sys.platform != "linux":
        return ()
    command, problem = [*_launcher(), "--try", *CONTROLS], "never looked"
    for _ in range(LOOKS):
        try:
            tried = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LOOK_S, env={})
        except (OSError, subprocess.SubprocessError) as error:
            problem = type(error).__name__
        else:
            return tuple(tried.stdout.split())
    raise SandboxUnusableError(f"which controls it has could not be found out: {problem}")


def told(memory_bytes: int) -> tuple[bool, str]:
    """Whether all controls work here, and wholly, and which do: for ``doctor``."""
    missing = [control for control in CONTROLS if control not in active()]
    holds, newer = landlock.bounds(landlock.version()) if "landlock" in active() else ("", "")
    names = [f"{control} ({holds})" if holds and control == "landlock" else control for control in active()]
    works = f"{', '.join((*names, 'limits'))}; at most {memory_bytes // 1_000_000} MB of memory"
    works += f"; {newer}" if newer else ""
    return not (missing or holds), f"{works}; not allowed here: {', '.join(missing)}" if missing else works


def confined(command: Sequence[str], policy: Policy, report_fd: int) -> list[str]:
    """The command line that runs a command under a policy.

    Args:
        command: its program by its whole path.
        policy: what it may have.
        report_fd: where the launcher writes ``STARTED``, and why it could not; the command does not have it.

    Raises:
        SandboxUnusableError: nobody knows which controls this machine has.
    """
    return [*_launcher(), json.dumps(policy.as_dict() | {"controls": active(), "report_fd": report_fd}), *command]


@lru_cache(maxsize=1)
def hide_this_process() -> None:
    """Keeps memory and environment of this process from others of the same user: ``/proc`` shows them to none."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            libc.prctl(libc.PR_SET_DUMPABLE, 0)


def _launcher() -> list[str]:
    return [sys.executable, "-I", "-S", "-B", str(LAUNCHER)]
