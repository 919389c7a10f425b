"""The program that a child begins as: ``launcher.py POLICY COMMAND…`` gives up what the policy lacks, then becomes it.

Run by itself, without site packages (``python -I -S``), so that it costs some 20 ms. A control that ``controls.active``
found to work has to work here too: otherwise the command does not start, which is reported to the parent.
``launcher.py --try CONTROL…`` prints those that this kernel has, each tried in a process of its own; where one could
not be tried, it ends with another status than 0.
"""

import json
import os
import resource
import signal
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))  # noqa: PTH100, PTH120 - pathlib costs as much as all the rest

from madvision_assets.tools.sandbox import landlock, libc, seccomp

STARTED, NOT_STARTED = b"+", 126
NEW_USER, NEW_NET, NEW_IPC = 0x10000000, 0x40000000, 0x08000000
NAMESPACES, LANDLOCK, SECCOMP = "namespaces", "landlock", "seccomp"
CONTROLS = (NAMESPACES, LANDLOCK, SECCOMP)
# EAGAIN, ENOMEM, ENFILE, EMFILE of Linux: short for the moment. Any other error says that there is no such control.
SHORT = (11, 12, 23, 24)
REFUSED, UNTRIED = 1, 2
DYING_CPU_S = 5  # between the signal that tells of too much processor time and the one that kills
STACK_BYTES = 8 * 1024 * 1024
# What RLIMIT_DATA does not count and the watch does: programs and libraries, which are mapped from files.
MAPPED_BYTES = 64 * 1024 * 1024


def main(arguments: list[str]) -> None:
    """Becomes the command, or says which controls there are."""
    if arguments[0] == "--try":
        print(" ".join(control for control in arguments[1:] if _works(control)))  # noqa: T201 - for the parent
        return
    policy, command = json.loads(arguments[0]), arguments[1:]
    os.set_inheritable(policy["report_fd"], False)  # noqa: FBT003 - so that no command can say that it was never started
    try:
        confine(policy, policy["controls"])
        os.write(policy["report_fd"], STARTED)
        os.execv(command[0], command)  # noqa: S606 - without a shell, as it should be
    except OSError as error:
        os.write(policy["report_fd"], f"{error.strerror}: {error.filename or ''}".encode())
        sys.exit(NOT_STARTED)


def confine(policy: dict[str, Any], controls: list[str]) -> None:
    """Applies a policy to this process.

    Raises:
        OSError: one of the controls does not work here.
    """
    if sys.platform == "linux":
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing of it outlives its parent
        if NAMESPACES in controls:
            _enter_namespaces(network=policy["proxy_port"] is not None)
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        libc.drop_capabilities()
        if LANDLOCK in controls:
            paths = {name: policy[name] for name in ("read", "listed", "write")}
            landlock.restrict(**paths, proxy_port=policy["proxy_port"])
    _limit(policy)
    if sys.platform == "linux" and SECCOMP in controls:
        seccomp.restrict(network=policy["proxy_port"] is not None, may_fork=policy["may_fork"])


def _enter_namespaces(*, network: bool) -> None:
    user, group = os.geteuid(), os.getegid()
    libc.unshare(NEW_USER | NEW_IPC | (0 if network else NEW_NET))
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def _limit(policy: dict[str, Any]) -> None:
    """What setrlimit can bound; RLIMIT_DATA and not RLIMIT_AS, since V8 and malloc reserve far more than they use."""
    memory_bytes: int = policy["memory_bytes"]
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: max(memory_bytes // 2, memory_bytes - MAPPED_BYTES),
        resource.RLIMIT_FSIZE: policy["file_bytes"],
        resource.RLIMIT_NOFILE: policy["open_files"],
        resource.RLIMIT_STACK: STACK_BYTES,
    }
    if policy["cpu_s"] is not None:
        limits[resource.RLIMIT_CPU] = policy["cpu_s"]
    if NAMESPACES in policy["controls"]:  # outside of a namespace it counts all that the user runs
        limits[resource.RLIMIT_NPROC] = policy["processes"]
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        most = value + DYING_CPU_S if kind == resource.RLIMIT_CPU else value
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (min(value, most), most))


def _works(control: str) -> bool:
    """Whether a control can be had, tried in a process of its own; with it goes whatever it changes.

    Raises:
        OSError: it could not be tried.
    """
    child = os.fork()
    if not child:
        try:
            nothing: dict[str, Any] = {"read": [], "listed": [], "write": [], "proxy_port": None, "may_fork": False}
            limits = {"memory_bytes": 1 << 30, "file_bytes": 0, "open_files": 64, "cpu_s": None, "processes": 64}
            confine({**nothing, **limits, "controls": [control]}, [control])
        except OSError as error:
            os._exit(UNTRIED if error.errno in SHORT else REFUSED)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status in (UNTRIED, -signal.SIGKILL):  # killed: by whoever looks after the machine's memory
        raise OSError(f"{control} could not be tried")
    return status == 0


if __name__ == "__main__":
    main(sys.argv[1:])
