"""The analyst that needs no key and no network: rules, the same every time, marked provisional."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.content_type import ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.selection import BACKREFERENCES, CONNECTIVES, clip_limits_s
from madvision_assets.domain.timeline import Span, Timeline
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.domain.wording import content_stems, is_content, sentences_of, shortened, stem, words_of
from madvision_assets.tools.analyst import AnalystDescriptor, Progress, Proposal, silent
from madvision_assets.tools.analyst.cues import Rarity, cues_in, insight
from madvision_assets.tools.analyst.kinds import verdict_on
from madvision_assets.tools.analyst.passages import Passage, best_passages

ENGINE = "offline"
# Raised whenever a rule changes what is proposed.
RULES_VERSION = "1"
# More than are wanted, so that the selection has a choice.
PROPOSED_PER_CLIP = 2
# Highlights that repeat the whole talk would be none; a few are offered of the shortest talk.
MAX_SHARE = 0.6
MIN_PROPOSED = 4
MAX_QUOTE_CHARS = 240
MAX_TITLE_CHARS = 60
MIN_TITLE_WORDS = 3
TITLE_KEYWORDS = 3


class OfflineAnalyst:
    """See ``Analyst``. TextTiling and cue scores for the moments; keywords and shape for the kind; costs nothing."""

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
        """See ``Analyst``; raises nothing. Rules read every kind of video alike."""
        del kind, source
        (progress or silent)(0.0, "Weighing topics, pauses and cue phrases")
        limits_s = clip_limits_s(options)
        timeline = Timeline(transcript, _end_s(transcript), limits_s[1])
        stems = [content_stems(words_of(unit.text)) for unit in timeline.units]
        rarity = Rarity(stems)
        insights = [insight(unit.text, rarity) for unit in timeline.units]
        passages = best_passages(timeline, stems, insights, limits_s)
        wanted = _highlights(timeline, passages)[: PROPOSED_PER_CLIP * options.max_clips]
        moments = tuple(_moment(timeline, passage, rarity) for passage in wanted)
        return Proposal(moments, provisional=True, recipe=_recipe())

    def check(self) -> tuple[bool, str]:
        """See ``Analyst``."""
        return True, "rules on this machine (no key, no network); results are marked provisional"

    def fingerprint(self, step: str) -> str:
        """See ``Analyst``."""
        return f"{ENGINE} {step} {RULES_VERSION}"


def _recipe() -> Recipe:
    return Recipe(engine=ENGINE, engine_version=RULES_VERSION)


def _end_s(transcript: Transcript) -> float:
    last_s = transcript.segments[-1].end_s if transcript.segments else 0.0
    return max(transcript.duration_s, last_s)


def _highlights(timeline: Timeline, passages: Sequence[Passage]) -> list[Passage]:
    """The best passages, best first, that together make up no more than a share of what is said."""
    best_first = sorted(passages, key=lambda passage: -passage.score)
    room_s = MAX_SHARE * sum(unit.end_s - unit.start_s for unit in timeline.units)
    used_s = accumulate(timeline.speech_s(passage.span) for passage in best_first)
    return [p for n, (p, used) in enumerate(zip(best_first, used_s, strict=True)) if used <= room_s or n < MIN_PROPOSED]


def _moment(timeline: Timeline, passage: Passage, rarity: Rarity) -> Moment:
    units = timeline.units[passage.span.first : passage.span.last + 1]
    sentences = _quotable([unit.text for unit in units])
    by_insight = sorted(sentences, key=lambda sentence: -insight(sentence, rarity))
    keywords = _keywords(sentences, rarity)
    return Moment(
        first_segment=units[0].segment_id,
        last_segment=units[-1].segment_id,
        title=_title(by_insight, keywords),
        reason=_reason(timeline, passage.span, sentences, keywords),
        quote=by_insight[0],
        score=round(passage.score, 3),
    )


def _quotable(texts: Sequence[str]) -> list[str]:
    """Whole sentences; where there is no punctuation the segments as they stand."""
    sentences = sentences_of(" ".join(texts))
    if all(len(sentence) <= MAX_QUOTE_CHARS for sentence in sentences):
        return sentences
    return [text.strip() for text in texts if text.strip()]


def _keywords(sentences: Sequence[str], rarity: Rarity) -> list[str]:
    """The words that are said often here and rarely elsewhere (tf-idf), as first spelt here; each at least twice."""
    spelt: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for word in words_of(" ".join(sentences)):
        if is_content(word):
            counts[stem(word)] += 1
            spelt.setdefault(stem(word), word)
    ranked = sorted((key for key, count in counts.items() if count > 1), key=lambda key: -counts[key] * rarity.of(key))
    return [spelt[key] for key in ranked[:TITLE_KEYWORDS]]


def _title(by_insight: Sequence[str], keywords: Sequence[str]) -> str:
    """The best sentence that is short and understood alone, else the passage's own words."""
    for sentence in by_insight:
        words = words_of(sentence)
        understood = len(words) >= MIN_TITLE_WORDS and words[0] not in BACKREFERENCES | CONNECTIVES
        if understood and len(sentence) <= MAX_TITLE_CHARS:
            return _capitalised(sentence.rstrip(" .,;:"))
    return _capitalised(", ".join(keywords)) if keywords else shortened(by_insight[0], MAX_TITLE_CHARS)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _reason(timeline: Timeline, span: Span, sentences: Sequence[str], keywords: Sequence[str]) -> str:
    names = list(dict.fromkeys(cue.name for sentence in sentences for cue in cues_in(sentence)))
    cues = f"cues: {', '.join(names)}" if names else "no cue phrases, but rare words"
    about = f"about {', '.join(keywords)}" if keywords else "on one topic"
    return f"A passage of {timeline.speech_s(span):.0f} s {about}; {cues}."


DESCRIPTOR = AnalystDescriptor(name=ENGINE, make=lambda _options, _desk: OfflineAnalyst())
