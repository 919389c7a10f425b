"""Where a video's results, or one clip, came from.

What counts now is what the store's pointers say; what was ever made is what the ``lineage`` table says.
"""

from collections.abc import Iterable, Mapping, Sequence

from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.clips import Clip, ClipCandidates, Clips, Role
from madvision_assets.domain.documents import Envelope, ObjectRef
from madvision_assets.domain.failures import NewerDocumentError, UnknownClipError, UnreadableDocumentError
from madvision_assets.domain.provenance import Provenance, Value
from madvision_assets.domain.stages import PipelineStep, is_stage
from madvision_assets.domain.transcript import Transcript
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.rows import LineageRow
from madvision_assets.tools.store.documents import current_envelope, read_current, read_version
from madvision_assets.tools.store.objects import ObjectStore


class StageLineage(Provenance):
    """The version of a stage's document that counts now: its provenance block, and what the tables add to it.

    Attributes:
        uri: where the document lies.
        superseded: how many other versions were made before or since, and do not count.
        outdated_inputs: stages whose newest document is not the one that this one was made from.
        unreadable: why its contents cannot be read by this version of the program; None where they can.
    """

    uri: str
    superseded: int
    outdated_inputs: tuple[str, ...] = ()
    unreadable: str | None = None


class SpokenSegment(Value):
    """A segment of the transcript that a clip was chosen for; times in seconds of the source video."""

    id: int
    start_s: float
    end_s: float
    text: str


class ClipLineage(Value):
    """One clip, back to the words that it was chosen for.

    Attributes:
        start_s: start in the source video, seconds.
        end_s: end in the source video, seconds.
        media: the clip's video; None where a newer version made none.
        segments: what is said in it, from the very version of the transcript that it was cut by.
    """

    clip_id: str
    rank: int
    title: str
    reason: str
    score: float
    start_s: float
    end_s: float
    media: ObjectRef | None
    segments: tuple[SpokenSegment, ...]


class VideoLineage(Value):
    """Everything that analysts ask of a video, as plain data.

    Attributes:
        address: where the video comes from, without secrets.
        clip: the clip that was asked for, if one was.
        stages: the version that counts of each stage that was done, in pipeline order.
        unreadable: a sentence for each stage that was done, and of which not even the provenance can be read here.
        materialisations: every one ever, oldest first.
        current_cost_usd: what the versions in ``stages`` cost, US dollars.
        total_cost_usd: what all materialisations cost, US dollars.
    """

    video_id: str
    address: str
    clip: ClipLineage | None = None
    stages: tuple[StageLineage, ...]
    unreadable: tuple[str, ...] = ()
    materialisations: tuple[LineageRow, ...]
    current_cost_usd: float
    total_cost_usd: float


def video_lineage(database: Database, store: ObjectStore, video_or_clip_id: str) -> VideoLineage:
    """Lineage of a video, or of one clip ``<video_id>.<nn>``.

    Raises:
        UnknownVideoError: nobody submitted this video.
        UnknownClipError: the video has no such clip now.
    """
    video_id, dot, _ = video_or_clip_id.partition(".")
    video = database.get_video(video_id)
    rows = database.lineage_of(video_id)
    found: dict[PipelineStep, Envelope] = {}
    unreadable: list[str] = []
    for step in PipelineStep:
        try:
            envelope = current_envelope(store, step, video_id)
        except (NewerDocumentError, UnreadableDocumentError) as failure:
            unreadable.append(str(failure))
            continue
        if envelope:
            found[step] = envelope
    newest = {step.value: envelope.provenance.data_version for step, envelope in found.items()}
    stages = tuple(_stage(step, envelope, newest, rows, store) for step, envelope in found.items())
    return VideoLineage(
        video_id=video_id,
        address=public_address(video.address),
        clip=_clip(store, video_id, video_or_clip_id) if dot else None,
        stages=stages,
        unreadable=tuple(unreadable),
        materialisations=tuple(rows),
        current_cost_usd=sum(stage.cost_usd for stage in stages),
        total_cost_usd=sum(row.cost_usd for row in rows),
    )


def _stage(
    step: PipelineStep, made: Envelope, newest: Mapping[str, str], rows: Iterable[LineageRow], store: ObjectStore
) -> StageLineage:
    origin = made.provenance
    versions = {row.data_version for row in rows if row.asset == step}
    unreadable = None
    try:
        read_version(store, step.stage.document, made.video_id, origin.data_version)
    except (NewerDocumentError, UnreadableDocumentError) as failure:
        unreadable = str(failure)
    return StageLineage(
        **dict(origin),
        uri=store.uri(made.key),
        superseded=len(versions - {origin.data_version}),
        # Of a stage that only a newer version knows, nothing newer can be known.
        outdated_inputs=tuple(
            used.asset for used in origin.inputs if is_stage(used.asset) and newest.get(used.asset) != used.data_version
        ),
        unreadable=unreadable,
    )


def _clip(store: ObjectStore, video_id: str, clip_id: str) -> ClipLineage:
    manifest = read_current(store, Clips, video_id)
    clip = _find_clip(manifest.clips, clip_id)
    used = {i.asset: i.data_version for i in manifest.origin.inputs}
    return ClipLineage(
        **clip.model_dump(include={"clip_id", "rank", "title", "reason", "score", "start_s", "end_s"}),
        media=clip.file(Role.SOURCE),
        segments=_spoken(store, video_id, clip.rank, used),
    )


def _spoken(store: ObjectStore, video_id: str, rank: int, used: Mapping[str, str]) -> tuple[SpokenSegment, ...]:
    """What is said in a clip; nothing where a newer version made it of other stages."""
    if not {PipelineStep.CLIP_CANDIDATES, PipelineStep.TRANSCRIPT} <= used.keys():
        return ()
    candidates = read_version(store, ClipCandidates, video_id, used[PipelineStep.CLIP_CANDIDATES])
    transcript = read_version(store, Transcript, video_id, used[PipelineStep.TRANSCRIPT])
    chosen = [c for c in candidates.candidates if c.rank == rank]
    return tuple(
        SpokenSegment(id=s.id, start_s=s.start_s, end_s=s.end_s, text=s.text)
        for s in transcript.segments
        if any(c.first_segment <= s.id <= c.last_segment for c in chosen)
    )


def _find_clip(clips: Sequence[Clip], clip_id: str) -> Clip:
    for clip in clips:
        if clip.clip_id == clip_id:
            return clip
    known = ", ".join(clip.clip_id for clip in clips) or "none"
    raise UnknownClipError(f"{clip_id}; clips of this video: {known}")
