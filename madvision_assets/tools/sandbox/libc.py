"""Calls of the operating system that Python does not have; each raises OSError."""

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
CAPABILITIES = 64
CAPABILITY_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *args: object) -> int:
    """A system call by its number."""
    return _checked(_libc.syscall(ctypes.c_long(number), *args))


def prctl(option: int, value: int | ctypes.c_void_p = 0, extra: object = 0) -> None:
    """Changes what this process is."""
    first = value if isinstance(value, ctypes.c_void_p) else ctypes.c_ulong(value)
    second = extra if not isinstance(extra, int) else ctypes.c_ulong(extra)
    _checked(_libc.prctl(option, first, second, ctypes.c_ulong(0), ctypes.c_ulong(0)))


def unshare(flags: int) -> None:
    """Moves this process into namespaces of its own."""
    _checked(_libc.unshare(flags))


def drop_capabilities() -> None:
    """Gives up every capability, for good where ``no_new_privs`` is set."""
    for number in range(CAPABILITIES):
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:  # not ours to drop, or one that this kernel does not know
            continue
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
