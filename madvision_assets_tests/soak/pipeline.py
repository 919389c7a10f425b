"""The code location of a soak: the real definitions, whose tools wait as long as the plan says, and fail as it says."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from madvision_assets.connections import make_store
from madvision_assets.definitions import build_defs
from madvision_assets.domain import failures
from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo, Video
from madvision_assets.settings import load_settings
from madvision_assets.tools.analyst import Proposal
from madvision_assets_tests.harness import InstantTools
from madvision_assets_tests.soak.plan import Planned, read_videos

PLAN, FAILED, MEDIA = "soak-plan.json", "soak-failed", "soak-media.mp4"
TOOLS = ("ingest", "transcriber", "analyst", "renderer")
# None of them speaks against anything that other videos use: what others pay for a breaker is not in the plan.
PERMANENT: dict[PipelineStep, type[Failure]] = {
    PipelineStep.RAW_VIDEO: failures.NotFoundError,
    PipelineStep.TRANSCRIPT: failures.NoAudioTrackError,
    PipelineStep.CONTENT_TYPE: failures.PolicyRefusalError,
    PipelineStep.CLIP_CANDIDATES: failures.PolicyRefusalError,
    PipelineStep.CLIPS: failures.CorruptMediaError,
}
TRANSIENT: dict[PipelineStep, type[Failure]] = {
    PipelineStep.RAW_VIDEO: failures.IncompleteDownloadError,
    PipelineStep.TRANSCRIPT: failures.TranscriptionFailedError,
    PipelineStep.CONTENT_TYPE: failures.AnalystBadAnswerError,
    PipelineStep.CLIP_CANDIDATES: failures.AnalystBadAnswerError,
    PipelineStep.CLIPS: failures.MediaToolError,
}


@dataclass
class WaitingTools(InstantTools):
    """Tools that wait first, or fail.

    Args:
        home: where the plan is, and what has failed so far.
        wait: for so many seconds.
    """

    home: Path = field(kw_only=True)
    wait: Callable[[float], None] = time.sleep

    @cached_property
    def videos(self) -> dict[str, Planned]:
        """The plan."""
        return read_videos(self.home / PLAN)

    def serve(self, step: PipelineStep, video_id: str) -> None:
        """Take the time that the stage takes; a failure comes at half of it.

        Raises:
            Failure: where the plan says so.
        """
        planned = self.videos[video_id]
        work_s = planned.work_s[step]
        if planned.fails_at is step and self._fails_now(planned):
            self.wait(work_s / 2)
            raise (PERMANENT if planned.is_lost else TRANSIENT)[step]("as planned")
        self.wait(work_s)

    def _fails_now(self, planned: Planned) -> bool:
        """Each failure leaves a mark, since every try is a process of its own."""
        for nth in range(planned.times):
            try:
                (self.home / FAILED / f"{planned.video_id}.{nth}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return planned.is_lost

    def take(self, video: Video, _folder: Path, progress: Callable[[float, str], None]) -> Made[RawVideo]:
        """In place of the ingest."""
        self.serve(PipelineStep.RAW_VIDEO, video.video_id)
        return super().take(video, _folder, progress)

    def transcribe(self, raw: RawVideo, _folder: Path, progress: Callable[[float, str], None]) -> Made[Transcript]:
        """In place of Whisper."""
        self.serve(PipelineStep.TRANSCRIPT, raw.video_id)
        return super().transcribe(raw, _folder, progress)

    def classify(self, transcript: Transcript, *more: Any, **named: Any) -> Made[ContentType]:
        """In place of the language model."""
        self.serve(PipelineStep.CONTENT_TYPE, transcript.video_id)
        return super().classify(transcript, *more, **named)

    def propose(self, *arguments: Any) -> Proposal:
        """Likewise."""
        self.serve(PipelineStep.CLIP_CANDIDATES, arguments[0].video_id)
        return super().propose(*arguments)

    def render(
        self, raw: RawVideo, spoken: Transcript, chosen: ClipCandidates, folder: Path, progress: Any
    ) -> Made[Clips]:
        """In place of the encoder."""
        self.serve(PipelineStep.CLIPS, raw.video_id)
        return super().render(raw, spoken, chosen, folder, progress)


@dg.definitions
def defs() -> dg.Definitions:
    """The code location."""
    settings = load_settings()
    home = settings.home_folder
    tools = WaitingTools(make_store(settings), home / MEDIA, home=home)
    return build_defs(settings, dict.fromkeys(TOOLS, tools))
