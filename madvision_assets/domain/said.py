"""How much is said in a moment, and when: for tables of moments, of those that were taken and those that were not."""

from bisect import bisect_left

from madvision_assets.domain.clips import ClipCandidate, RejectedMoment
from madvision_assets.domain.transcript import Segment, Transcript


class Said:
    """What is said in a transcript; each question is answered in the logarithm of its length.

    Args:
        transcript: of which the moments are.
    """

    def __init__(self, transcript: Transcript) -> None:
        self._segments = {segment.id: segment for segment in transcript.segments}
        self._middles_s = sorted(middle_s for segment in transcript.segments for middle_s in _middles_s(segment))

    def counted(self, candidate: ClipCandidate) -> ClipCandidate:
        """The candidate with the number of words whose middle lies in it."""
        return candidate.model_copy(update={"words": self._words(candidate.start_s, candidate.end_s)})

    def placed(self, rejected: RejectedMoment) -> RejectedMoment:
        """The moment with the times of its segments and their words; as it is where there are no such segments."""
        first = self._segments.get(rejected.moment.first_segment)
        last = self._segments.get(rejected.moment.last_segment)
        if first is None or last is None or last.end_s < first.start_s:
            return rejected
        words = self._words(first.start_s, last.end_s)
        return rejected.model_copy(update={"start_s": first.start_s, "end_s": last.end_s, "words": words})

    def _words(self, start_s: float, end_s: float) -> int:
        return bisect_left(self._middles_s, end_s) - bisect_left(self._middles_s, start_s)


def _middles_s(segment: Segment) -> list[float]:
    """When each of its words is said; where nobody heard that, they are laid evenly over it."""
    if segment.words:
        return [(word.start_s + word.end_s) / 2 for word in segment.words]
    count = len(segment.text.split())
    step_s = (segment.end_s - segment.start_s) / max(1, count)
    return [segment.start_s + (n + 0.5) * step_s for n in range(count)]
