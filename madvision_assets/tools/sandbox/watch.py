"""Looks after a group of processes from outside: what all of them take together, which no rlimit bounds."""

import contextlib
import os
import time
from pathlib import Path

from madvision_assets.tools.sandbox.policy import Policy

LOOK_S = 0.25
LOOK_AT_ALL_S = 0.5
# Fields of /proc/PID/stat after the name: group, user and system time, resident pages.
GROUP, USER_TIME, SYSTEM_TIME, RESIDENT = 2, 11, 12, 21


class OutOfBoundsError(Exception):
    """The child took more memory or processes than it may have."""


class Watch:
    """Memory and processes of a child's group, looked at a few times a second.

    Args:
        group: the process ID of its leader.
        policy: what it may have.
    """

    def __init__(self, group: int, policy: Policy) -> None:
        self._group = group
        self._policy = policy
        self._due_s = 0.0
        self._period_s = LOOK_AT_ALL_S if policy.may_fork else LOOK_S
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")
        self.cpu_s = 0.0
        self.most_bytes = 0

    def look(self) -> None:
        """Looks, if it is time to.

        Raises:
            OutOfBoundsError: they take more than they may have.
        """
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + self._period_s
        members = [self._member(self._group)]
        if self._policy.may_fork:
            members += [self._member(pid) for pid in _processes() if pid != self._group]
        there = [fields for fields in members if fields]
        if members[0]:
            self.cpu_s = (int(members[0][USER_TIME]) + int(members[0][SYSTEM_TIME])) * self._tick_s
        if len(there) > self._policy.processes:
            raise OutOfBoundsError(f"over {self._policy.processes} processes")
        taken_bytes = sum(int(fields[RESIDENT]) for fields in there) * self._page_bytes
        self.most_bytes = max(self.most_bytes, taken_bytes)
        if taken_bytes > self._policy.limit_bytes:
            raise OutOfBoundsError(f"over {self._policy.limit_bytes // 1_000_000} MB of memory")

    def _member(self, pid: int) -> list[str]:
        """What the kernel says of a process of the group; empty for any other."""
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return fields if int(fields[GROUP]) == self._group else []
        return []


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - some 300 of them
    except OSError:  # no Linux
        return []
