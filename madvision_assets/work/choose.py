"""Choose: from what is said to the moments worth a clip, proposed by an analyst and vetted by our own rules."""

from collections.abc import Sequence
from dataclasses import replace

from madvision_assets.domain.clips import ClipCandidates, FailedWindow
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.said import Said
from madvision_assets.domain.selection import select
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.analyst import Analyst, Progress
from madvision_assets.tools.store.documents import ABSENT, read_current
from madvision_assets.tools.store.objects import ObjectStore


def choose(
    analyst: Analyst, raw_video: RawVideo, transcript: Transcript, content_type: ContentType, progress: Progress
) -> Made[ClipCandidates]:
    """The candidates, and every moment that was proposed and not taken.

    Args:
        analyst: proposes moments as segments; the times are ours.
        raw_video: how long it is, and what its submitter wants.
        transcript: what is said in it.
        content_type: what kind of video it is.
        progress: gets a fraction from 0 to 1 and a few words.

    Raises:
        Failure: of the analyst.
    """
    options = raw_video.options
    asked_for = transcript.within(options.start_s, options.end_s)
    proposal = analyst.propose(asked_for, content_type.kind, raw_video.source, options, progress)
    chosen = select(proposal.moments, transcript, options, raw_video.info.duration_s)
    said = Said(transcript)
    document = ClipCandidates(
        video_id=raw_video.video_id,
        outcome=chosen.outcome,
        outcome_reason=" ".join(filter(None, (chosen.outcome_reason, *proposal.notes, _unread(proposal.failed)))),
        candidates=tuple(map(said.counted, chosen.candidates)),
        rejected=tuple(map(said.placed, (*proposal.rejected, *chosen.rejected))),
        failed_windows=proposal.failed,
        provisional=proposal.provisional,
    )
    return Made(document, proposal.recipe)


def with_pictures_chosen_before(store: ObjectStore, made: Made[ClipCandidates]) -> Made[ClipCandidates]:
    """The moments with the pictures that a person has chosen of the video's clips: those are of whichever moments.

    Args:
        store: where the moments lie that these take the place of, if there are any that can be read.
        made: chosen anew, here or for another video of the same bytes.

    Raises:
        Failure: the store cannot be used.
    """
    try:
        before = read_current(store, ClipCandidates, made.document.video_id)
    except ABSENT:
        return made
    return replace(made, document=made.document.model_copy(update={"pictures": before.pictures}))


def _unread(failed: Sequence[FailedWindow]) -> str:
    """A sentence on what could not be read; empty where all could."""
    if not failed:
        return ""
    parts = "part" if len(failed) == 1 else "parts"
    causes = ", ".join(sorted({each.cause for each in failed}))
    return f"{len(failed)} {parts} of what is said could not be read ({causes}), so moments of it may be missing."
