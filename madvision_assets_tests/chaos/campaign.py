"""``make chaos``: play the plan of a seed against the real system, and say what broke that must not.

Exit status 0: every promise held. 1: one was broken; the seed repeats the plan, and the folder with the logs is kept.
"""

import argparse
import json
import math
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from madvision_assets.domain.failures import Failure
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets_tests.chaos import evidence, faults, persons, report
from madvision_assets_tests.chaos.faults import SEEKING
from madvision_assets_tests.chaos.invariants import Evidence, Window, broken
from madvision_assets_tests.chaos.plan import PERSON, POINT, VERSION, Fault, Plan, make_plan
from madvision_assets_tests.chaos.victims import NotNowError
from madvision_assets_tests.chaos.videos import OPTIONS, Films, serve
from madvision_assets_tests.chaos.world import MAX_IN_FLIGHT, Nurse, Tell, World, open_world
from madvision_assets_tests.site import Page
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import processes_of

MAX_SEED = 10**6
DEFAULT_FAULTS = 12
SUBMIT_LIMIT_S = 240.0
ANSWER_LIMIT_S = 10.0
RECOVERY_LIMIT_S = 240.0
# What stands still for so long is stuck: the longest pause before another try that a campaign brings about is shorter.
STILL_LIMIT_S = 420.0
END_LIMIT_S = 3600.0
CALLBACK_LIMIT_S = 200.0  # the first pause after a delivery that failed is a minute, the second two
TIDY_LIMIT_S = 60.0
LAST_LOOK_S = 30.0
TWIN_AFTER_S = 0.5
# Between a victim's end and our knowing.
FOUND_BEFORE_S = 3.0


@dataclass
class Happened:
    """A fault that was played.

    Attributes:
        began_at: seconds since 1970, and the next one likewise.
        note: what it struck.
        not_done: why it was not made after all.
        recovery_s: from its end until everything that was in flight has given a sign of life, and every sensor has done
            its work; without the time in which something else was broken.
        held_up: what it held up for good.
    """

    fault: Fault
    began_at: float = 0.0
    ended_at: float = 0.0
    note: str = ""
    not_done: str | None = None
    recovery_s: float | None = None
    held_up: str | None = None


@dataclass
class Campaign:
    """A plan that is played.

    Attributes:
        ends_s: by the monotonic clock; what has not ended by then counts as stuck.
        asked: what was submitted, by video ID.
        happened: the faults that were played.
        wished: what people did, and to which videos.
    """

    plan: Plan
    world: World
    tell: Tell
    nurse: Nurse
    ends_s: float = math.inf
    asked: dict[str, evidence.Asked] = field(default_factory=dict)
    happened: list[Happened] = field(default_factory=list)
    wished: list[Happened] = field(default_factory=list)
    owns: list[persons.Own] = field(default_factory=list)

    def play(self, films: Films) -> None:
        """Everything at its moment, each in a thread of its own, until the last fault is over."""
        events: list[tuple[float, Callable[[], None]]] = []
        for number, video in enumerate(self.plan.videos):
            asked = evidence.Asked(serve(video, self.world.trial.site, films, number))
            self.asked[asked.served.video_id] = asked
            self.world.trial.paths[asked.served.video_id] = asked.served.path
            self.world.trial.sizes[asked.served.path] = asked.served.size_bytes
            events += [
                (video.at_s + twin * TWIN_AFTER_S, partial(self._submit, asked, twin))
                for twin in range(1 + video.twins)
            ]
        events += [(fault.at_s, partial(self._break, fault)) for fault in self.plan.faults]
        events += [(wish.at_s, partial(self._wish, films, wish)) for wish in self.plan.wishes]
        began_s = time.monotonic()
        threads = []
        for at_s, act in sorted(events, key=lambda event: event[0]):
            time.sleep(max(0.0, began_s + at_s - time.monotonic()))
            threads.append(threading.Thread(target=act, daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _submit(self, asked: evidence.Asked, twin: int) -> None:
        """As a program does: again until there is a receipt. Each try has a callback of its own, to tell them apart."""
        video = asked.served.video
        deadline_s = time.monotonic() + SUBMIT_LIMIT_S
        for number in range(1000):
            body: dict[str, object] = {"url": asked.served.address, "priority": -video.priority}
            if asked.served.end.outcome == "clips":
                body["options"] = OPTIONS
            hook = f"/{video.name}/{twin}/{number}"
            if video.callback:
                self.world.receiver.add(hook, Page())
                body["callback_url"] = self.world.receiver_gate.url + hook
            with suppress(httpx.HTTPError):
                answer = httpx.post(f"{self.world.system.intake}/public/video", json=body, timeout=ANSWER_LIMIT_S)
                if answer.is_success:
                    asked.tokens.append(answer.json()["token"])
                    asked.hooks += [hook] if video.callback else []
                    return
            if time.monotonic() > deadline_s:
                self.tell(f"{video.name} was not taken within {SUBMIT_LIMIT_S:.0f} s")
                return
            time.sleep(1.0)

    def _break(self, fault: Fault) -> None:
        """One fault, from its beginning until it is got over."""
        happened = Happened(fault, began_at=time.time())
        self.happened.append(happened)
        stops_sensors = fault.kind in faults.STOPS_SENSORS
        before: dict[str, QueueRow] = {}
        try:
            with faults.hands_on(self.world, fault.kind), self.world.stopped() if stops_sensors else nullcontext():
                before = {row.video_id: row for row in self.world.rows() or [] if row.status is QueueStatus.RUNNING}
                happened.began_at = time.time()
                with faults.KINDS[fault.kind](self.world, fault) as happened.note:
                    if fault.kind in SEEKING:
                        happened.began_at = time.time() - FOUND_BEFORE_S
                    self.tell(f"{fault} {happened.note}")
                    if fault.kind != POINT:
                        time.sleep(fault.lasts_s)
        except NotNowError as why:
            happened.not_done, happened.ended_at = str(why), time.time()
            self.tell(f"{fault} was not made: {why}")
            return
        except faults.HeldUpError as what:
            happened.held_up = str(what)
            self.tell(f"{fault} HELD UP: {what}")
        except Exception as error:  # noqa: BLE001 - told with the rest, and a fault of the campaign's own
            happened.held_up = f"the campaign itself failed at {fault}: {type(error).__name__}: {error}"
            self.tell(happened.held_up)
        happened.ended_at = time.time()
        if stops_sensors:
            self.nurse.excuse()
        self._recover(happened, before)

    def _wish(self, films: Films, wish: Fault) -> None:
        """What somebody does to his own video, from its submission until he has what he wishes."""
        happened = Happened(wish, began_at=time.time())
        self.wished.append(happened)
        own = persons.prepare(self.world, films, wish)
        self.owns.append(own)
        happened.note = own.video_id
        try:
            persons.act(own)
        except NotNowError as why:
            happened.not_done = str(why)
        except faults.HeldUpError as what:
            happened.held_up = f"{wish}: {what}"
        except Exception as error:  # noqa: BLE001 - as above
            happened.held_up = f"the campaign itself failed at {wish}: {type(error).__name__}: {error}"
        happened.ended_at = time.time()
        took = f"{happened.note}, after {happened.ended_at - happened.began_at:.0f} s"
        self.tell(f"{wish} {happened.held_up or happened.not_done or took}")

    def _recover(self, happened: Happened, before: dict[str, QueueRow]) -> None:
        left, late = set(before), list[str]()

        def clear_s() -> float:
            """Since the fault ended. What else was broken meanwhile held it up as well, and does not count."""
            spans = [
                (other.began_at, other.ended_at or time.time())
                for other in self.happened
                if other is not happened
                and other.not_done is None
                and (other.ended_at or other.fault.kind not in SEEKING)
            ]
            return report.clear_s(happened.ended_at, time.time(), spans)

        def is_over() -> bool:
            found = self.world.rows()
            rows = {row.video_id: row for row in found or []}
            if found is not None:
                left.intersection_update(rows)  # whose person wished it gone
            is_full = sum(row.status is QueueStatus.RUNNING for row in rows.values()) >= MAX_IN_FLIGHT
            for video_id in left & set(rows):
                row = rows[video_id]
                waits_its_turn = is_full and row.status in {QueueStatus.QUEUED, QueueStatus.WAITING}
                if waits_its_turn or _lives(row, before[video_id], happened.ended_at):
                    left.remove(video_id)
            late[:] = [name for name, at_s in self.world.ticks().items() if at_s <= happened.ended_at]
            return not left and not late

        with suppress(TimeoutError):
            wait_for(lambda: is_over() or clear_s() > RECOVERY_LIMIT_S, self._at_most(END_LIMIT_S))
        if left or late:
            happened.held_up = f"{happened.fault} was not got over in {clear_s():.0f} s: {[*sorted(left), *late]}"
            self.tell(f"NOT GOT OVER {happened.held_up}")
            return
        happened.recovery_s = clear_s()
        self.tell(f"{happened.fault} was got over in {happened.recovery_s:.1f} s")

    def settle(self) -> Evidence:
        """Wait until nothing more happens by itself, and gather what is there."""
        unfinished: dict[str, str] = {}
        moved: list[Any] = [None, time.monotonic()]

        def ended() -> bool:
            rows = {row.video_id: row for row in self.world.rows() or []}
            seen = {name: (row.status, row.attempt, row.pipeline_step) for name, row in rows.items()}
            if seen != moved[0]:
                moved[:] = seen, time.monotonic()
            unfinished.clear()
            for video_id, asked in self.asked.items():
                row = rows.get(video_id)
                if row is None or not row.status.is_final:
                    unfinished[asked.served.video.name] = _where(row)
            return not unfinished or time.monotonic() - moved[1] > STILL_LIMIT_S

        with suppress(TimeoutError):
            wait_for(ended, self._at_most(END_LIMIT_S))
        self.tell(f"{len(self.asked) - len(unfinished)} of {len(self.asked)} videos have ended")
        world = self.world
        with suppress(TimeoutError):
            wait_for(lambda: not self._not_called(), self._at_most(CALLBACK_LIMIT_S))
        with suppress(TimeoutError):
            wait_for(
                lambda: not (evidence.left_working(world) or evidence.left_files(world) or evidence.left_slots(world)),
                TIDY_LIMIT_S,
            )
        found = evidence.gather(world, list(self.asked.values()), [own.token for own in self.owns if own.token])
        found.unfinished = unfinished
        found.windows = [
            Window(str(h.fault), h.fault.kind, h.began_at, h.ended_at + (h.recovery_s or RECOVERY_LIMIT_S))
            for h in self.happened
            if h.not_done is None
        ]
        found.held_up = [*self.nurse.stalls, *(h.held_up for h in self.happened + self.wished if h.held_up)]
        found.held_up += [how for own in self.owns if (how := persons.broken_at_last(own))]
        self.tell(f"{sum(own.is_granted for own in self.owns)} of {len(self.owns)} people had what they wished")
        return found

    def _at_most(self, limit_s: float) -> float:
        """So long, or as long as there is time, with what it takes to look at the end."""
        return max(1.0, min(limit_s, self.ends_s - LAST_LOOK_S - time.monotonic()))

    def _not_called(self) -> set[str]:
        called = {callback.path for callback in evidence.callbacks_of(self.world.receiver._hits)}
        return {hook for asked in self.asked.values() for hook in asked.hooks} - called


def _lives(now: QueueRow, before: QueueRow, since: float) -> bool:
    """Whether a video goes on, or has ended, since a moment."""
    beat = now.heartbeat_at is not None and now.heartbeat_at.timestamp() > since
    return now.status.is_final or now.attempt > before.attempt or (now.status is QueueStatus.RUNNING and beat)


def _where(row: QueueRow | None) -> str:
    return f"{row.status} at {row.pipeline_step}, {row.failure_cause}" if row else "never taken in"


def run(chosen: Plan, folder: Path, minutes: float) -> list[str]:
    """One campaign; gives what broke."""
    ends_s = time.monotonic() + minutes * 60
    tell = Tell(folder / "campaign.log")
    counts = f"{len(chosen.videos)} videos, {len(chosen.faults)} faults, {len(chosen.wishes)} people"
    tell(f"Seed {chosen.seed}, plan version {VERSION}: {counts}; {folder}")
    (folder / "plan.json").write_text(json.dumps(asdict(chosen), indent=1))
    films = Films(folder)
    with ExitStack() as stack:
        world = stack.enter_context(open_world(folder))
        nurse = stack.enter_context(Nurse(world, tell))
        tell("The system is up")
        campaign = Campaign(chosen, world, tell, nurse, ends_s)
        campaign.play(films)
        tell("Every fault is over")
        try:
            found = campaign.settle()
        except Failure as failure:
            return [f"the end could not be looked at: {failure}"]
    found.processes += list(processes_of(folder / "home").values())
    # Of a code server that is killed its socket stays, which is Dagster's.
    found.files += [f"tmp/{path.name}" for path in (folder / "home" / "tmp").iterdir() if not path.is_socket()]
    how = broken(found)
    tell("\n" + report.table(campaign.happened, found))
    for line in how:
        tell(f"BROKEN {line}")
    return how


def main() -> int:
    """Play one campaign, as the arguments say."""
    parser = argparse.ArgumentParser(description="A campaign of faults against the real system.")
    parser.add_argument("--seed", type=int, help="of the plan; without one, any")
    parser.add_argument("--faults", type=int, default=DEFAULT_FAULTS, help="how many (default: %(default)s)")
    parser.add_argument(
        "--kinds", default="", help=f"only these, separated by commas: {', '.join([*faults.KINDS, PERSON])}"
    )
    parser.add_argument("--minutes", type=float, help="what has not ended by then counts as stuck")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs also where nothing broke")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored, for our children too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # so that everything that runs is stopped
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(MAX_SEED)
    folder = Path(tempfile.mkdtemp(prefix="madvision-chaos-"))
    chosen = make_plan(seed, arguments.faults, [kind for kind in arguments.kinds.split(",") if kind])
    how = run(chosen, folder, arguments.minutes or math.inf)
    again = f"make chaos SEED={seed} FAULTS={arguments.faults}" + (
        f" KINDS='{arguments.kinds}'" if arguments.kinds else ""
    )
    if how:
        print(f"{len(how)} promises were broken. The logs: {folder}. Again: {again}")  # noqa: T201 - as Tell does
        return 1
    if not arguments.keep:
        shutil.rmtree(folder)
    print(f"Every promise held. Again: {again}")  # noqa: T201 - as Tell does
    return 0


if __name__ == "__main__":
    sys.exit(main())
