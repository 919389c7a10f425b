"""Claims about what people look at in the Dagster UI."""

from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.defs import reports
from madvision_assets.domain.clips import (
    ClipCandidate,
    ClipCandidates,
    Clips,
    Moment,
    Outcome,
    RejectedMoment,
    RejectionRule,
)
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.transcript import Doubtful, Reference, Segment, Stretch, Transcript, Word
from madvision_assets.domain.wording import timecode
from madvision_assets.tools.store.objects import ObjectStore


@pytest.mark.parametrize("evil", ["![x](http://evil/t.png)", "[click](http://evil)", "<img src=x>", "a | b", "`x`"])
def test_foreign_words_are_cells_of_a_table_and_no_markdown(evil: str) -> None:
    segment = Segment(id=0, start_s=0, end_s=1, text=evil)
    heard = Transcript(video_id="v", language="en", duration_s=1, audible_s=1, covered_s=1, segments=(segment,))

    told = reports.transcript(heard)

    [row] = told["first_segments"].records
    assert row.data == {"id": 0, "start_s": 0, "end_s": 1, "text": evil}
    assert not [value for value in told.values() if isinstance(value, dg.MarkdownMetadataValue)]


def test_a_long_transcript_is_shown_in_part_beside_the_number_of_all() -> None:
    segments = tuple(Segment(id=n, start_s=n, end_s=n + 0.5, text="Words.") for n in range(100))
    heard = Transcript(video_id="v", language="en", duration_s=100, audible_s=50, covered_s=50, segments=segments)

    told = reports.transcript(heard)

    assert [row.data["id"] for row in told["first_segments"].records] == list(range(reports.SHOWN_SEGMENTS))
    assert told["segments"] == 100


def test_how_sure_the_engine_was_is_a_number_of_each_transcript_that_tells_it() -> None:
    words = tuple(Word(text=f"w{n}", start_s=n, end_s=n + 1, probability=share) for n, share in enumerate((0.5, 1.0)))
    segment = Segment(id=0, start_s=0, end_s=2, text="w0 w1", words=words)
    heard = Transcript(video_id="v", language="en", duration_s=2, audible_s=2, covered_s=2, segments=(segment,))

    assert reports.transcript(heard)["words_probability"] == 0.75
    assert "words_probability" not in reports.transcript(heard.model_copy(update={"segments": ()}))


def test_a_transcript_tells_its_languages_what_was_left_out_what_is_in_doubt_and_what_hearing_took() -> None:
    segments = tuple(
        Segment(id=n, start_s=10.0 * n, end_s=10.0 * n + 6, text="Words.", language="fr" * (n == 2)) for n in range(3)
    )
    heard = Transcript(
        video_id="v", language="en", duration_s=100, audible_s=36, covered_s=18, segments=segments,
        skipped=(Stretch(start_s=30, end_s=70),), doubtful=(Doubtful(start_s=10, end_s=12, probability=0.3),),
        reference=Reference(language="en", words=50, word_error_rate=0.08),
    )  # fmt: skip

    told = reports.transcript(
        heard,
        {"engine_ms": 7200, "gpu_ms": 3600, "requests": 1},
        {"beam_size": 5, "captions_passed_over": "they say no word"},
    )

    assert told["languages"] == "en 12 s, fr 6 s"
    assert (told["skipped_s"], told["skipped"]) == (40, "0:30.0 to 1:10.0")
    assert (told["doubtful_s"], told["doubtful"]) == (2, "0:10.0 to 0:12.0")
    assert told["word_error_rate_against_captions"] == 0.08
    assert (told["engine_s"], told["engine_s_per_audio_hour"], told["gpu_s_per_audio_hour"]) == (7.2, 720, 360)
    assert told["captions_passed_over"] == "they say no word"
    assert not {"requests", "beam_size"} & set(told)


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


def test_tables_have_their_columns_with_types_and_foreign_words_as_they_are() -> None:
    evil = '<img src=x> | "a"\n[b](http://evil)'
    moment = Moment(first_segment=3, last_segment=5, title=evil, reason="r", score=0.25)
    taken = ClipCandidate(
        rank=1, start_s=1.23456, end_s=31.5, title=evil, reason="r", quote="q", score=0.75,
        first_segment=0, last_segment=2, criteria={"strength": 0.6, "hook": 0.045}, words=80,
    )  # fmt: skip
    chosen = ClipCandidates(
        video_id="v", outcome=Outcome.CLIPS, outcome_reason="", candidates=(taken,),
        rejected=(RejectedMoment(moment=moment, rule=RejectionRule.WEAK, details="d"),),
    )  # fmt: skip

    told = reports.clip_candidates(chosen)

    [row] = told["candidates"].records
    assert row.data == {
        "rank": 1, "start_s": 1.235, "end_s": 31.5, "duration_s": 30.265, "score": 0.75, "title": evil, "reason": "r",
        "quote": "q", "words": 80, "criteria": "strength 0.6, hook 0.045",
    }  # fmt: skip
    [left] = told["not_taken"].records
    assert (left.data["rule"], left.data["first_segment"], left.data["title"]) == ("weak", 3, evil)
    assert (left.data["start_s"], left.data["words"], left.data["criteria"]) == (None, None, "")
    for table in (told["candidates"], told["not_taken"]):
        assert all(column.description for column in table.schema.columns)


def test_a_table_without_rows_still_tells_its_columns(tmp_path: Path) -> None:
    nothing = Clips(video_id="v", outcome=Outcome.NOTHING_INSIGHTFUL, outcome_reason="r")

    told = reports.clips(nothing, ObjectStore.from_url(tmp_path.as_uri()), 7200.0, None)

    assert not told["table"].records
    assert {column.name for column in told["table"].schema.columns} >= {"clip_id", "start_s", "cut"}
    assert (told["clips"], told["clips_per_hour"], "failed" in told) == (0, 0, False)
