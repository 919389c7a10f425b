"""``make attack``: plays the attacks against the real parts, measures each, prints one table, says what got through.

    python -m madvision_assets_tests.attack.suite [--short] [--family NAME] [--only WORD] [--memory-mb 1074]

The exit status is 1 where anything got through, or took more memory or time than there is for it.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from madvision_assets.domain.failures import Failure
from madvision_assets.tools.sandbox import controls, policy
from madvision_assets_tests.attack import addresses, door, files, pages, report, ways
from madvision_assets_tests.attack.canaries import Canaries, Touched
from madvision_assets_tests.attack.measures import Measured, Meter
from madvision_assets_tests.attack.rows import Attack, Ended, Family, Play, ended_by

FAMILIES: Sequence[Family] = (addresses.FAMILY, door.FAMILY, ways.FAMILY, pages.FAMILY, files.FAMILY)
# The worker holds the keys and many videos' turn: what it meets by itself is JSON and short texts.
OWN_BYTES = 256_000_000
CHEAP_BYTES, CHEAP_CPU_S = 250_000_000, 8.0  # Python and PyAV alone take some 60 MB and 0.3 s
SHORT_MEMORY_BYTES = 400_000_000  # bombs are over sooner; the limit holds all the same


@dataclass(frozen=True)
class Played:
    """An attack that is over.

    Attributes:
        troubles: what happened that must not; empty where all is well.
    """

    family: str
    attack: Attack
    ended: Ended
    touched: Touched
    measured: Measured
    troubles: tuple[str, ...]


def play(family: Family, attacks: Sequence[Attack], folder: Path, canaries: Canaries) -> Iterator[Played]:
    """Plays attacks of a family one after the other."""
    with family.opened(folder / "parts", canaries) as act:
        for number, attack in enumerate(attacks):
            yield _one(family, attack, act, folder / f"{number}", canaries)


def _one(family: Family, attack: Attack, act: Play, folder: Path, canaries: Canaries) -> Played:
    folder.mkdir(parents=True)
    with Meter() as meter:

        def ready() -> None:
            canaries.touched()
            meter.restart()

        ready()
        try:
            ended = act(attack, folder, ready)
        except Failure as failure:
            ended = ended_by(failure, folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, it got past those who should have caught it
            ended = Ended(None, f"{type(error).__name__}: {error}", (folder,))
    touched = canaries.touched()
    shown = canaries.shown_in([ended.told], ended.left)
    found = (*_reached(touched, shown), *_wrong(attack, ended), *_over(family, attack, meter.measured))
    return Played(family.name, attack, ended, touched, meter.measured, found)


def _reached(touched: Touched, shown: Sequence[str]) -> Iterator[str]:
    if touched.connections:
        yield f"{len(touched.connections)} connections to the inside ({', '.join(sorted(set(touched.connections)))})"
    if touched.opened:
        yield f"it opened {', '.join(touched.opened)}"
    if shown:
        yield f"the secret is in {', '.join(shown)}"


def _wrong(attack: Attack, ended: Ended) -> Iterator[str]:
    if ended.how not in attack.right:
        yield f"it ended as {ended.how or 'nothing that is right'}"


def _over(family: Family, attack: Attack, measured: Measured) -> Iterator[str]:
    allowed_bytes = min(policy.memory_bytes(), CHEAP_BYTES) if attack.cheap else policy.memory_bytes()
    for what, taken, limit in (
        ("MB of memory", measured.peak_bytes // 1_000_000, allowed_bytes // 1_000_000),
        ("s of CPU", measured.cpu_s, CHEAP_CPU_S if attack.cheap else math.inf),
        ("MB in the worker itself", measured.own_bytes // 1_000_000, OWN_BYTES // 1_000_000),
        ("s", measured.wall_s, family.wall_s),
    ):
        if taken > limit:
            yield f"{taken:.0f} {what}, of {limit:.0f}"


def chosen(family: Family, *, short: bool, only: str) -> list[Attack]:
    """The rows that are to be played."""
    return [each for each in family.attacks if (each.short or not short) and only in f"{each.kind}: {each.name}"]


@contextmanager
def _quiet(log: Path) -> Iterator[int]:
    """What this process and its children print goes into a file; gives what was stdout."""
    sys.stdout.flush()
    out = os.dup(1)
    with log.open("wb") as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield out
        finally:
            sys.stdout.flush()
            os.dup2(out, 1)
            os.dup2(kept, 2)
            os.close(kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    asked = argparse.ArgumentParser(description="Plays the attacks, and says what got through.")
    asked.add_argument("--short", action="store_true", help="fewer of those that take seconds, and less memory for all")
    asked.add_argument("--family", default="", help="one of them: " + ", ".join(each.name for each in FAMILIES))
    asked.add_argument("--only", default="", help="those with this in 'kind: name'")
    asked.add_argument("--memory-mb", type=int, default=None, help="what the sandbox allows; 1074 by default")
    asked.add_argument("--each", action="store_true", help="a line for each attack too")
    given = asked.parse_args(arguments)
    memory_bytes = SHORT_MEMORY_BYTES if given.short else policy.MEMORY_BYTES
    policy.set_memory_bytes(given.memory_mb * 1_000_000 if given.memory_mb else memory_bytes)
    began_s, played = time.monotonic(), list[Played]()
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        folder = Path(name)
        with _quiet(folder / "log.txt") as out, Canaries(folder / "secrets") as canaries:
            for family in FAMILIES:
                attacks = chosen(family, short=given.short, only=given.only)
                if attacks and given.family in {"", family.name}:
                    for each in play(family, attacks, folder / family.name, canaries):
                        played.append(each)
                        if given.each or each.troubles:
                            os.write(out, f"{report.line(each)}\n".encode())
            logged = canaries.secret.encode() in (folder / "log.txt").read_bytes()
    sys.stdout.write(report.table(played, FAMILIES, time.monotonic() - began_s, controls.active()))
    sys.stdout.writelines(f"{report.line(each)}\n" for each in played if each.troubles)  # logs lose middles
    if logged:
        sys.stdout.write("THROUGH: a secret is in the log\n")
    return int(bool(logged) or not played or any(each.troubles for each in played))


if __name__ == "__main__":
    sys.exit(main())
