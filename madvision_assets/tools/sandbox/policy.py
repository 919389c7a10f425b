"""What a sandboxed child may have, and the words of one that had no more."""

import math
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

GIB = 1024**3
MEMORY_BYTES = GIB
FILE_BYTES = 64 * GIB
OPEN_FILES = 256
START_CPU_S = 10  # to become the tool, on a slow machine
PACKAGE = Path(__file__).parents[2]
# Programs, libraries, certificates, time zones, the number of processors: nothing that is anybody's own.
SYSTEM = (
    "/usr", "/bin", "/lib", "/lib64", "/lib32", "/opt/homebrew", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/alternatives", "/dev/urandom", "/dev/random",
    "/dev/zero", "/sys/devices/system/cpu",
)  # fmt: skip
# How Python, the C library and C++ tell that there is no more memory.
SHORT_OF_MEMORY = re.compile(r"\b(?:MemoryError|bad_alloc)\b|cannot allocate memory|out of memory", re.IGNORECASE)

_memory_bytes = [MEMORY_BYTES]


def set_memory_bytes(memory_bytes: int) -> None:
    """Sets how much memory each child of this process may take from here on (``MADVISION_SANDBOX_MEMORY_BYTES``)."""
    _memory_bytes[0] = memory_bytes


def memory_bytes() -> int:
    """How much memory a child may take, all of its processes together."""
    return _memory_bytes[0]


def cpu_limit_s(time_limit_s: float) -> int:
    """Processor seconds that no process can have had in so many seconds, with a thread on each processor.

    It ends one whose parent was stopped, and so does not look at the clock.
    """
    return math.ceil(time_limit_s * (os.cpu_count() or 1)) + START_CPU_S


@dataclass(frozen=True)
class Policy:
    """Everything that a child may have; what is not named is refused.

    Attributes:
        read: files and folders that it may read, and run programs from.
        listed: folders whose names it may see, without reading the files.
        write: folders that it may change.
        proxy_port: the one port that it may connect to; None for no network at all.
        may_fork: whether it may start other processes.
        memory_bytes: of all its processes; by default what is set for this process.
        cpu_s: processor seconds of each process; None for no limit but the wall clock.
        file_bytes: of one file that it writes.
        processes: how many at once, where it may fork.
    """

    read: tuple[Path, ...] = ()
    listed: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    proxy_port: int | None = None
    may_fork: bool = False
    memory_bytes: int | None = None
    cpu_s: int | None = None
    file_bytes: int = FILE_BYTES
    processes: int = 64
    open_files: int = OPEN_FILES

    @property
    def limit_bytes(self) -> int:
        """The memory limit that holds."""
        return self.memory_bytes or memory_bytes()

    def as_dict(self) -> dict[str, object]:
        """For the launcher, as JSON."""
        fields = asdict(self) | {"memory_bytes": self.limit_bytes}
        for name in ("read", "listed", "write"):
            fields[name] = [str(path) for path in fields[name]]
        fields["read"] += SYSTEM
        return fields


def python_paths() -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """What Python needs to import our package: folders to read, and folders to list."""
    read = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), PACKAGE}
    return tuple(sorted(read)), (PACKAGE.parent,)  # a module is found by the names in its folder
