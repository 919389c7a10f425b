"""Claims about what people look at in the Dagster UI."""

import pytest

from madvision_assets.defs import reports
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.wording import timecode


@pytest.mark.parametrize(
    "evil", ["![x](http://evil/t.png)", "[click](http://evil)", "<img src=x>", "a | b", "\\|", "`x`"]
)
def test_foreign_words_mean_nothing_to_markdown(evil: str) -> None:
    segment = Segment(id=0, start_s=0, end_s=1, text=evil)
    heard = Transcript(video_id="v", language="en", duration_s=1, audible_s=1, covered_s=1, segments=(segment,))

    preview = reports.transcript(heard)["preview"].value

    row = preview.splitlines()[2]
    assert row.count("|") == 4
    assert evil not in row
    assert not any(sign in row for sign in ("![", "](", "<", "`", "\\"))


def test_a_long_transcript_is_shown_in_part_and_says_so() -> None:
    segments = tuple(Segment(id=n, start_s=n, end_s=n + 0.5, text="Words.") for n in range(100))
    heard = Transcript(video_id="v", language="en", duration_s=100, audible_s=50, covered_s=50, segments=segments)

    assert "70 more segments" in reports.transcript(heard)["preview"].value


def test_a_verdict_without_topics_says_none() -> None:
    verdict = ContentType(video_id="v", kind=ContentKind.OTHER, confidence=Confidence.LOW, reason="r")

    assert reports.content_type(verdict)["topics"] == "(none)"


@pytest.mark.parametrize(
    ("time_s", "told"),
    [
        (0, "0:00.0"),
        (9.96, "0:10.0"),
        (59.99, "1:00.0"),
        (3599.99, "1:00:00.0"),
        (36_000, "10:00:00.0"),
        (61.25, "1:01.2"),
    ],
)
def test_times_are_told_with_carry_and_hours_without_limit(time_s: float, told: str) -> None:
    assert timecode(time_s) == told
