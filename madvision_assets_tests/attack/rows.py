"""What an attack is, and how it may end."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from madvision_assets.domain.failures import (
    ConnectionLostError,
    DownloadTimeoutError,
    ExtractionFailedError,
    Failure,
    FailureClass,
    HostUnresolvedError,
    IncompleteDownloadError,
    SourceServerError,
)
from madvision_assets_tests.attack.canaries import Canaries


class End(StrEnum):
    """How an attack ends where all is well."""

    AT_THE_DOOR = "refused at the door"
    BY_THE_PROXY = "refused by the proxy"
    FOR_GOOD = "a permanent cause"
    ITS_HOST = "a cause of its host's"
    LATER = "tried again, a few times"
    HARMLESS = "harmless"


# What a site can always make look as if another try would help.
OF_THE_SITE = (
    ConnectionLostError, DownloadTimeoutError, ExtractionFailedError, HostUnresolvedError, IncompleteDownloadError,
    SourceServerError,
)  # fmt: skip
REFUSED = (End.AT_THE_DOOR, End.BY_THE_PROXY)
FAILS_OR_HARMLESS = (End.FOR_GOOD, End.HARMLESS)


@dataclass(frozen=True)
class Attack:
    """A row.

    Attributes:
        name: which nobody else of its family has.
        kind: the line of the table that it counts for.
        make: how it is made; what it is given is told by its family.
        right: how it may end.
        short: whether the short form plays it.
        cheap: whether it is seen through before it costs anything (``suite.CHEAP_BYTES``, ``suite.CHEAP_CPU_S``).
    """

    name: str
    kind: str
    make: Callable[..., Any]
    right: Sequence[End] = REFUSED
    short: bool = True
    cheap: bool = False


@dataclass(frozen=True)
class Ended:
    """How an attack ended.

    Attributes:
        how: None for an end that is right for none.
        told: what those who sent it, or the operator, are told.
        left: folders that hold what it made of us: documents, media, scratch.
    """

    how: End | None
    told: str
    left: Sequence[Path] = ()


# Plays a row in a folder of its own, and says when it is made, so that only what follows is measured.
Play = Callable[[Attack, Path, Callable[[], None]], Ended]


@dataclass(frozen=True)
class Family:
    """Attacks on the same parts.

    Attributes:
        name: of the family.
        attacks: its rows.
        opened: opens the real parts in a folder, and gives what plays a row.
        wall_s: how long one attack may take, seconds.
    """

    name: str
    attacks: Sequence[Attack]
    opened: Callable[[Path, Canaries], AbstractContextManager[Play]]
    wall_s: float


def ended_by(failure: Failure, *left: Path) -> Ended:
    """What a failure means; one that accuses what is shared, or a tool of ours, is right for none."""
    hows = {FailureClass.PERMANENT: End.FOR_GOOD, FailureClass.SOURCE: End.ITS_HOST}
    hows |= {FailureClass.TRANSIENT: End.LATER} if isinstance(failure, OF_THE_SITE) else {}
    how = hows.get(failure.failure_class)
    if failure.code == "refused_address":
        how = End.BY_THE_PROXY
    return Ended(how, f"{failure.code}: {failure}", left)
