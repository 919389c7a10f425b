"""Render: from chosen moments to inspected clips in the store."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from pydantic import ValidationError

from madvision_assets.domain import captions
from madvision_assets.domain.clips import Clip, ClipCandidate, ClipCandidates, Clips, FailedClip, Method, Role, clip_id
from madvision_assets.domain.cutting import CutPlan, plan_cut
from madvision_assets.domain.documents import Made, ObjectRef
from madvision_assets.domain.failures import (
    BadClipError,
    CorruptMediaError,
    Failure,
    MediaToolError,
    MissingInputError,
    NotMediaError,
    TooCostlyError,
)
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.transcript import Transcript, Word
from madvision_assets.domain.video import PICTURE_OPTIONS, RawVideo
from madvision_assets.tools.media import cut, detector, ffmpeg, frames, outputs
from madvision_assets.tools.store.documents import are_whole
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import shaping
from madvision_assets.work.clip_source import CutSource

Progress = Callable[[float, str], None]

SHEET_COLUMNS = 3  # as wide as Dagster's window for it
NOTES = "rendered"  # folder of the store
NOTES_VERSION = 4  # of how clips are rendered: what was noted under another one is rendered again
# What is the matter of one clip; everything else would meet the next one, too.
CLIP_FAILURES = (BadClipError, CorruptMediaError, MediaToolError, NotMediaError, TooCostlyError)


@dataclass(frozen=True)
class ClipRenderer:
    """Cuts, captions, inspects and stores clips; one that fails says so, and the others are delivered."""

    store: ObjectStore

    def render(
        self,
        raw_video: RawVideo,
        transcript: Transcript,
        chosen: ClipCandidates,
        folder: Path,
        progress: Progress,
    ) -> Made[Clips]:
        """Render every candidate that was not rendered just so before; ``folder`` is scratch.

        Raises:
            Failure: of the store or the disk, which is the matter of all; of the first clip where none came out.
        """
        wanted = [_Wanted(raw_video, transcript, candidate) for candidate in chosen.candidates]
        clips = {each.rank: clip for each in wanted if (clip := self._rendered(each)) is not None}
        missing = [each for each in wanted if each.rank not in clips]
        lacking = [each for each in wanted if each.rank in clips and clips[each.rank].failed]
        failed: dict[int, Failure] = {}
        count = len(missing) + len(lacking)
        for number, each in enumerate(lacking):
            tell = partial(_tell, progress, number, count)
            with ffmpeg.at_least(cut.budget_s(each.plan)):
                clips[each.rank] = self._completed(each, clips[each.rank], folder, tell)
        if missing:
            with CutSource.of(self.store, raw_video, folder) as source:
                source.look([each.plan for each in missing if each.lies_inside])
                for number, each in enumerate(missing, start=len(lacking)):
                    tell = partial(_tell, progress, number, count)
                    try:
                        with ffmpeg.at_least(cut.budget_s(each.plan)):
                            clips[each.rank] = shaping.twice(partial(self._one, each, source, folder, tell))
                    except CLIP_FAILURES as failure:
                        failed[each.rank] = failure
        if failed and not clips:
            raise next(iter(failed.values()))
        document = Clips(
            video_id=raw_video.video_id,
            outcome=chosen.outcome,
            outcome_reason=" ".join(
                filter(None, (chosen.outcome_reason, _lost(len(failed), len(wanted)), _without(clips.values())))
            ),
            clips=tuple(clips[each.rank] for each in wanted if each.rank in clips),
            provisional=chosen.provisional,
            failed=tuple(_failed(each.candidate, failed[each.rank]) for each in wanted if each.rank in failed),
        )
        recipe = Recipe(engine="ffmpeg", engine_version=ffmpeg.version(), parameters=cut.ENCODING)
        return Made(document, recipe)

    def _one(self, wanted: "_Wanted", source: CutSource, folder: Path, tell: Callable[[float], None]) -> Clip:
        plan, options = wanted.plan, wanted.raw_video.options
        identity = clip_id(wanted.raw_video.video_id, wanted.rank)
        paths = {role: folder / f"{identity}.{role.suffix}" for role in Role if not role.is_rendition}
        of_all = 1 + len(options.pictures)
        try:
            source.reach(plan)
            more = partial(source.reach, plan, whole=True)
            made = cut.make_clip(
                source.path, plan, paths[Role.SOURCE], wanted.raw_video.info,
                more=more, progress=lambda share: tell(share / of_all),
            )  # fmt: skip
            cues = wanted.cues
            cut_clip = outputs.CutClip(path=paths[Role.SOURCE], duration_s=made.seen.duration_s, cues=cues)
            for role, path in paths.items():
                outputs.make(role, cut_clip, path)
            finished = shaping.Finished(identity, paths[Role.SOURCE], plan.fps, wanted.words)
            shaped = shaping.shape(
                finished, options, folder, lambda share: tell((1 + share * (of_all - 1)) / of_all)
            )  # fmt: skip
            paths |= shaped.paths
            clip = Clip(
                **wanted.told,
                start_s=plan.start_s,
                end_s=plan.end_s,
                **_measured(made.seen),
                files=self._stored(paths, wanted.raw_video.video_id),
                method=Method.CODED_ANEW if made.reason else Method.COPIED,
                method_reason=made.reason,
                copied_frames=made.copied_frames,
                framings=shaped.framings,
                failed=shaped.failed,
            )
        finally:
            for path in paths.values():
                path.unlink(missing_ok=True)  # a video of many clips needs the disk of one
        return self._noted(wanted, clip)

    def _completed(self, wanted: "_Wanted", clip: Clip, folder: Path, tell: Callable[[float], None]) -> Clip:
        """A clip that was rendered, with the pictures that could not be made then as far as they can be now.

        Raises:
            Failure: of the store or the disk.
        """
        options, path = wanted.raw_video.options, folder / f"{clip.clip_id}.{Role.SOURCE.suffix}"
        paths = [path]
        try:
            self.store.download(clip.files[Role.SOURCE].key, path)
            finished = shaping.Finished(clip.clip_id, path, wanted.plan.fps, wanted.words)
            shaped = shaping.shape(finished, options, folder, tell, shaping.missing(options, clip.failed))
            paths += shaped.paths.values()
            changed = {
                "files": {**clip.files, **self._stored(shaped.paths, wanted.raw_video.video_id)},
                "framings": {**clip.framings, **shaped.framings},
                "failed": shaped.failed,
            }
        finally:
            for path in paths:
                path.unlink(missing_ok=True)
        return self._noted(wanted, clip.model_copy(update=changed))

    def _noted(self, wanted: "_Wanted", clip: Clip) -> Clip:
        self.store.put_bytes(wanted.note_key, clip.model_dump_json().encode(), media_type="application/json")
        return clip

    def _rendered(self, wanted: "_Wanted") -> Clip | None:
        """The same pictures, where an earlier try made them and they are whole; called as they are to be called now."""
        try:
            clip = Clip.model_validate_json(self.store.get_bytes(wanted.note_key), extra="ignore")
        except (BadClipError, MissingInputError, ValidationError):
            return None
        return clip.model_copy(update=wanted.told) if are_whole(self.store, clip.files.values()) else None

    def _stored(self, paths: Mapping[Role, Path], video_id: str) -> dict[str, ObjectRef]:
        return {
            role.value: self.store.store_media(path, video_id, role.suffix.rpartition(".")[2], role.media_type)
            for role, path in paths.items()
        }


@dataclass(frozen=True)
class _Wanted:
    """A clip that is to be rendered, and all that it is made from."""

    raw_video: RawVideo
    transcript: Transcript
    candidate: ClipCandidate

    @property
    def rank(self) -> int:
        return self.candidate.rank

    @property
    def lies_inside(self) -> bool:
        try:
            return bool(self.plan)
        except BadClipError:
            return False

    @cached_property
    def plan(self) -> CutPlan:
        try:
            return plan_cut(self.candidate.start_s, self.candidate.end_s, self.raw_video.info)
        except ValueError as error:
            raise BadClipError(str(error)) from error

    @cached_property
    def cues(self) -> list[captions.Cue]:
        """Its captions."""
        return captions.caption_cues(self.transcript.words, self.plan.start_s, self.plan.end_s)

    @cached_property
    def words(self) -> list[Word]:
        """What is said in it."""
        return captions.words_of_clip(self.transcript.words, self.plan.start_s, self.plan.end_s)

    @property
    def told(self) -> dict[str, object]:
        """What it is called, none of which is in its pictures."""
        candidate = self.candidate
        told = candidate.model_dump(include={"rank", "title", "reason", "score"})
        return {"clip_id": clip_id(self.raw_video.video_id, candidate.rank), **told}

    @cached_property
    def note_key(self) -> str:
        """Where the clip is noted once it is rendered: what its files are made from, and nothing else, is in its name.

        Raises:
            BadClipError: it lies outside of the video.
        """
        plan, raw = self.plan, self.raw_video
        made_from = (
            NOTES_VERSION, cut.ENCODING, [role.value for role in Role],
            raw.media.sha256, raw.info.model_dump(mode="json"),
            raw.options.model_dump(mode="json", include=set(PICTURE_OPTIONS)),
            plan.start_s, plan.frames,
            captions.to_srt(self.cues), [word.model_dump(mode="json") for word in self.words],
            *([detector.name()] if raw.options.pictures else []),  # which says where pictures in other shapes look
        )  # fmt: skip
        digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
        return f"{NOTES}/{raw.video_id}/{digest}"


def _measured(seen: cut.ClipInspection) -> dict[str, float]:
    names = ("duration_s", "audio_video_offset_s", "width", "height")
    return {name: getattr(seen, name) for name in names}


def _lost(failed: int, of: int) -> str:
    """A sentence on clips that could not be made; empty where all could."""
    return f"{failed} of {of} clips could not be made." if failed else ""


def _without(clips: Iterable[Clip]) -> str:
    """A sentence on pictures that could not be made; empty where all could."""
    lacking = [clip.failed for clip in clips if clip.failed]
    roles = sorted({role for failed in lacking for role in failed})
    whose = "One clip is" if len(lacking) == 1 else f"{len(lacking)} clips are"
    return f"{whose} without pictures that were asked for ({', '.join(roles)})." if lacking else ""


def _failed(candidate: ClipCandidate, failure: Failure) -> FailedClip:
    return FailedClip(rank=candidate.rank, title=candidate.title, cause=failure.code, details=failure.details)


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
