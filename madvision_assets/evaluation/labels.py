"""What editors made of proposed clips, as a labelled set: each edited video is a talk."""

from madvision_assets.domain.clips import ClipCandidate, ClipCandidates
from madvision_assets.domain.documents import Json
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.evaluation.labelled import LabelledTalk, Sentence


def label_of(chosen: ClipCandidates, said: Transcript, title: str, kind: str) -> Json:
    """The video as a talk of a labelled set, with each edit: what was proposed, and what a person made of it.

    Args:
        chosen: the moments as an editor left them; at least one.
        said: what is said.
        title: of the video; may be empty.
        kind: of its content; likewise.

    Raises:
        ValueError: no sentence of it lies in a clip.
    """
    sentences = tuple(Sentence(each.start_s, each.end_s, each.text, each.speaker) for each in said.segments)
    talk = LabelledTalk(
        id=chosen.video_id,
        title=title,
        start_s=0.0,
        end_s=max([said.duration_s, *(each.end_s for each in said.segments)]),
        sentences=sentences,
        chosen=tuple(
            n for n, each in enumerate(said.segments) if any(_holds(clip, each) for clip in chosen.candidates)
        ),
        language=said.language,
        kind=kind,
    )
    return {**talk.model_dump(mode="json"), "edits": [each.model_dump(mode="json") for each in chosen.edits]}


def _holds(clip: ClipCandidate, segment: Segment) -> bool:
    """Whether most of a sentence is in a clip."""
    inside_s = min(clip.end_s, segment.end_s) - max(clip.start_s, segment.start_s)
    return inside_s > 0 and 2 * inside_s >= segment.end_s - segment.start_s
