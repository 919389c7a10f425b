"""Which controls this machine has, and how a command is started under them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from madvision_assets.tools.sandbox import libc
from madvision_assets.tools.sandbox.policy import Policy

LAUNCHER = Path(__file__).with_name("launcher.py")
CONTROLS = ("namespaces", "landlock", "seccomp")
TRY_S = 30
NOT_STARTED = 126  # the exit status of a command that could not be started, or not under all of its controls


@lru_cache(maxsize=1)
def active() -> tuple[str, ...]:
    """The controls that work here, tried once; limits and ``no_new_privs`` always hold besides."""
    if sys.platform != "linux":
        return ()
    command = [*_launcher(), "--try", *CONTROLS]
    try:
        tried = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TRY_S, env={})
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(tried.stdout.split())


def told(memory_bytes: int) -> tuple[bool, str]:
    """Whether all controls work here, and which do: for ``doctor``."""
    missing = [control for control in CONTROLS if control not in active()]
    works = f"{', '.join((*active(), 'limits'))}; at most {memory_bytes // 1_000_000} MB of memory"
    return not missing, f"{works}; not allowed here: {', '.join(missing)}" if missing else works


def confined(command: Sequence[str], policy: Policy) -> list[str]:
    """The command line that runs a command under a policy; its program by its whole path."""
    return [*_launcher(), json.dumps(policy.as_dict() | {"controls": active()}), *command]


@lru_cache(maxsize=1)
def hide_this_process() -> None:
    """Keeps memory and environment of this process from others of the same user: ``/proc`` shows them to none."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            libc.prctl(libc.PR_SET_DUMPABLE, 0)


def _launcher() -> list[str]:
    return [sys.executable, "-I", "-S", "-B", str(LAUNCHER)]
