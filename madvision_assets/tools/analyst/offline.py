"""The analyst that needs no key and no network: a small fitted model and rules, the same every time, provisional."""

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.content_type import ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.selection import clip_limits_s
from madvision_assets.domain.timeline import Timeline
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst import AnalystDescriptor, Progress, Proposal, silent
from madvision_assets.tools.analyst.features import TalkFeatures, features_of
from madvision_assets.tools.analyst.housekeeping import said_for_the_show
from madvision_assets.tools.analyst.kinds import verdict_on
from madvision_assets.tools.analyst.model import Scorer, Weights
from madvision_assets.tools.analyst.passages import Passage, best_passages
from madvision_assets.tools.analyst.titles import quote_of, reason_of, title_of
from madvision_assets.tools.analyst.topic import Topic

ENGINE = "offline"
# Raised whenever a rule or a weight changes what is proposed.
RULES_VERSION = "3"
# More than are wanted, so that the selection has a choice.
PROPOSED_PER_CLIP = 2


class OfflineAnalyst:
    """See ``Analyst``. What editors choose, fitted, for the moments; keywords and shape for the kind; costs nothing.

    Args:
        weights: of the model; without a word those that are shipped.
    """

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights

    def classify(
        self,
        transcript: Transcript,
        source: SourceMetadata,
        progress: Progress | None = None,
    ) -> Made[ContentType]:
        """See ``Analyst``; raises nothing."""
        (progress or silent)(0.0, "Judging the kind by rules")
        return Made(verdict_on(transcript, source), _recipe())

    def propose(
        self,
        transcript: Transcript,
        kind: ContentKind,
        source: SourceMetadata,
        options: Options,
        progress: Progress | None = None,
    ) -> Proposal:
        """See ``Analyst``; raises nothing. Every kind of video is read alike."""
        del kind
        (progress or silent)(0.0, "Weighing what is said, and where thoughts begin and end")
        limits_s = clip_limits_s(options)
        timeline = Timeline(transcript, _end_s(transcript), limits_s[1])
        speakers = {segment.id: segment.speaker for segment in transcript.segments}
        said_by = [speakers[unit.segment_id] for unit in timeline.units]
        features = features_of(timeline.units, said_by, transcript.language, source.title)
        scorer = Scorer(timeline.units, features, self._weights or Weights.shipped())
        topic = Topic(options.topic, [unit.text for unit in timeline.units], transcript.language)
        left_out = said_for_the_show(timeline.units, features)
        clips, offered = options.max_clips, PROPOSED_PER_CLIP * options.max_clips
        passages = best_passages(timeline, features, scorer, left_out, limits_s, clips, offered, topic.is_in)
        moments = tuple(_moment(timeline, features, scorer, passage) for passage in passages)
        return Proposal(moments, provisional=True, recipe=_recipe(), notes=_notes(transcript, options, len(moments)))

    def check(self) -> tuple[bool, str]:
        """See ``Analyst``."""
        return True, "rules on this machine (no key, no network); results are marked provisional"

    def fingerprint(self, step: str) -> str:
        """See ``Analyst``."""
        return f"{ENGINE} {step} {RULES_VERSION}"


def _recipe() -> Recipe:
    return Recipe(engine=ENGINE, engine_version=RULES_VERSION)


def _notes(transcript: Transcript, options: Options, found: int) -> tuple[str, ...]:
    notes = []
    if options.topic and not found:
        notes.append(f"None of its words says that anything is about {options.topic!r}.")
    if options.title_language not in (None, transcript.language):
        notes.append("Titles stay in the language of the talk: rules do not translate.")
    return tuple(notes)


def _end_s(transcript: Transcript) -> float:
    last_s = transcript.segments[-1].end_s if transcript.segments else 0.0
    return max(transcript.duration_s, last_s)


def _moment(timeline: Timeline, features: TalkFeatures, scorer: Scorer, passage: Passage) -> Moment:
    first, last = passage.span.first, passage.span.last
    units = timeline.units[first : last + 1]
    texts = [unit.text for unit in units]
    worth = [scorer.unit(position) for position in range(first, last + 1)]
    return Moment(
        first_segment=units[0].segment_id,
        last_segment=units[-1].segment_id,
        title=title_of(texts, worth, features.language),
        reason=reason_of(features, first, last, texts[0]),
        quote=quote_of(texts, worth),
        score=round(passage.score, 3),
        criteria={name: round(worth, 3) for name, worth in passage.criteria.items()},
    )


DESCRIPTOR = AnalystDescriptor(name=ENGINE, make=lambda _options, _desk: OfflineAnalyst())
