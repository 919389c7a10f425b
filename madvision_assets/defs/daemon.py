"""Dagster's daemon, watched over from inside: ``madvision daemon``.

Its process answers over HTTP whether its loops and sensors have done their work lately, to whoever starts it again
where they have not. Dagster goes by the wall clock, in memory and in its database: after a clock that was set back it
would wait until the clock has caught up. So the daemon then begins anew, with the times that lie in the future put
right.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import dagster as dg
import yaml  # type: ignore[import-untyped]

from madvision_assets.defs import dagster_inside
from madvision_assets.work.alive import Complaint, Part, answering, complaint_of
from madvision_assets.work.clock import Clock

LOOK_EVERY_S = 5.0
# A loop gives a sign of life every 30 s, or when it has started the runs that are due.
LOOP_LOOKS = 36
# A sensor is asked every 5 or 10 s; a tick may take 60 s, and after an outage the code is looked for once a minute.
SENSOR_LOOKS = 36
# Nobody could be asked for so long: a database that is away refuses, one that is gone without a word does not.
STUCK_S = 300.0


def run(arguments: Sequence[str], host: str, port: int | None) -> None:
    """Run the daemon until SIGINT or SIGTERM.

    Args:
        arguments: those of ``dagster-daemon run``.
        host: where to answer whether it works.
        port: likewise; None is nowhere.
    """
    clock = Clock()
    dagster_inside.keep_connections()
    with dg.DagsterInstance.get() as instance:
        for name in dagster_inside.put_ticks_right(instance, time.time()):
            tell(f"the last tick of {name} lay in the future, by a clock that was wrong; it is due now")
        watch = Watch(instance, clock, _asking_code_server(arguments))
        with answering(watch.complaint, host, port):
            threading.Thread(target=watch.go_on, name="watch", daemon=True).start()
            dagster_inside.run_daemon(arguments)
    if watch.clock_was_set_back:
        tell("the clock was set back: the daemon begins anew")
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - what we were started as


def tell(sentence: str) -> None:
    """Into the daemon's log."""
    sys.stderr.write(f"madvision daemon: {sentence}\n")


@dataclass
class Still:
    """For how many looks in a row each of several signs has not changed.

    Attributes:
        seen: each sign, and for how many looks it has been so.
        moved: those that changed at least once.
    """

    seen: dict[str, tuple[float, int]] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)

    def look(self, signs: Mapping[str, float], *, counts: bool = True) -> None:
        """The signs as they are now; a look that does not count begins anew."""
        self.seen = {name: (sign, self._looks(name, sign) if counts else 0) for name, sign in signs.items()}

    def _looks(self, name: str, sign: float) -> int:
        if name not in self.seen:
            return 0
        before, looks = self.seen[name]
        if before == sign:
            return looks + 1
        self.moved.add(name)
        return 0

    def for_looks(self, looks: int) -> list[str]:
        """The names of those that have not changed for so many."""
        return sorted(name for name, (_, count) in self.seen.items() if count >= looks)


class Watch:
    """Looks at the daemon from inside.

    Args:
        instance: where it notes what it does.
        clock: what it goes by.
        ask_code_server: what is the matter with whom its sensors ask; a sensor that cannot be asked is not to blame.
        look_every_s: between two looks.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        clock: Clock,
        ask_code_server: Complaint,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._instance = instance
        self._clock = clock
        self._ask_code_server = ask_code_server
        self._look_every_s = look_every_s
        self._loops, self._sensors = Still(), Still()
        self._looked_at_s = time.monotonic()
        self.clock_was_set_back = False

    def go_on(self) -> None:
        """Look until the clock was set back; then ask the daemon to end."""
        while not self.clock_was_set_back:
            time.sleep(self._look_every_s)
            self.look()
        os.kill(os.getpid(), signal.SIGTERM)

    def look(self) -> None:
        """Take one look."""
        self.clock_was_set_back = self._clock.was_set_back()
        try:
            self._loops.look(dagster_inside.daemon_beats(self._instance))
            ticks = dagster_inside.sensor_ticks(self._instance)
            self._sensors.look(ticks, counts=self._ask_code_server() is None)
        except Exception:  # noqa: BLE001 - its database is away, in whatever words; nobody can tell then
            self._loops, self._sensors = Still(), Still()
        self._looked_at_s = time.monotonic()

    def complaint(self) -> str | None:
        """What is the matter with the daemon; None while it works, and while nobody can tell."""
        if loops := self._loops.for_looks(LOOP_LOOKS):
            return f"does not work: no sign of life of the loop {', '.join(loops)}"
        # One that never moved may be of a version that is gone; the loop of them all has its own sign of life.
        if sensors := [name for name in self._sensors.for_looks(SENSOR_LOOKS) if name in self._sensors.moved]:
            return f"does not work: no tick of {', '.join(sensors)}, though the code server answers"
        if time.monotonic() - self._looked_at_s > STUCK_S:
            return "does not work: its database neither answers nor refuses"
        return None


def _asking_code_server(arguments: Sequence[str]) -> Complaint:
    """Asks the code servers that the workspace among the daemon's arguments names."""
    named = [value for option, value in pairwise(arguments) if option in {"-w", "--workspace"}]
    found = [yaml.safe_load(Path(file).read_text()).get("load_from") or [] for file in named]
    servers = [entry["grpc_server"] for entries in found for entry in entries if "grpc_server" in entry]

    def ask() -> str | None:
        asked = (complaint_of(Part.CODE_SERVER, server.get("host", "localhost"), server["port"]) for server in servers)
        return next((wrong for wrong in asked if wrong), None)

    return ask
