"""Checks of every outside part, each with what to do about it."""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version

from madvision_assets.domain.failures import Failure
from madvision_assets.domain.health import Finding, Health
from madvision_assets.tools.media import detector

# Our own metadata lists what is needed where: the extras in pyproject.toml.
OURS = "madvision-assets"
INTAKE, PIPELINE = "intake", "pipeline"

# Variables that begin with our prefix, and that others than the settings read: dagster.yaml, the tests.
OTHERS_VARIABLES = ("MADVISION_LOG_BUCKET", "MADVISION_TEST_DATABASE_URL")
PREFIX = "MADVISION_"
# Kubernetes tells every pod where each service is; ours are called madvision-something.
SERVICE_LINK = re.compile(r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?)$")

REINSTALL = "Run: pip install -e . -c constraints.txt"
INSTALL_FACES = (
    "Run: pip install --no-deps --require-hashes -r deployments/docker/faces.txt; then have the clips that are to "
    "follow faces made again: madvision requeue VIDEO --from clips"
)

MEND_TRACES = (
    "Set it to the collector's address (docs/operations.md, Traces), or, where it is meant for others, leave it: "
    "nothing but traces goes by it."
)

# A probe says what it found, and whether the part is ready; it raises a leaf of the taxonomy where it is broken.
Probe = Callable[[], tuple[bool, str]]


def examine(probes: Mapping[str, Probe]) -> Iterator[Finding]:
    """Each probe in the given order."""
    for part, probe in probes.items():
        yield _finding(part, probe)


def packages(speech: str, *, transcript_elsewhere: bool = False) -> Finding:
    """Whether everything is installed that is needed here.

    Args:
        speech: the extra that the speech engine needs.
        transcript_elsewhere: another image does the transcript, as on Kubernetes.
    """
    part = "Python packages"
    if not takes_part_in_processing():
        missing = _missing(required(INTAKE))
        told = "this is the intake's image, without Dagster: it takes submissions, and processes nothing"
    elif transcript_elsewhere and not is_installed(speech):
        missing = _missing(required(PIPELINE))
        left_out = " and ".join(sorted(required(speech) - required(PIPELINE)))
        told = f"all are installed but {left_out}: the transcript runs in MADVISION_GPU_IMAGE"
    else:
        missing = _missing(required(PIPELINE, speech))
        told = "all are installed"
    if missing:
        return Finding(part, Health.FAILED, f"missing: {', '.join(missing)}", REINSTALL)
    return Finding(part, Health.OK, told)


def faces() -> Finding:
    """Whether faces are found in pictures, which may be installed, and lets clips follow whoever speaks."""
    part, found = "faces in pictures", detector.name()
    if found:
        return Finding(part, Health.OK, f"found by {found}")
    told = "nothing finds them: vertical, square and portrait pictures are shown whole over a blurred background"
    return Finding(part, Health.WARNING, told, INSTALL_FACES)


def traces(no_collector: str | None) -> list[Finding]:
    """A warning where a collector is named that cannot be used; all else works without it.

    Args:
        no_collector: why it cannot; None where it can, or none is named.
    """
    return [Finding("traces", Health.WARNING, no_collector, MEND_TRACES)] if no_collector else []


def takes_part_in_processing() -> bool:
    """Whether any of Dagster is installed here, which the intake's image goes without."""
    return any(name.startswith("dagster") and _is_installed(name) for name in required(PIPELINE))


def is_installed(extra: str) -> bool:
    """Whether all that an extra lists is here: the pipeline's image goes without any speech engine's."""
    return not _missing(required(extra))


def required(*extras: str) -> frozenset[str]:
    """The names of the packages that extras list, and those that they name in turn; ourselves among them."""
    from packaging.requirements import Requirement

    try:
        listed = [Requirement(line) for line in requires(OURS) or ()]
    except PackageNotFoundError:
        listed = []
    found, waiting, seen = {OURS}, list(extras), set[str]()
    while waiting:
        extra = waiting.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for each in listed:
            if each.marker is not None and each.marker.evaluate({"extra": extra}):
                found.add(each.name)
                waiting += each.extras if each.name == OURS else ()
    return frozenset(found)


def variables(present: Iterable[str], known: Collection[str]) -> list[Finding]:
    """A warning for each variable that begins like ours and that nobody reads.

    Args:
        present: names that are set.
        known: names that the settings read.
    """
    ours = {name for name in present if name.startswith(PREFIX) and not SERVICE_LINK.search(name)}
    unread = sorted(ours - {*known, *OTHERS_VARIABLES})
    return [Finding(name, Health.WARNING, "nobody reads this variable", _meant(name, known)) for name in unread]


def _meant(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"Perhaps it should be {near[0]}." if near else "Remove it; .env.example lists those that are read."


def _missing(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not _is_installed(name))


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
