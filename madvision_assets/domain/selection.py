"""From moments that an analyst proposes to candidates that can be cut: every rule, and the name of each rejection.

Pure and deterministic. The analyst points at segments and quotes from them; this module believes the quote only where
it is said, derives the times, and lets better moments go first. What is not chosen is kept with the rule that
rejected it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from madvision_assets.domain.clips import ClipCandidate, Moment, Outcome, RejectedMoment, RejectionRule
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.quotes import MIN_QUOTE_WORDS
from madvision_assets.domain.spread import Spread
from madvision_assets.domain.timeline import Span, Timeline
from madvision_assets.domain.titles import true_title
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options
from madvision_assets.domain.wording import ends_sentence, words_of

# A moment below this score is not worth a viewer's time; both analysts score what they find weak below it.
WEAK_BELOW = 0.35
# A quote may lie so many units outside of the segments that the analyst named: the moment is extended to it.
QUOTE_REACH_UNITS = 3
# A silence longer than this ends a thought: no clip is extended over it.
MAX_BRIDGED_GAP_S = 2.0
# After so long a pause "And" or "So" opens a new thought rather than going on with the last one.
FRESH_START_PAUSE_S = 1.0
# How far a clip's edge is moved, at most, for the sake of whole thoughts.
MAX_REPAIR_UNITS = 3
# A moment that loses more than a third of itself to better ones is dropped; so is every duplicate of IoU over 0.5.
MIN_KEPT_SHARE = 2 / 3

# Longer texts of an analyst are cut.
MOST_CHARS = {"title": 120, "reason": 600, "quote": 1000}

# Openings that point back at something said before: whoever sees only the clip does not understand them.
BACKREFERENCES = frozenset(
    words_of("""
    he she it it's they them their this that these those he's she's they're that's both such
    yes no yeah yep nope exactly because therefore otherwise instead also too
    """)
)
CONNECTIVES = frozenset(words_of("and but so or nor then yet plus however"))


class Selection(Value):
    """What came of the proposed moments: every one of them is in ``candidates`` or in ``rejected``."""

    candidates: tuple[ClipCandidate, ...] = ()
    rejected: tuple[RejectedMoment, ...] = ()
    outcome: Outcome
    outcome_reason: str


def select(moments: Iterable[Moment], transcript: Transcript, options: Options, media_duration_s: float) -> Selection:
    """The best moments as candidates that lie inside the media, overlap nowhere and cut through no word.

    Args:
        moments: proposed in any order; better ones are placed first, of those that are about as good the one that is
            least like those placed before it, in time and topic.
        transcript: what is said; segments may lack words.
        options: how many, how long (see ``clip_limits_s``), and between which times of the video.
        media_duration_s: no clip ends after it.

    Returns:
        Candidates by rank, every other moment with its rule, and how the stage ended.
    """
    moments = sorted(map(_clean, moments), key=lambda m: (-m.score, m.first_segment, m.last_segment))
    asked_for = transcript.within(options.start_s, options.end_s)
    if asked_for.no_speech:
        where = "in this video" if transcript.no_speech else f"{_range_of(options)}, which is all that was asked for"
        return _nothing(moments, RejectionRule.UNKNOWN_SEGMENT, Outcome.NO_SPEECH, f"Nobody speaks {where}.")
    shortest_s, longest_s = clip_limits_s(options)
    timeline = Timeline(transcript, media_duration_s, longest_s)
    bounds = timeline.span_of(asked_for.segments[0].id, asked_for.segments[-1].id)
    if shortage := _shortage(timeline, bounds, media_duration_s, shortest_s):
        return _nothing(moments, RejectionRule.TOO_SHORT, Outcome.TOO_SHORT, shortage)
    assert bounds is not None  # noqa: S101 - else there is a shortage
    languages = transcript.language, options.title_language
    chooser = _Chooser(timeline, bounds, shortest_s, longest_s, options.max_clips, languages)
    spread = Spread(timeline, options.max_clips)
    while moments:
        moment = spread.next_of(moments)
        moments.remove(moment)
        if chooser.consider(moment):
            spread.took(moment)
    return chooser.selection()


def clip_limits_s(options: Options) -> tuple[float, float]:
    """Shortest and longest clip, seconds; given the wrong way round they are taken the right way round."""
    shortest_s, longest_s = sorted((options.min_clip_s, options.max_clip_s))
    return shortest_s, longest_s


def leans_back(timeline: Timeline, position: int) -> bool:
    """Whether a unit cannot open a clip: it goes on with a sentence, or refers to what was said before it."""
    unit = timeline.units[position]
    words = words_of(unit.text)
    if not position or not words:
        return False
    if words[0] in CONNECTIVES:
        return timeline.gap_s(position - 1) < FRESH_START_PAUSE_S
    return words[0] in BACKREFERENCES or goes_on(timeline, position - 1)


def goes_on(timeline: Timeline, position: int) -> bool:
    """Whether the unit after this one goes on with the same sentence."""
    if position + 1 >= len(timeline.units):
        return False
    here, following = timeline.units[position].text, timeline.units[position + 1].text.strip()
    return not ends_sentence(here) and following[:1].islower()


class _NotTakenError(Exception):
    """Ends the placing of a moment; never leaves this module."""

    def __init__(self, rule: RejectionRule, details: str) -> None:
        self.rule, self.details = rule, details
        super().__init__(details)


@dataclass
class _Chooser:
    """Places one moment after the other, each around those that were placed before."""

    timeline: Timeline
    bounds: Span
    shortest_s: float
    longest_s: float
    max_clips: int
    languages: tuple[str, str | None]  # that is spoken, and that of the titles
    chosen: list[tuple[Span, Moment]] = field(default_factory=list)
    quotes: dict[Span, str] = field(default_factory=dict)
    rejected: list[RejectedMoment] = field(default_factory=list)

    def consider(self, moment: Moment) -> bool:
        """Take a moment or reject it; says which."""
        try:
            self.chosen.append((self._place(moment), moment))
        except _NotTakenError as verdict:
            self.rejected.append(RejectedMoment(moment=moment, rule=verdict.rule, details=verdict.details))
            return False
        return True

    def selection(self) -> Selection:
        best_first = sorted(self.chosen, key=lambda pair: (-pair[1].score, pair[0].first))
        candidates = tuple(self._candidate(rank, *pair) for rank, pair in enumerate(best_first, 1))
        outcome = Outcome.CLIPS if candidates else Outcome.NOTHING_INSIGHTFUL
        reason = _outcome_reason(len(candidates), self.rejected)
        return Selection(candidates=candidates, rejected=tuple(self.rejected), outcome=outcome, outcome_reason=reason)

    def _candidate(self, rank: int, span: Span, moment: Moment) -> ClipCandidate:
        start_s, end_s = self.timeline.cut_s(span)
        quote = self.quotes[span]
        return ClipCandidate(
            rank=rank,
            start_s=start_s,
            end_s=end_s,
            title=true_title(moment.title, self.timeline.text_of(span), quote, *self.languages),
            reason=moment.reason,
            quote=quote,
            score=moment.score,
            first_segment=self.timeline.units[span.first].segment_id,
            last_segment=self.timeline.units[span.last].segment_id,
            criteria=moment.criteria,
        )

    def _place(self, moment: Moment) -> Span:
        named = self._named(moment)
        quote, said = self._quoted(moment, named)
        if moment.score < WEAK_BELOW:
            raise _NotTakenError(RejectionRule.WEAK, f"scores {moment.score:.2f}, below {WEAK_BELOW}")
        wanted = self._cut_down(_union(named, quote), quote)
        free = self._free_around(quote)
        kept = Span(max(wanted.first, free.first), min(wanted.last, free.last))
        if self.timeline.speech_s(kept) < MIN_KEPT_SHARE * self.timeline.speech_s(wanted):
            raise _NotTakenError(RejectionRule.OVERLAPS_BETTER, "most of it is in better moments")
        span = self._grown(kept, free, self.shortest_s, MAX_BRIDGED_GAP_S)
        span = self._opened(self._finished(span, free), free)
        if self._clip_s(span) < self.shortest_s:
            rule = RejectionRule.TOO_SHORT if kept == wanted else RejectionRule.OVERLAPS_BETTER
            details = f"{self._clip_s(span):.1f} s with what may be added to it; a clip needs {self.shortest_s:g} s"
            raise _NotTakenError(rule, details)
        if len(self.chosen) >= self.max_clips:
            raise _NotTakenError(RejectionRule.OVER_LIMIT, f"{self.max_clips} better moments were chosen")
        self.quotes[span] = said
        return span

    def _named(self, moment: Moment) -> Span:
        for segment in (moment.first_segment, moment.last_segment):
            if segment not in self.timeline.known_segments:
                raise _NotTakenError(RejectionRule.UNKNOWN_SEGMENT, f"there is no segment {segment}")
        if moment.first_segment > moment.last_segment:
            raise _NotTakenError(RejectionRule.UNKNOWN_SEGMENT, "the last segment comes before the first")
        span = self.timeline.span_of(moment.first_segment, moment.last_segment)
        if span is None:
            raise _NotTakenError(RejectionRule.UNKNOWN_SEGMENT, "its segments lie after the end of the media")
        if not self.bounds.holds(span):
            raise _NotTakenError(RejectionRule.UNKNOWN_SEGMENT, "it lies outside of the times that were asked for")
        return span

    def _quoted(self, moment: Moment, named: Span) -> tuple[Span, str]:
        """The units of the quote, in the moment or close to it, and how it is said there."""
        first, last = self.bounds.first, self.bounds.last
        reach = Span(max(first, named.first - QUOTE_REACH_UNITS), min(last, named.last + QUOTE_REACH_UNITS))
        place = self.timeline.find(moment.quote, named) or self.timeline.find(moment.quote, reach)
        if place is None:
            raise _NotTakenError(RejectionRule.QUOTE_NOT_FOUND, "its segments do not say the quoted words")
        quote, found = place
        if not found.proves:
            details = f"{found.words} words prove nothing; a quote has {MIN_QUOTE_WORDS}, or is a whole sentence"
            raise _NotTakenError(RejectionRule.QUOTE_TOO_SHORT, details)
        if self.timeline.speech_s(quote) > self.longest_s:
            details = f"the quote lasts longer than a clip may ({self.longest_s:g} s)"
            raise _NotTakenError(RejectionRule.QUOTE_NOT_FOUND, details)
        return quote, found.text

    def _free_around(self, quote: Span) -> Span:
        """The units around the quote that no better moment has."""
        first, last = self.bounds.first, self.bounds.last
        for taken, better in self.chosen:
            if taken.last < quote.first:
                first = max(first, taken.last + 1)
            elif taken.first > quote.last:
                last = min(last, taken.first - 1)
            else:
                raise _NotTakenError(RejectionRule.OVERLAPS_BETTER, f"its quote is in a better moment: {better.title}")
        return Span(first, last)

    def _cut_down(self, whole: Span, quote: Span) -> Span:
        """A moment that is longer than a clip may be, reduced to what fits around its quote."""
        if self.timeline.speech_s(whole) <= self.longest_s:
            return whole
        return self._grown(quote, whole, inf, inf)

    def _grown(self, span: Span, bounds: Span, enough_s: float, max_gap_s: float) -> Span:
        """The span with neighbours added, the closest in time first, until it is long enough or nothing more fits."""
        while self._clip_s(span) < enough_s:
            earlier, later = Span(span.first - 1, span.last), Span(span.first, span.last + 1)
            gaps = ((self.timeline.gap_s(earlier.first), earlier), (self.timeline.gap_s(span.last), later))
            steps = [(g, s) for g, s in gaps if g <= max_gap_s and bounds.holds(s) and self._fits(s)]
            if not steps:
                break
            span = min(steps, key=lambda step: step[0])[1]
        return span

    def _opened(self, span: Span, bounds: Span) -> Span:
        """The span from an earlier unit on, where its own opening leans on it."""
        longer = span
        for _ in range(MAX_REPAIR_UNITS):
            if not leans_back(self.timeline, longer.first):
                return longer
            longer = Span(longer.first - 1, longer.last)
            if not self._reaches(longer, bounds, longer.first):
                return span
        return span if leans_back(self.timeline, longer.first) else longer

    def _finished(self, span: Span, bounds: Span) -> Span:
        """The span up to the end of its last sentence, where that is near."""
        longer = span
        for _ in range(MAX_REPAIR_UNITS):
            if not goes_on(self.timeline, longer.last):
                return longer
            longer = Span(longer.first, longer.last + 1)
            if not self._reaches(longer, bounds, longer.last - 1):
                return span
        return span if goes_on(self.timeline, longer.last) else longer

    def _reaches(self, span: Span, bounds: Span, gap: int) -> bool:
        return bounds.holds(span) and self._fits(span) and self.timeline.gap_s(gap) <= MAX_BRIDGED_GAP_S

    def _fits(self, span: Span) -> bool:
        return self.timeline.speech_s(span) <= self.longest_s

    def _clip_s(self, span: Span) -> float:
        start_s, end_s = self.timeline.cut_s(span)
        return end_s - start_s


def _clean(moment: Moment) -> Moment:
    """The moment in text that is fit to be read, whoever proposed it."""
    texts = {name: cleaned(getattr(moment, name), most) for name, most in MOST_CHARS.items()}
    return moment.model_copy(update=texts)


def _union(one: Span, other: Span) -> Span:
    return Span(min(one.first, other.first), max(one.last, other.last))


def _range_of(options: Options) -> str:
    """The times that were asked for, for a person."""
    till = "its end" if options.end_s is None else f"{options.end_s:g} s"
    return f"between {options.start_s:g} s and {till}"


def _shortage(timeline: Timeline, bounds: Span | None, media_duration_s: float, shortest_s: float) -> str:
    """Why no clip can be long enough; empty where one can."""
    if media_duration_s < shortest_s:
        return f"The video lasts {media_duration_s:.1f} s; a clip needs {shortest_s:g} s."
    start_s, end_s = timeline.cut_s(bounds) if bounds else (0.0, 0.0)
    if end_s - start_s < shortest_s:
        return f"All that is said lies within {end_s - start_s:.1f} s; a clip needs {shortest_s:g} s."
    return ""


def _nothing(moments: Sequence[Moment], rule: RejectionRule, outcome: Outcome, reason: str) -> Selection:
    rejected = tuple(RejectedMoment(moment=moment, rule=rule, details=reason) for moment in moments)
    return Selection(rejected=rejected, outcome=outcome, outcome_reason=reason)


def _outcome_reason(chosen: int, rejected: Sequence[RejectedMoment]) -> str:
    """A sentence that counts the rejections by rule."""
    counts = Counter(moment.rule for moment in rejected)
    by_rule = ", ".join(f"{count} {rule.value.replace('_', ' ')}" for rule, count in sorted(counts.items()))
    proposed = chosen + len(rejected)
    if not proposed:
        return "No moment was found that stands on its own."
    if not chosen:
        return f"None of {proposed} proposed moments could be taken: {by_rule}."
    return f"{chosen} of {proposed} proposed moments were chosen" + (f"; not taken: {by_rule}." if by_rule else ".")
