"""What editors take: every file of a video's clips under names of ours, and the edit that they are.

Made of the very documents that the clips were made of, not of newer ones. What of those is not in the store any more is
left out; the files of the clips themselves must be there.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from madvision_assets.domain import sidecars
from madvision_assets.domain.captions import caption_cues, vtt_of
from madvision_assets.domain.clips import Clip, ClipCandidates, Clips
from madvision_assets.domain.documents import Document, ObjectRef
from madvision_assets.domain.edit_list import Edit, EditForm, edit_of
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.provenance import Provenance
from madvision_assets.domain.sidecars import Sidecar
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools import editors
from madvision_assets.tools.editors import ass
from madvision_assets.tools.store.documents import read_current, read_envelope, read_version
from madvision_assets.tools.store.objects import ObjectStore

PICTURES = "video/"

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class PackagedFile:
    """A file of a package.

    Attributes:
        name: ours; safe on every system.
        media_type: MIME type.
        content: its bytes, or where they are stored.
        rendition: the role of a picture; None for what is none.
    """

    name: str
    media_type: str
    content: bytes | ObjectRef
    rendition: str | None = None

    @property
    def size_bytes(self) -> int:
        """How large it is."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.size_bytes

    @property
    def sha256(self) -> str:
        """Of its bytes, hex."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        return self.content.sha256


@dataclass(frozen=True)
class Package:
    """A video's clips with the documents that they were made of.

    Attributes:
        store: where their files are.
        clips: the clips.
        raw: the video; None where that document is gone, as with the others.
        said: what is said in it.
        chosen: what the clips were chosen from.
    """

    store: ObjectStore
    clips: Clips
    raw: RawVideo | None
    said: Transcript | None
    chosen: ClipCandidates | None

    @classmethod
    def read(cls, store: ObjectStore, video_id: str) -> "Package":
        """The package of the clips that count.

        Raises:
            MissingInputError: the video has no clips' document.
            Failure: of the store; or a document is of a newer version, or damaged.
        """
        clips = read_current(store, Clips, video_id)
        return cls(
            store=store,
            clips=clips,
            raw=_input(store, clips, RawVideo),
            said=_input(store, clips, Transcript),
            chosen=_input(store, clips, ClipCandidates),
        )

    @property
    def renditions(self) -> list[str]:
        """The roles of the pictures that any of the clips has."""
        found = (role for clip in self.clips.clips for role, file in clip.files.items() if _is_picture(file))
        return list(dict.fromkeys(found))

    @cached_property
    def edit(self) -> Edit | None:
        """The clips as an edit of their source; None without clips, and where the source's document is gone."""
        if self.raw is None or not self.clips.clips:
            return None
        name = sidecars.source_name(self.raw)
        return edit_of(self.clips, self.raw.info, name, self.chosen, self.said)

    def timeline(self, form: EditForm) -> bytes | None:
        """The edit in a form; None where there is none."""
        return editors.written(self.edit, form).encode() if self.edit else None

    def sidecar(self, clip: Clip, kind: Sidecar) -> bytes | None:
        """A file beside a clip's own; None where what it is made of is not there."""
        text: str | None = None
        match kind:
            case Sidecar.SUBTITLES:
                captions = clip.files.get("captions")
                text = vtt_of(self.store.get_bytes(captions.key).decode()) if captions else None
            case Sidecar.STYLED if self.said:
                cues = caption_cues(self.said.words, clip.start_s, clip.end_s)
                text = ass.written(cues, clip.width, clip.height)
            case Sidecar.WORDS if self.said:
                text = sidecars.words_json(clip, self.said)
            case Sidecar.FACTS:
                text = sidecars.facts_json(
                    clip,
                    self.clips,
                    candidate=next((c for c in self.chosen.candidates if c.rank == clip.rank), None)
                    if self.chosen
                    else None,
                    said=self.said,
                    raw=self.raw,
                    made_by=self._made_by,
                )
        return text.encode() if text is not None else None

    def files(self, rendition: str | None = None) -> Iterator[PackagedFile]:
        """Every file, clip by clip, then the timelines.

        Args:
            rendition: only these pictures, by their role; None for all.
        """
        stems = sidecars.unique_stems(self.clips.clips)
        for clip in self.clips.clips:
            yield from self._files_of(clip, stems[clip.clip_id], rendition)
        for form in EditForm:
            content = self.timeline(form)
            if content is not None:
                yield PackagedFile(f"{self.clips.video_id}.{form}", form.media_type, content)

    def _files_of(self, clip: Clip, stem: str, rendition: str | None) -> Iterator[PackagedFile]:
        for role, file in clip.files.items():
            picture = role if _is_picture(file) else None
            if rendition in {None, picture} or picture is None:
                suffix = sidecars.suffix_of(role, file.key)
                yield PackagedFile(f"{stem}.{suffix}", file.media_type, file, picture)
        for kind in Sidecar:
            content = self.sidecar(clip, kind)
            if content is not None:
                yield PackagedFile(f"{stem}.{kind.suffix}", kind.media_type, content)

    @cached_property
    def _made_by(self) -> list[Provenance]:
        """Of each stage that the clips came of, in order."""
        found = {each.asset: each.provenance for each in (self.raw, self.said, self.chosen, self.clips) if each}
        known = {name: provenance for name, provenance in found.items() if provenance}
        for used in (used for each in list(known.values()) for used in each.inputs):
            if used.asset not in known and used.asset in set(PipelineStep):
                try:
                    step, video_id = PipelineStep(used.asset), self.clips.video_id
                    known[used.asset] = read_envelope(self.store, step, video_id, used.data_version).provenance
                except MissingInputError:
                    continue
        order = {step.value: number for number, step in enumerate(PipelineStep)}
        return sorted(known.values(), key=lambda each: order.get(each.asset, len(order)))


def _input(store: ObjectStore, clips: Clips, kind: type[D]) -> D | None:
    """The version of a document that the clips were made of; None where it is not in the store."""
    used = clips.provenance.inputs if clips.provenance else ()
    version = next((each.data_version for each in used if each.asset == kind.asset), None)
    try:
        return read_version(store, kind, clips.video_id, version) if version else None
    except MissingInputError:
        return None


def _is_picture(file: ObjectRef) -> bool:
    return file.media_type.startswith(PICTURES)
