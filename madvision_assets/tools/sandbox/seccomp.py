"""seccomp: system calls that no tool of ours needs and that an attacker would like answer "not permitted".

A list of what is refused and not of what is allowed: ffmpeg, Python and V8 differ by version in what they call, and
files, network and processes have controls of their own. What is refused are ways out of the process group, into other
processes, and the parts of the kernel that most holes were found in.
"""

import ctypes
import os
import platform

from madvision_assets.tools.sandbox import libc

AF_INET, AF_INET6, SOCK_STREAM, SOCK_TYPE_MASK = 2, 10, 1, 0xF
NEW_NAMESPACES = 0x7E020000  # the CLONE_NEW… flags of clone(2)
CLONE_THREAD = 0x00010000
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
MODE_FILTER = 2
NOT_PERMITTED, NO_SUCH_CALL = 1, 38  # EPERM, ENOSYS of Linux
X32_BIT = 0x40000000
# Of struct seccomp_data; arguments are 64 bits wide, and we look at the lower half.
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# By name: the numbers on x86_64 and aarch64; None where there is none.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "setsid": (112, 157), "setpgid": (109, 154),  # a child cannot leave the group that is killed
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "open_by_handle_at": (304, 265), "swapon": (167, 224), "reboot": (169, 142),
    # What leads whoever opens it elsewhere; also a hard link, which Landlock knows no right for.
    "symlink": (88, None), "symlinkat": (266, 36), "link": (86, None), "linkat": (265, 37),
    "mknod": (133, None), "mknodat": (259, 33),
    "truncate": (76, 45),  # by a path; Landlock bounds it since Linux 6.2
    "acct": (163, 89), "syslog": (103, 116), "personality": (135, 92), "quotactl": (179, 60),
}  # fmt: skip
FORKS = {"fork": (57, None), "vfork": (58, None)}
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def restrict(*, network: bool, may_fork: bool) -> None:
    """Filters the system calls of this process and its children for good; ``no_new_privs`` has to be set.

    Args:
        network: whether TCP sockets can be made; no others can.
        may_fork: whether other processes can be started; threads can.

    Raises:
        OSError: this kernel does not, or the processor is none that we know.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise OSError(NO_SUCH_CALL, os.strerror(NO_SUCH_CALL))
    code = b"".join(_program(machine, network=network, may_fork=may_fork))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc.prctl(libc.PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program))


def _program(machine: str, *, network: bool, may_fork: bool) -> list[bytes]:
    column = list(ARCHITECTURES).index(machine)
    not_permitted = _do(RETURN, REFUSE | NOT_PERMITTED)
    program = [_do(LOAD, ARCHITECTURE_AT), _do(JUMP_EQUAL, ARCHITECTURES[machine], 1, 0), _do(RETURN, KILL)]
    program += [_do(LOAD, NUMBER_AT), _do(JUMP_AT_LEAST, X32_BIT, 0, 1), not_permitted]
    for numbers in (REFUSED | ({} if may_fork else FORKS)).values():
        number = numbers[column]
        if number is not None:
            program += [_do(JUMP_EQUAL, number, 0, 1), not_permitted]
    # clone3 has its flags where no filter can see them: without it, libraries use clone.
    program += [_do(JUMP_EQUAL, CLONE3[column], 0, 1), _do(RETURN, REFUSE | NO_SUCH_CALL)]
    flags = [_do(LOAD, ARGUMENTS_AT), _do(JUMP_ANY_BIT, NEW_NAMESPACES, 0, 1), not_permitted]
    flags += [] if may_fork else [_do(JUMP_ANY_BIT, CLONE_THREAD, 1, 0), not_permitted]
    flags += [_do(RETURN, ALLOW)]
    program += [_do(JUMP_EQUAL, CLONE[column], 0, len(flags)), *flags]
    return program + _sockets(SOCKET[column], not_permitted, network=network) + [_do(RETURN, ALLOW)]


def _sockets(number: int, not_permitted: bytes, *, network: bool) -> list[bytes]:
    """Nothing but TCP: neither datagrams nor the local sockets of databases and container engines."""
    body = [not_permitted]
    if network:
        body = [
            _do(LOAD, ARGUMENTS_AT), _do(JUMP_EQUAL, AF_INET, 2, 0), _do(JUMP_EQUAL, AF_INET6, 1, 0), not_permitted,
            _do(LOAD, ARGUMENTS_AT + 8), _do(AND, SOCK_TYPE_MASK), _do(JUMP_EQUAL, SOCK_STREAM, 1, 0), not_permitted,
            _do(RETURN, ALLOW),
        ]  # fmt: skip
    return [_do(JUMP_EQUAL, number, 0, len(body)), *body]


def _do(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + value.to_bytes(4, "little")
