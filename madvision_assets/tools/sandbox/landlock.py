"""Landlock: this process and its children reach only the files and the port that are named, and no process outside.

By the kernel's own interface (linux/landlock.h), since no well-kept binding covers ports and scopes (ADR 24).
A process under Landlock cannot trace one outside, and so cannot read its environment or memory out of ``/proc``.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from madvision_assets.tools.sandbox import libc

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG = 1
PATH_BENEATH, NET_PORT = 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
ALL_OF_VERSION_1 = (1 << 13) - 1
MAKE_CHAR, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = 1 << 6, 1 << 9, 1 << 10, 1 << 11, 1 << 12
NO_PLAIN_FILES = MAKE_CHAR | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | MAKE_SYM
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
SCOPE_ABSTRACT_UNIX, SCOPE_SIGNAL = 1 << 0, 1 << 1
# Which version of the interface brought what.
REFER_SINCE, TRUNCATE_SINCE, NET_SINCE, IOCTL_SINCE, SCOPES_SINCE = 2, 3, 4, 5, 6


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """Version of the interface in this kernel.

    Raises:
        OSError: it has none, or it is switched off.
    """
    return libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_FLAG))


def bounds(known: int) -> tuple[str, str]:
    """What it bounds by a version of the interface, and what a newer kernel would: both empty where that is all."""
    if known < NET_SINCE:
        return "files alone", "with Linux 6.7 or newer the downloader reaches its proxy's port alone"
    if known < SCOPES_SINCE:
        return "files and ports alone", "with Linux 6.12 or newer no child signals another process"
    return "", ""


def restrict(
    *, read: Iterable[str] = (), listed: Iterable[str] = (), write: Iterable[str] = (), proxy_port: int | None = None
) -> None:
    """Restricts this process for good; ``no_new_privs`` has to be set.

    Raises:
        OSError: this kernel does not.
    """
    known = version()
    everything = ALL_OF_VERSION_1
    for right, since in ((REFER, REFER_SINCE), (TRUNCATE, TRUNCATE_SINCE), (IOCTL_DEV, IOCTL_SINCE)):
        everything |= right if known >= since else 0
    fields = [everything]
    fields += [BIND_TCP | CONNECT_TCP] if known >= NET_SINCE else []
    fields += [SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL] if known >= SCOPES_SINCE else []
    attributes = (ctypes.c_uint64 * len(fields))(*fields)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(attributes), size, ctypes.c_uint32(0))
    try:
        for path in read:
            _allow(ruleset, path, EXECUTE | READ_FILE | READ_DIR)
        for path in listed:
            _allow(ruleset, path, READ_DIR)
        for path in write:
            _allow(ruleset, path, everything & ~(EXECUTE | NO_PLAIN_FILES | IOCTL_DEV))
        _allow(ruleset, os.devnull, READ_FILE | WRITE_FILE | everything & TRUNCATE)
        if proxy_port is not None and known >= NET_SINCE:
            rule = (ctypes.c_uint64 * 2)(CONNECT_TCP, proxy_port)
            libc.syscall(
                ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(NET_PORT), ctypes.byref(rule), ctypes.c_uint32(0)
            )
        libc.syscall(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what is not here needs no rule
        return
    try:
        rule = _PathBeneath(rights if Path(path).is_dir() else rights & ON_FILES, handle)
        _add(ruleset, PATH_BENEATH, rule)
    finally:
        os.close(handle)


def _add(ruleset: int, kind: int, rule: Any) -> None:
    libc.syscall(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(kind), ctypes.byref(rule), ctypes.c_uint32(0))
