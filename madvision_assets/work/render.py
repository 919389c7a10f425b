"""Render: from chosen moments to inspected clips in the store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from madvision_assets.domain import captions
from madvision_assets.domain.clips import Clip, ClipCandidate, ClipCandidates, Clips, Role, clip_id
from madvision_assets.domain.cutting import plan_cut
from madvision_assets.domain.documents import Made, ObjectRef
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.media import cut, ffmpeg, frames, outputs
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import shaping

Progress = Callable[[float, str], None]

SHEET_COLUMNS = 3  # as wide as Dagster's window for it


@dataclass(frozen=True)
class ClipRenderer:
    """Cuts, captions, inspects and stores clips; one that fails its inspection fails all, with its reason."""

    store: ObjectStore

    def render(
        self,
        raw_video: RawVideo,
        transcript: Transcript,
        chosen: ClipCandidates,
        folder: Path,
        progress: Progress,
    ) -> Made[Clips]:
        """Render every candidate; ``folder`` is scratch.

        Raises:
            Failure: of ffmpeg, of a clip's inspection, or of the store; nothing is published then.
        """
        clips: list[Clip] = []
        if chosen.candidates:
            with self._source(raw_video.media, folder) as source:
                for number, candidate in enumerate(chosen.candidates):
                    tell = partial(_tell, progress, number, len(chosen.candidates))
                    clips.append(self._one(raw_video, transcript, candidate, source, folder, tell))
        document = Clips(
            video_id=raw_video.video_id,
            outcome=chosen.outcome,
            outcome_reason=chosen.outcome_reason,
            clips=tuple(clips),
            provisional=chosen.provisional,
        )
        recipe = Recipe(engine="ffmpeg", engine_version=ffmpeg.version(), parameters=cut.ENCODING)
        return Made(document, recipe)

    def _one(
        self,
        raw_video: RawVideo,
        transcript: Transcript,
        candidate: ClipCandidate,
        source: Path,
        folder: Path,
        tell: Callable[[float], None],
    ) -> Clip:
        plan = plan_cut(candidate.start_s, candidate.end_s, raw_video.info)
        identity = clip_id(raw_video.video_id, candidate.rank)
        paths = {role: folder / f"{identity}.{role.suffix}" for role in Role if not role.is_rendition}
        shapes = len(raw_video.options.pictures)
        cut.cut_clip(
            source, plan, paths[Role.SOURCE], raw_video.info.tracks, progress=lambda share: tell(share / (1 + shapes))
        )
        seen = cut.inspect_clip(paths[Role.SOURCE], plan)
        made = outputs.CutClip(
            path=paths[Role.SOURCE],
            duration_s=seen.duration_s,
            cues=captions.caption_cues(transcript.words, plan.start_s, plan.end_s),
        )
        for role, path in paths.items():
            outputs.make(role, made, path)
        words = captions.words_of_clip(transcript.words, plan.start_s, plan.end_s)
        finished = shaping.Finished(identity, paths[Role.SOURCE], plan.fps, words)
        shaped = shaping.shape(
            finished, raw_video.options, folder, lambda share: tell((1 + share * shapes) / (1 + shapes))
        )  # fmt: skip
        paths |= shaped.paths
        clip = Clip(
            clip_id=identity,
            rank=candidate.rank,
            title=candidate.title,
            reason=candidate.reason,
            score=candidate.score,
            start_s=plan.start_s,
            end_s=plan.end_s,
            duration_s=seen.duration_s,
            audio_video_offset_s=seen.audio_video_offset_s,
            width=seen.width,
            height=seen.height,
            files={role.value: self._store(path, raw_video.video_id, role) for role, path in paths.items()},
            framings=shaped.framings,
            failed=shaped.failed,
        )
        for path in paths.values():
            path.unlink()  # a video of many clips needs the disk of one
        return clip

    def _store(self, path: Path, video_id: str, role: Role) -> ObjectRef:
        return self.store.store_media(path, video_id, role.suffix.rpartition(".")[2], role.media_type)

    @contextmanager
    def _source(self, media: ObjectRef, folder: Path) -> Iterator[Path]:
        """The video as a file: where it lies in a folder store, else a copy that is gone afterwards."""
        local = self.store.local_path(media.key)
        if local is not None:
            yield local
            return
        copy = folder / Path(media.key).name
        self.store.download(media.key, copy)
        try:
            yield copy
        finally:
            copy.unlink(missing_ok=True)


def contact_sheet(store: ObjectStore, made: Clips) -> bytes | None:
    """A JPEG of all thumbnails; None without clips.

    Raises:
        Failure: of the store.
    """
    found = [file for clip in made.clips if (file := clip.file(Role.THUMBNAIL))]
    thumbnails = [store.get_bytes(file.key) for file in found]
    return frames.contact_sheet(thumbnails, columns=SHEET_COLUMNS) if thumbnails else None


def _tell(progress: Progress, number: int, count: int, share: float) -> None:
    """Progress of one clip as progress of all."""
    progress((number + share) / count, f"clip {number + 1} of {count}")
