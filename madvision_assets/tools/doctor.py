"""Checks of every outside part, each with what to do about it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

from madvision_assets.domain.failures import Failure

# What the pipeline is made of.
PACKAGES = (
    "dagster",
    "dagster-webserver",
    "dagster-postgres",
    "dagster-aws",
    "dagster-k8s",
    "openai-whisper",
    "torch",
    "openai",
    "yt-dlp",
    "ffmpeg-python",
    "imageio-ffmpeg",
    "av",
    "obstore",
    "pandas",
)

REINSTALL = "Run: pip install -e . -c constraints.txt"


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One part: how it is, what was found, and what to do (empty where nothing is)."""

    part: str
    health: Health
    found: str
    remedy: str = ""


# A probe says what it found, and whether the part is ready; it raises a leaf of the taxonomy where it is broken.
Probe = Callable[[], tuple[bool, str]]


def examine(probes: Mapping[str, Probe]) -> Iterator[Finding]:
    """Each probe in the given order."""
    for part, probe in probes.items():
        yield _finding(part, probe)


def packages() -> Finding:
    """Whether everything is installed."""
    missing = [name for name in PACKAGES if not _is_installed(name)]
    if missing:
        return Finding(
            "Python packages",
            Health.FAILED,
            f"missing: {', '.join(missing)}",
            "Run: pip install -e . -c constraints.txt",
        )
    return Finding("Python packages", Health.OK, f"all {len(PACKAGES)} are installed")


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _finding(part: str, probe: Probe) -> Finding:
    try:
        ready, found = probe()
    except Failure as failure:
        return Finding(part, Health.FAILED, failure.details or failure.code, failure.sentence)
    except ImportError as error:
        return Finding(part, Health.FAILED, f"cannot be loaded: {error}", REINSTALL)
    return Finding(part, Health.OK if ready else Health.WARNING, found)
