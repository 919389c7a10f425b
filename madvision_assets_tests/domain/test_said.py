"""Claims about how much is said in a moment, and when."""

import pytest

from madvision_assets.domain.clips import ClipCandidate, Moment, RejectedMoment, RejectionRule
from madvision_assets.domain.said import Said
from madvision_assets_tests.builders import transcript_of

TALK = [("one two three", 0.0, 3.0), ("four five", 4.0, 6.0), ("six seven eight nine", 10.0, 14.0)]


def candidate(start_s: float, end_s: float) -> ClipCandidate:
    edges = {"first_segment": 0, "last_segment": 2, "start_s": start_s, "end_s": end_s}
    return ClipCandidate(rank=1, title="t", reason="r", quote="q", score=0.5, **edges)


def rejected(first: int, last: int) -> RejectedMoment:
    moment = Moment(first_segment=first, last_segment=last, title="t", reason="r", score=0.1)
    return RejectedMoment(moment=moment, rule=RejectionRule.WEAK)


@pytest.mark.parametrize("with_words", [True, False])
@pytest.mark.parametrize(
    ("start_s", "end_s", "words"), [(0, 20, 9), (0, 3.5, 3), (1.2, 6, 4), (4, 12, 4), (6.5, 9, 0), (14, 20, 0)]
)
def test_the_words_of_a_candidate_are_those_whose_middle_lies_in_it(
    start_s: float, end_s: float, words: int, *, with_words: bool
) -> None:
    said = Said(transcript_of(TALK, with_words=with_words))

    assert said.counted(candidate(start_s, end_s)).words == words


def test_a_moment_that_was_not_taken_is_told_by_the_times_and_words_of_its_segments() -> None:
    found = Said(transcript_of(TALK)).placed(rejected(0, 1))

    assert (found.start_s, found.end_s, found.words) == (0.0, 6.0, 5)


@pytest.mark.parametrize(("first", "last"), [(0, 99), (-1, 1), (2, 0)])
def test_a_moment_of_segments_that_are_not_there_has_no_times(first: int, last: int) -> None:
    moment = rejected(first, last)

    assert Said(transcript_of(TALK)).placed(moment) == moment
