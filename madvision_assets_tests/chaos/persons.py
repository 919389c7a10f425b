"""What people do to their videos while things break. Each has one of his own, and sees that what he wishes happens.

They are no faults: nothing that breaks meanwhile is excused by them.
"""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from system import python

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets_tests.chaos.faults import HeldUpError, at_work_s
from madvision_assets_tests.chaos.invariants import ASKING
from madvision_assets_tests.chaos.plan import Fault, Video
from madvision_assets_tests.chaos.victims import NotNowError
from madvision_assets_tests.chaos.videos import OPTIONS, Films, Served, serve
from madvision_assets_tests.chaos.world import World

LIMIT_S = 240.0
STAYS_S = 6.0
AGAIN_AFTER_S = 10.0
REQUEST_LIMIT_S = 10.0
COMMAND_LIMIT_S = 90.0
POLL_S = 0.2
BROKEN = (Failure, httpx.HTTPError, subprocess.TimeoutExpired, ValueError)  # while something is broken
TITLE = "What somebody called it while all about him broke"


@dataclass
class Own:
    """Somebody's video.

    Attributes:
        served: where it is.
        wish: what he does to it.
        token: his receipt.
        tries: so many times he submitted it.
        is_granted: whether it happened.
    """

    world: World
    served: Served
    wish: str
    token: str = ""
    tries: int = 0
    is_granted: bool = False

    @property
    def video_id(self) -> str:
        """What the system calls it."""
        return self.served.video_id

    def submit(self) -> None:
        """Again until there is a receipt."""

        def taken() -> bool:
            self.tries += 1
            body = {"url": self.served.address, "options": OPTIONS}
            self.token = str(self._asked("POST", "/public/video", json=body).json()["token"])
            return True

        self.until(taken, "nobody took it")
        if self.tries > 1 and self.wish in {"deletes", "edits"}:
            raise NotNowError("an earlier receipt of his may be lost, and that one alone edits, or holds the video")

    def row(self) -> QueueRow | None:
        """Where it stands; None where there is none."""
        return self.world.trial.queue.get(self.video_id)

    def is_running(self) -> bool:
        """Whether somebody is at work on it."""
        return getattr(self.row(), "status", None) is QueueStatus.RUNNING

    def has_clips(self) -> bool:
        """Whether it ended well."""
        row = self.row()
        return row is not None and row.status is QueueStatus.DONE and row.outcome is Outcome.CLIPS

    def left(self) -> dict[str, object]:
        """What there is of it, in the tables, in the store, and for whoever has its token."""
        trial = self.world.trial
        status = self._told("GET", "/public/video/status").status_code
        found = {
            "row": self.row(),
            "documents": {step.value: count for step, count in trial.versions(self.video_id).items() if count},
            "media": list(trial.store.list_keys(f"media/{self.video_id}")),
            "status": None if status == httpx.codes.NOT_FOUND else status,
        }
        return {name: what for name, what in found.items() if what}

    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return not self.left()

    def look(self) -> dict[str, Any]:
        """Its clips, to be changed."""
        return dict(self._asked("GET", "/public/video/clips").json())

    def retitle(self, title: str) -> None:
        """Call its first clip something else."""
        change = {"change": "retitle", "clip": self.look()["clips"][0]["clip"], "title": title}
        self._asked("PATCH", "/public/video/clips", json={"version": self.look()["version"], "edits": [change]})

    def delete(self) -> None:
        """As its submitter."""
        self._asked("DELETE", "/public/video")

    def written(self) -> list[dict[str, object]]:
        """What the processes wrote down of it."""
        return [line for line in self.world.ledger() if line.get("video_id") == self.video_id]

    def paid(self) -> dict[str, int]:
        """How often it was fetched, heard and asked about."""
        trial = self.world.trial
        made = trial.lineage(self.video_id)
        asked = {f"asked about, {step}": trial.asked(self.video_id, PipelineStep(step)) for step in ASKING}
        return {"fetched": trial.downloads(self.video_id), "heard": made[PipelineStep.TRANSCRIPT], **asked}

    def command(self, *words: str) -> dict[str, Any]:
        """What a command says at a terminal.

        Raises:
            subprocess.TimeoutExpired, ValueError: it says nothing within its time, or nothing that can be read.
        """
        done = subprocess.run(
            python("-m", "madvision_assets.command.main", *words, "--format", "json"),
            env=self.world.environment, cwd=self.world.folder, capture_output=True, text=True, check=False,
            timeout=COMMAND_LIMIT_S,
        )  # fmt: skip
        with (self.world.folder / "persons.log").open("a") as log:
            log.write(f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return dict(json.loads(done.stdout))

    def until(self, is_so: Callable[[], object], otherwise: str, wish: Callable[[], object] | None = None) -> None:
        """Wait for something, and wish for it again and again; time in which nothing could be done does not count.

        Raises:
            HeldUpError: it does not come.
        """
        began_at, wished_s = time.time(), 0.0
        while True:
            with suppress(*BROKEN):
                if is_so():
                    return
                if wish and time.monotonic() - wished_s > AGAIN_AFTER_S:
                    wished_s = time.monotonic()
                    wish()
            if at_work_s(self.world, began_at) > LIMIT_S:
                raise HeldUpError(f"{self.video_id}: {otherwise} within {LIMIT_S:.0f} s; there is {self._there()}")
            time.sleep(POLL_S)

    def _there(self) -> object:
        with suppress(*BROKEN):
            return self.left()
        return "nobody who could be asked"

    def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._told(method, path, **more).raise_for_status()

    def _told(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"{self.world.system.intake}{path}"
        return httpx.request(method, url, headers=headers, timeout=REQUEST_LIMIT_S, **more)


def cancels(own: Own) -> None:
    """At work it is stopped, and stays so until somebody wants it to go on: then it ends as if nothing had been."""
    own.until(own.is_running, "nobody began it")

    def is_cancelled() -> bool:
        if own.has_clips():
            raise NotNowError("it was done before it could be cancelled")
        return getattr(own.row(), "failure_cause", None) == "cancelled"

    own.until(is_cancelled, "it was not cancelled", lambda: own.command("cancel", own.video_id))
    since = time.time()
    while at_work_s(own.world, since) < STAYS_S:
        with suppress(*BROKEN):
            if own.is_running():
                raise HeldUpError(f"{own.video_id}: it was cancelled, and went on by itself")
        time.sleep(POLL_S)
    own.until(lambda: not is_cancelled(), "it did not go on", lambda: own.command("requeue", "--video", own.video_id))
    own.until(own.has_clips, "it had no clips")


def deletes(own: Own) -> None:
    """At work it is deleted by whoever submitted it: all of it goes, and its token leads nowhere."""
    own.until(own.is_running, "nobody began it")
    own.until(own.is_gone, "something is left of it", own.delete)


def forgets(own: Own) -> None:
    """At work it is not forgotten, and takes no harm; when it is done, it goes."""
    own.until(own.is_running, "nobody began it")
    told: dict[str, Any] = {}

    def is_answered() -> bool:
        told.clear()
        told.update(own.command("forget", own.video_id, "--yes"))
        return "failure" not in told

    own.until(is_answered, "nobody answered who wanted it forgotten")
    if not told["left_alone"]:
        if not any(e["what"] == "worked" and e["step"] == PipelineStep.CLIPS for e in own.written()):
            raise HeldUpError(f"{own.video_id}: it was forgotten while somebody was at work on it: {told}")
        raise NotNowError("it was done before it could be forgotten")
    own.until(own.has_clips, "it had no clips")
    own.until(own.is_gone, "something is left of it", lambda: own.command("forget", own.video_id, "--yes"))


def edits(own: Own) -> None:
    """When it is done, a clip is called something else: nothing is fetched or heard again for it."""
    own.until(own.has_clips, "it had no clips")

    before = own.paid()

    def is_called_so() -> bool:
        return own.has_clips() and own.look()["clips"][0]["title"] == TITLE and not own.look()["busy"]

    own.until(is_called_so, "its clip has its old name", lambda: own.retitle(TITLE))
    if own.paid() != before:
        raise HeldUpError(f"{own.video_id}: for a name it was paid again: {own.paid()}, and was {before}")


WISHES: dict[str, Callable[[Own], None]] = {"cancels": cancels, "deletes": deletes, "edits": edits, "forgets": forgets}


def prepare(world: World, films: Films, wish: Fault) -> Own:
    """Put somebody's video where it can be fetched."""
    video = Video(f"person-{wish.number}", "good", wish.at_s, 0, callback=False, twins=0)
    served = serve(video, world.trial.site, films, wish.number)
    world.persons.add(served.video_id)
    world.trial.paths[served.video_id], world.trial.sizes[served.path] = served.path, served.size_bytes
    return Own(world, served, wish.target)


def act(own: Own) -> None:
    """Submit it, and do what a plan has somebody do.

    Raises:
        HeldUpError: what he wished did not happen.
        NotNowError: there was no moment for it.
    """
    own.submit()
    WISHES[own.wish](own)
    own.is_granted = True


def broken_at_last(own: Own) -> str | None:
    """What is wrong with it when nothing more happens: it is there with its clips, or all of it went as was wished."""
    ends = own.wish in {"deletes", "forgets"}
    if (own.is_gone() and ends) or (own.has_clips() and not (ends and own.is_granted)):
        return None
    return f"{own.video_id}, whose person {own.wish}: at last there is {own.left()}"
