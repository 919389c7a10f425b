"""Videos in every state for the pages to show, with real clips, and the real server that shows them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from madvision_assets.domain.clips import Clip, ClipCandidates, Clips, Outcome, RejectedMoment, Role
from madvision_assets.domain.clips import clip_id as id_of_clip
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.intake.schemas import SubmissionRequest
from madvision_assets.intake.services import Services, make_services
from madvision_assets.intake.submitting import submit_one
from madvision_assets.tools.database.leases import Lease
from madvision_assets.tools.database.queue import Queue, utc_now
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.store.documents import point_current, write_document
from madvision_assets_tests import footage, stores
from madvision_assets_tests.intake.serving import settings_in
from madvision_assets_tests.stores import sealed

WAIT_LIMIT_S = 90.0
SUBTITLES = b"1\n00:00:00,200 --> 00:00:02,500\nA small step\n\n2\n00:00:02,600 --> 00:00:05,000\nwell explained\n\n"


@dataclass(frozen=True)
class Shown:
    """A video that was submitted: its token, and what moves it."""

    token: str
    row: QueueRow

    @property
    def path(self) -> str:
        """Of its page."""
        return f"/video/{self.token}"


class VideoStates:
    """A database and a store in a folder, and moves of videos through the queue."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        places = {
            "database_url": SecretStr(f"sqlite:///{folder / 'states.db'}"),
            "store_url": (folder / "store").as_uri(),
        }
        self.services: Services = make_services(settings_in(folder, **{**places, **settings}))
        self.services.database.migrate()
        self.queue = Queue(self.services.database)

    def submitted(self, url: str) -> Shown:
        """A video in the queue."""
        receipt = submit_one(self.services, SubmissionRequest(url=url), "192.0.2.1")
        return Shown(receipt.token, receipt.row)

    def running(self, url: str, step: PipelineStep = PipelineStep.RAW_VIDEO) -> tuple[Shown, Lease]:
        """A video at work in a step, with the lease that moves it."""
        shown = self.submitted(url)
        return shown, self.begun(shown, step)

    def begun(self, shown: Shown, step: PipelineStep = PipelineStep.RAW_VIDEO) -> Lease:
        """Start a video that was submitted."""
        self.queue.claim_due(1000)
        row = self.queue.get(shown.row.video_id)
        assert row is not None
        return self.queue.begin(row.video_id, f"run-{row.video_id}", row.attempt, step)

    def failed(self, url: str, step: PipelineStep, failure: Failure) -> Shown:
        """A video whose step failed: it waits, is given up or parked, as the failure has it."""
        shown, lease = self.running(url, step)
        self.fail(lease, step, failure)
        return shown

    def fail(self, lease: Lease, step: PipelineStep, failure: Failure) -> None:
        """The step under way fails."""
        self.queue.fail(lease.video_id, lease.run_id, lease.attempt, step, failure)

    def named(self, lease: Lease, title: str, duration_s: float = 60.0) -> None:
        """The video is downloaded, and its title and length are known."""
        usual = stores.raw_video()
        told = {
            "video_id": lease.video_id,
            "source": usual.source.model_copy(update={"title": title}),
            "info": usual.info.model_copy(update={"duration_s": duration_s}),
        }
        raw = sealed(usual.model_copy(update=told), run_id=lease.run_id)
        self.services.database.add_lineage(raw, "file:///raw_video")

    def heard(self, lease: Lease, *texts: str) -> None:
        """This is said in the video, a sentence every ten seconds from the first minute on."""
        segments = [Segment(id=n, start_s=60 + n * 10, end_s=70 + n * 10, text=text) for n, text in enumerate(texts)]
        spoken = Transcript(
            video_id=lease.video_id,
            language="en",
            duration_s=754,
            audible_s=754,
            covered_s=754,
            segments=tuple(segments),
        )
        self.services.database.add_lineage(sealed(spoken, run_id=lease.run_id), "file:///transcript")

    def chosen(self, lease: Lease, *rejected: RejectedMoment, **recipe: str) -> None:
        """Moments were looked for in a talk of the kind ``interview``, and these were not taken."""
        add, nothing = self.services.database.add_lineage, Outcome.NOTHING_INSIGHTFUL
        kind = ContentType(
            video_id=lease.video_id, kind=ContentKind.INTERVIEW, confidence=Confidence.HIGH, reason="two people"
        )
        add(sealed(kind, run_id=lease.run_id), "file:///content_type")
        made = ClipCandidates(video_id=lease.video_id, outcome=nothing, outcome_reason="none", rejected=rejected)
        add(sealed(made, run_id=lease.run_id, **recipe), "file:///clip_candidates")

    def finish(
        self, lease: Lease, outcome: Outcome, reason: str = "found", moments: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """The video ends with these clips, ``(title, reason)``, best first."""
        clips = tuple(self._clip(lease.video_id, rank, *told) for rank, told in enumerate(moments, 1))
        made = Clips(video_id=lease.video_id, outcome=outcome, outcome_reason=reason, clips=clips)
        made = sealed(made, run_id=lease.run_id)
        write_document(self.services.store, made)
        point_current(self.services.store, made)
        self.services.database.add_lineage(made, "file:///clips")
        self.queue.finish_step(lease.video_id, lease.run_id, PipelineStep.CLIPS, ends=True, made=made)

    def done(
        self, url: str, outcome: Outcome, reason: str = "found", moments: tuple[tuple[str, str], ...] = ()
    ) -> Shown:
        """A video that ended so."""
        shown, lease = self.running(url, PipelineStep.CLIPS)
        self.finish(lease, outcome, reason, moments)
        return shown

    @cached_property
    def _media(self) -> tuple[Path, Path, Path]:
        film = footage.talking(self.folder / "clip.mp4", 6.0)
        captions = self.folder / "clip.srt"
        captions.write_bytes(SUBTITLES)
        still = self.folder / "clip.jpg"
        footage.ffmpeg("-i", film, "-frames:v", "1", still)
        return film, captions, still

    def _clip(self, video_id: str, rank: int, title: str, reason: str) -> Clip:
        film, captions, still = self._media
        keep = self.services.store.store_media
        return Clip(
            clip_id=id_of_clip(video_id, rank),
            rank=rank,
            title=title,
            reason=reason,
            score=1 - rank / 10,
            start_s=62.0 * rank,
            end_s=62.0 * rank + 45,
            duration_s=6.0,
            audio_video_offset_s=0,
            width=footage.WIDTH,
            height=footage.HEIGHT,
            files={
                role: keep(file, video_id, role.suffix, role.media_type)
                for role, file in ((Role.SOURCE, film), (Role.CAPTIONS, captions), (Role.THUMBNAIL, still))
            },
        )


@contextmanager
def served(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The application behind a real server on loopback; yields its address.

    Args:
        app: the application.
        port: where to listen; 0 for any that is free.
    """
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WAIT_LIMIT_S)


def wait_until(condition: Callable[[], bool], limit_s: float = WAIT_LIMIT_S) -> None:
    """Return as soon as it holds.

    Raises:
        TimeoutError: it did not hold in time.
    """
    end = utc_now() + timedelta(seconds=limit_s)
    while not condition():
        if utc_now() > end:
            raise TimeoutError(f"not within {limit_s:.0f} s")
        time.sleep(0.02)
