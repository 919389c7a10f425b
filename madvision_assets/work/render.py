"""Render: from chosen moments to inspected clips in the store."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

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
from madvision_assets.domain.framing import Framing
from madvision_assets.domain.provenance import Recipe, Value
from madvision_assets.domain.renditions import PictureOptions, shape_of
from madvision_assets.domain.transcript import Transcript, Word
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.media import cut, detector, ffmpeg, frames, outputs
from madvision_assets.tools.store.documents import are_whole
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import shaping
from madvision_assets.work.clip_source import CutSource

Progress = Callable[[float, str], None]

SHEET_COLUMNS = 3  # as wide as Dagster's window for it
NOTES = "rendered"  # folder of the store
NOTES_VERSION = 5  # of how clips are rendered: what was noted under another one is rendered again
# What is the matter of one clip; everything else would meet the next one, too.
CLIP_FAILURES = (BadClipError, CorruptMediaError, MediaToolError, NotMediaError, TooCostlyError)

V = TypeVar("V", bound=Value)


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
        """Render of every candidate what was not rendered just so before; ``folder`` is scratch.

        Raises:
            Failure: of the store or the disk, which is the matter of all; of the first clip where none came out.
        """
        pictures = chosen.pictures_of(raw_video.options)
        wanted = [_Wanted(raw_video, transcript, candidate, pictures) for candidate in chosen.candidates]
        clips = {each.rank: clip for each in wanted if (clip := self._rendered(each)) is not None}
        missing = [each for each in wanted if each.rank not in clips]
        lacking = [each for each in wanted if each.rank in clips and pictures.files.keys() - clips[each.rank].files]
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
        plan = wanted.plan
        identity = clip_id(wanted.raw_video.video_id, wanted.rank)
        paths = {role: folder / f"{identity}.{role.suffix}" for role in Role if not role.is_rendition}
        of_all = 1 + len(wanted.pictures.pictures)
        try:
            source.reach(plan)
            more = partial(source.reach, plan, whole=True)
            made = cut.make_clip(
                source.path, plan, paths[Role.SOURCE], wanted.raw_video.info,
                more=more, progress=lambda share: tell(share / of_all),
            )  # fmt: skip
            cut_clip = outputs.CutClip(path=paths[Role.SOURCE], duration_s=made.seen.duration_s, cues=wanted.cues)
            for role, path in paths.items():
                outputs.make(role, cut_clip, path)
            clip = Clip(
                **wanted.told,
                start_s=plan.start_s,
                end_s=plan.end_s,
                **_measured(made.seen),
                files=self._stored(paths, wanted.raw_video.video_id),
                method=Method.CODED_ANEW if made.reason else Method.COPIED,
                method_reason=made.reason,
                copied_frames=made.copied_frames,
            )
            self._note(wanted.note_key, clip)
            clip = self._with_pictures(wanted, clip)
            return self._shaped(
                wanted, clip, paths[Role.SOURCE], lambda share: tell((1 + share * (of_all - 1)) / of_all)
            )
        finally:
            for path in paths.values():
                path.unlink(missing_ok=True)  # a video of many clips needs the disk of one

    def _completed(self, wanted: "_Wanted", clip: Clip, folder: Path, tell: Callable[[float], None]) -> Clip:
        """A clip that was cut before, with the pictures that are not there yet, as far as they can be made now.

        Raises:
            Failure: of the store or the disk.
        """
        path = folder / f"{clip.clip_id}.{Role.SOURCE.suffix}"
        try:
            self.store.download(clip.files[Role.SOURCE].key, path)
            return self._shaped(wanted, clip, path, tell)
        finally:
            path.unlink(missing_ok=True)

    def _shaped(self, wanted: "_Wanted", clip: Clip, path: Path, tell: Callable[[float], None]) -> Clip:
        """The clip, whose video lies here, with the pictures that it lacks; those that cannot be made are named."""
        finished = shaping.Finished(clip.clip_id, path, wanted.plan.fps, wanted.words)
        shaped = shaping.shape(finished, wanted.pictures, path.parent, tell, but=clip.files)
        try:
            files = self._stored(shaped.paths, wanted.raw_video.video_id)
        finally:
            for each in shaped.paths.values():
                each.unlink(missing_ok=True)
        made = {name: _Picture(file=file, framing=shaped.framings.get(shape_of(name))) for name, file in files.items()}
        for name, picture in made.items():
            self._note(wanted.picture_key(name), picture)
        return _with(clip, made).model_copy(update={"failed": shaped.failed})

    def _rendered(self, wanted: "_Wanted") -> Clip | None:
        """The same clip, where an earlier try cut it and it is whole; called as it is to be called now."""
        try:
            clip = self._noted(wanted.note_key, Clip)
        except BadClipError:
            return None
        if clip is None or not are_whole(self.store, clip.files.values()):
            return None
        return self._with_pictures(wanted, clip.model_copy(update=wanted.told))

    def _with_pictures(self, wanted: "_Wanted", clip: Clip) -> Clip:
        """The clip with those of its pictures that are wanted, were made before, and are whole."""
        noted = {name: self._noted(wanted.picture_key(name), _Picture) for name in wanted.pictures.files}
        return _with(clip, {name: each for name, each in noted.items() if each and are_whole(self.store, [each.file])})

    def _note(self, key: str, made: Value) -> None:
        self.store.put_bytes(key, made.model_dump_json().encode(), media_type="application/json")

    def _noted(self, key: str, kind: type[V]) -> V | None:
        """What was noted there; None where nothing was, or what cannot be read."""
        try:
            return kind.model_validate_json(self.store.get_bytes(key), extra="ignore")
        except (MissingInputError, ValidationError):
            return None

    def _stored(self, paths: Mapping[Role, Path], video_id: str) -> dict[str, ObjectRef]:
        return {
            role.value: self.store.store_media(path, video_id, role.suffix.rpartition(".")[2], role.media_type)
            for role, path in paths.items()
        }


class _Picture(Value):
    """A picture of a clip that was made: its file, and what of the clip it shows where that is not all."""

    file: ObjectRef
    framing: Framing | None = None


def _with(clip: Clip, pictures: Mapping[str, _Picture]) -> Clip:
    files = {**clip.files, **{name: each.file for name, each in pictures.items()}}
    framings = {shape_of(name).value: each.framing for name, each in pictures.items() if each.framing}
    in_order = {role.value: files[role.value] for role in Role if role.value in files}
    return clip.model_copy(update={"files": in_order, "framings": {**clip.framings, **framings}})


@dataclass(frozen=True)
class _Wanted:
    """A clip that is to be rendered, and all that it is made from."""

    raw_video: RawVideo
    transcript: Transcript
    candidate: ClipCandidate
    pictures: PictureOptions

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

    @property
    def note_key(self) -> str:
        """Where the clip is noted once it is cut: what its files are made from, and nothing else, is in its name.

        Raises:
            BadClipError: it lies outside of the video.
        """
        return self._key(*self._made_from)

    def picture_key(self, name: str) -> str:
        """Likewise for one of its pictures; the detector says where those in other shapes look."""
        return self._key(*self._made_from, name, self.pictures.files[name], detector.name())

    @cached_property
    def _made_from(self) -> tuple[object, ...]:
        plan, raw = self.plan, self.raw_video
        return (
            NOTES_VERSION, cut.ENCODING, [role.value for role in Role],
            raw.media.sha256, raw.info.model_dump(mode="json"), plan.start_s, plan.frames,
            captions.to_srt(self.cues), [word.model_dump(mode="json") for word in self.words],
        )  # fmt: skip

    def _key(self, *made_from: object) -> str:
        digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
        return f"{NOTES}/{self.raw_video.video_id}/{digest}"


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
