"""What happens when: videos that are submitted, and faults, each at its moment; the same seed, the same plan.

A plan is data and says nothing of how. Raise ``VERSION`` with every change that makes another plan of a seed.
"""

import math
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from madvision_assets_tests.chaos.points import POINTS

VERSION = 2

# So many of each dozen of videos.
VIDEO_KINDS = {
    "good": 4,
    "by name": 2,
    "slow": 1,
    "cut twice": 1,
    "throttled": 1,
    "dead": 1,
    "no video": 1,
    "truncated": 1,
    "too short": 1,
    "no speech": 1,
}
MAX_PRIORITY = 3
MAX_TWINS = 3
# The first fault waits until something is under way.
FIRST_AT_S = 12.0
PACE_S = (6.0, 10.0)
# Of three faults one is a death between two writes.
POINT = "point"
POINT_EVERY = 3
POINT_WAITS_S = 120.0
# What people do to their own videos meanwhile (persons.py), one of them for so many faults.
PERSON = "person"
PERSONS = ("cancels", "deletes", "edits", "forgets")
PERSON_EVERY = 6

STEPS = ("raw_video", "transcript", "content_type", "clip_candidates", "clips")
# What can be broken in which way, and for how long, seconds: from, to.
FAULT_KINDS: dict[str, tuple[tuple[str, ...], tuple[float, float]]] = {
    "kill": (("daemon", "code-server", "intake", "everything"), (2.0, 8.0)),
    "kill child": (("code-server",), (1.0, 1.0)),
    "kill worker": (STEPS, (1.0, 1.0)),
    "stop": (("daemon", "code-server", "intake"), (5.0, 20.0)),
    "stop machine": (("machine",), (40.0, 40.0)),
    "stop worker": (STEPS, (8.0, 25.0)),
    "hang worker": (("transcript", "raw_video"), (60.0, 60.0)),
    "kill database": (("ours", "dagster", "both"), (5.0, 25.0)),
    "stop database": (("ours", "dagster", "both"), (5.0, 25.0)),
    "lose result": (("dagster", "ours", "both", "store"), (25.0, 30.0)),
    "store": (("away", "503", "cut", "slow"), (5.0, 20.0)),
    "dns": (("away",), (5.0, 20.0)),
    "disk": (("full",), (10.0, 20.0)),
    "analyst": (("away", "429", "500", "slow"), (5.0, 20.0)),
    "receiver": (("hangs", "503", "away"), (10.0, 20.0)),
    "twin": (("submissions", "run", "by hand"), (1.0, 1.0)),
    "clock": (("an hour on and back",), (10.0, 10.0)),
}


@dataclass(frozen=True)
class Video:
    """A video that is submitted.

    Attributes:
        name: its own.
        kind: of ``VIDEO_KINDS``.
        at_s: when, from the beginning.
        priority: as submitted.
        callback: whether somebody wants to be told.
        twins: how many more submit it, a little later.
    """

    name: str
    kind: str
    at_s: float
    priority: int
    callback: bool
    twins: int


@dataclass(frozen=True)
class Fault:
    """Something that breaks.

    Attributes:
        number: in the order of the plan, from 1.
        kind: of ``FAULT_KINDS``, or ``POINT``.
        target: what of it.
        at_s: when, from the beginning.
        lasts_s: how long; where a victim must be waited for, from then on.
    """

    number: int
    kind: str
    target: str
    at_s: float
    lasts_s: float

    def __str__(self) -> str:
        """For a line."""
        return f"#{self.number} {self.kind}: {self.target}"


@dataclass(frozen=True)
class Plan:
    """A campaign that is to be.

    Attributes:
        wishes: what people do, each a ``PERSON`` with its target; they break nothing.
    """

    seed: int
    videos: tuple[Video, ...]
    faults: tuple[Fault, ...]
    wishes: tuple[Fault, ...] = ()


def make_plan(seed: int, faults: int, kinds: Collection[str] = ()) -> Plan:
    """The plan of a seed.

    Args:
        seed: any number.
        faults: how many; the videos are as many as keep the system busy meanwhile.
        kinds: of faults, or ``PERSON``; without any, all.

    Raises:
        ValueError: there is no such kind.
    """
    known = [*FAULT_KINDS, POINT, PERSON]
    unknown = set(kinds) - set(known)
    if unknown:
        raise ValueError(f"There is no kind {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    rng = random.Random(seed)  # noqa: S311 - to be repeated
    happening = tuple(_faults(rng, faults, kinds or (*FAULT_KINDS, POINT)))
    last_s = happening[-1].at_s if happening else 0.0
    videos = tuple(_videos(rng, 3 + faults // 2, last_s))
    wishes = tuple(_wishes(seed, faults, kinds, len(happening), last_s))
    return Plan(seed, videos, happening, wishes)


def _wishes(seed: int, faults: int, kinds: Collection[str], numbered: int, last_s: float) -> Iterator[Fault]:
    """By random numbers of their own: faults and videos are the same with them and without."""
    if kinds and PERSON not in kinds:
        return
    rng = random.Random(f"{PERSON} {seed}")  # noqa: S311 - to be repeated
    count = faults if set(kinds) == {PERSON} else math.ceil(faults / PERSON_EVERY)
    for number, target in enumerate(islice(cycle(rng.sample(PERSONS, len(PERSONS))), count), numbered + 1):
        yield Fault(number, PERSON, target, round(rng.uniform(FIRST_AT_S, max(2 * FIRST_AT_S, 0.8 * last_s)), 1), 0.0)


def _faults(rng: random.Random, count: int, kinds: Collection[str]) -> Iterator[Fault]:
    """Every kind and target comes before one comes again."""
    others = [(kind, target) for kind, (targets, _) in FAULT_KINDS.items() if kind in kinds for target in targets]
    dying = [(POINT, name) for name in POINTS if POINT in kinds]
    # A kind with many targets does not crowd the others out: a round has one of each kind.
    rounds = _in_rounds(rng, others)
    rng.shuffle(dying)
    several, points = cycle(rounds) if rounds else None, cycle(dying) if dying else None
    at_s = FIRST_AT_S
    for number in range(1, count + 1):
        is_point = points is not None and (several is None or number % POINT_EVERY == 0)
        source = points if is_point else several
        if source is None:
            return
        kind, target = next(source)
        shortest_s, longest_s = FAULT_KINDS[kind][1] if kind in FAULT_KINDS else (POINT_WAITS_S, POINT_WAITS_S)
        yield Fault(number, kind, target, round(at_s, 1), round(rng.uniform(shortest_s, longest_s), 1))
        at_s += rng.uniform(*PACE_S)


def _in_rounds(rng: random.Random, wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
    left: dict[str, list[tuple[str, str]]] = {}
    for each in rng.sample(wanted, len(wanted)):
        left.setdefault(each[0], []).append(each)
    found = []
    while left:
        for kind in rng.sample(sorted(left), len(left)):
            found.append(left[kind].pop())
            if not left[kind]:
                del left[kind]
    return found


def _videos(rng: random.Random, count: int, last_s: float) -> Iterator[Video]:
    """Some at once, so that something is under way, the others until the last fault but a little."""
    deck = [kind for kind, weight in VIDEO_KINDS.items() for _ in range(weight)]
    kinds = ["good", "good", *islice(cycle(rng.sample(deck, len(deck))), count - 2)]
    for number, kind in enumerate(kinds):
        at_s = 0.0 if number < min(4, count // 2) else rng.uniform(2.0, max(10.0, last_s - 10.0))
        yield Video(
            f"{number:02}-{kind.replace(' ', '-')}", kind, round(at_s, 1), rng.randint(0, MAX_PRIORITY),
            rng.random() < 0.5, rng.choice((0, 0, 0, 1, MAX_TWINS)),
        )  # fmt: skip
