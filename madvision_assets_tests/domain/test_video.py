"""Claims about IDs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from madvision_assets.domain.provenance import VIDEO_ID_PATTERN
from madvision_assets.domain.video import (
    MAX_TERM_CHARS,
    MAX_TERMS,
    MAX_VOCABULARY_CHARS,
    Options,
    cut_id,
    extractor_video_id,
    file_video_id,
    seconds_of,
    uncut_id,
    web_video_id,
)


@given(st.text(), st.text())
def test_ids_are_valid_partition_keys_or_none(extractor: str, source_id: str) -> None:
    made = extractor_video_id(extractor, source_id)
    assert made is None or re.fullmatch(VIDEO_ID_PATTERN, made)


@given(st.from_regex(VIDEO_ID_PATTERN, fullmatch=True))
def test_each_way_to_cut_a_video_has_an_id_of_its_own(video_id: str) -> None:
    ways = [Options(), Options(max_clips=3), Options(max_clips=3, min_clip_s=5)]
    ids = [cut_id(video_id, way) for way in ways]

    assert ids[0] == video_id
    assert len(set(ids)) == len(ways)
    assert all(re.fullmatch(VIDEO_ID_PATTERN, each) for each in ids)


def test_the_usual_is_the_same_as_nothing_asked_and_an_id_that_looks_like_a_cut_is_nobodys_own() -> None:
    usual = Options()
    assert cut_id("youtube-x", Options(max_clips=usual.max_clips)) == "youtube-x"
    made = cut_id("youtube-x", Options(max_clips=3))
    assert uncut_id(made) == "youtube-x"
    assert extractor_video_id("youtube", made.removeprefix("youtube-")) is None


def test_what_is_asked_of_the_words_has_an_id_of_its_own_and_what_is_not_asked_changes_nothing() -> None:
    ways = [Options(), Options(language="de"), Options(translate=True), Options(vocabulary=("Dagster",))]

    assert len({cut_id("youtube-x", way) for way in ways}) == len(ways)
    assert cut_id("youtube-x", Options(max_clips=3)) == "youtube-x--4c307236"  # as version 0.2.0 made it
    assert Options().model_dump() == {"max_clips": 10, "min_clip_s": 10.0, "max_clip_s": 60.0}
    assert [way.speech for way in ways] == [
        {}, {"language": "de"}, {"translate": True}, {"vocabulary": ["Dagster"]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "seconds"), [("754", 754), (" 12:34 ", 754), ("1:02:03.5", 3723.5), ("0:00", 0), ("90:00", 5400)]
)
def test_a_place_in_a_video_is_typed_as_seconds_or_as_a_clock_shows_it(typed: str, seconds: float) -> None:
    assert seconds_of(typed) == seconds


@pytest.mark.parametrize("typed", ["", "soon", "-5", "1:2:3:4", "nan", "1e3", "12:", ":30", "٣"])
def test_what_is_no_place_in_a_video_is_told(typed: str) -> None:
    with pytest.raises(ValueError, match="give a time in the video"):
        seconds_of(typed)


@pytest.mark.parametrize(
    "asked", [{"start_s": 60, "end_s": 60}, {"end_s": 0}, {"start_s": -1}, {"topic": "x" * 201}, {"start_s": "nan"}]
)
def test_a_part_of_a_video_that_there_is_none_of_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(asked)


def test_a_topic_is_in_one_form_and_each_part_of_a_video_is_a_cut_of_its_own() -> None:
    assert Options.model_validate({"topic": "  the \u202e price\n of it "}).topic == "the price of it"
    ways = [Options(), Options(topic="pricing"), Options(start_s=60), Options(end_s=60), Options(title_language="de")]

    assert len({cut_id("web-a", way) for way in ways}) == len(ways)
    assert Options().model_dump(mode="json").keys() == {"max_clips", "min_clip_s", "max_clip_s"}


@given(st.lists(st.text(max_size=80), max_size=60))
def test_vocabulary_is_in_one_form_whatever_is_given(terms: list[str]) -> None:
    try:
        kept = Options.model_validate({"vocabulary": terms}).vocabulary
    except ValidationError:
        return
    assert Options.model_validate({"vocabulary": kept}).vocabulary == kept
    assert len(set(kept)) == len(kept) <= MAX_TERMS
    assert sum(map(len, kept)) <= MAX_VOCABULARY_CHARS
    assert all(term and len(term) <= MAX_TERM_CHARS and term.isprintable() for term in kept)


def test_ids_are_short_stable_and_valid() -> None:
    assert extractor_video_id("Youtube", "dQw4w9WgXcQ") == "youtube-dQw4w9WgXcQ"
    assert re.fullmatch(VIDEO_ID_PATTERN, web_video_id("http://example.com/"))
    assert file_video_id("ab" * 32) == "file-" + "ab" * 8
