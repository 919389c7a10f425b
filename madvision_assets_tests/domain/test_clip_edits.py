"""Claims about a person's changes of clips: snapped to words, inside the video, apart from each other, all or none."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from madvision_assets.domain.clip_edits import (
    MOST_KEPT,
    EditRefusedError,
    Spoken,
    edited,
    spoken_words,
    to_render,
)
from madvision_assets.domain.clips import Change, ClipCandidate, ClipCandidates, Outcome
from madvision_assets.domain.renditions import CaptionStyle, PictureOptions, Shape
from madvision_assets.domain.wanted_edits import Edit
from madvision_assets_tests.builders import sample_talk
from madvision_assets_tests.stores import sealed

TALK = sample_talk()
LONG_S = TALK.duration_s
WORDS = spoken_words(TALK, LONG_S)
EDITS: TypeAdapter[list[Edit]] = TypeAdapter(list[Edit])


def clip(rank: int, first: int, last: int, title: str = "A title") -> ClipCandidate:
    """The clip of these segments, cut as the pipeline does."""
    one, other = TALK.segments[first], TALK.segments[last]
    return ClipCandidate(
        rank=rank, start_s=one.start_s - 0.25, end_s=other.end_s + 0.25, title=title, reason="It matters.",
        quote=one.text, score=0.5, first_segment=first, last_segment=last,
    )  # fmt: skip


def document(*clips: ClipCandidate) -> ClipCandidates:
    made = ClipCandidates(video_id=TALK.video_id, outcome=Outcome.CLIPS, outcome_reason="found", candidates=clips)
    return sealed(made)


BASE = document(clip(1, 20, 23), clip(2, 3, 6), clip(3, 7, 9))


def make(*told: dict[str, Any], base: ClipCandidates = BASE) -> ClipCandidates:
    return edited(base, EDITS.validate_python(list(told)), WORDS, LONG_S, "ada")


def of(made: ClipCandidates, rank: int) -> ClipCandidate:
    return next(each for each in made.candidates if each.rank == rank)


def said(clip: ClipCandidate) -> Sequence[str]:
    return [word.text for word in WORDS if clip.start_s <= word.middle_s <= clip.end_s]


def test_points_in_seconds_are_snapped_to_words_and_leave_air_around_them() -> None:
    word = WORDS[60]
    inside_s = word.start_s + 0.9 * (word.end_s - word.start_s)

    made = of(make({"change": "trim", "clip": 1, "start_s": 100.0, "end_s": 110.0}), 1)
    earlier = of(make({"change": "trim", "clip": 2, "end_s": inside_s}), 2)

    assert not [w for w in WORDS if w.start_s < made.start_s < w.end_s or w.start_s < made.end_s < w.end_s]
    assert abs(made.start_s - 100) < 1
    assert abs(made.end_s - 110) < 1
    assert word.end_s <= earlier.end_s <= WORDS[61].start_s


def test_a_word_that_is_named_is_in_the_clip_and_its_neighbour_is_not() -> None:
    made = of(make({"change": "trim", "clip": 1, "first_word": 200, "last_word": 240}), 1)

    assert said(made) == [word.text for word in WORDS[200:241]]
    assert made.words == 41
    assert (made.first_segment, made.last_segment) == (WORDS[200].segment, WORDS[240].segment)


def test_many_edits_look_at_the_words_no_more_often_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Spoken] = []

    def middle_s(word: Spoken) -> float:
        looked.append(word)
        return (word.start_s + word.end_s) / 2

    monkeypatch.setattr(Spoken, "middle_s", property(middle_s))

    def looks(edits: int) -> int:
        looked.clear()
        make(*({"change": "trim", "clip": 1, "start_s": 100.0 + n / 10, "end_s": 115.0} for n in range(edits)))
        return len(looked)

    assert looks(100) == looks(1) == len(WORDS)


def test_a_point_that_is_not_given_stays_to_the_bit() -> None:
    was = of(BASE, 1)

    made = of(make({"change": "trim", "clip": 1, "end_s": was.end_s - 3}), 1)

    assert made.start_s == was.start_s
    assert made.end_s < was.end_s


def test_a_quote_that_is_not_said_any_more_goes() -> None:
    was = of(BASE, 1)

    assert of(make({"change": "trim", "clip": 1, "start_s": was.start_s + 6}), 1).quote == ""
    assert of(make({"change": "trim", "clip": 1, "end_s": was.end_s - 2}), 1).quote == was.quote


JUDGED = {"hook": 0.2, "strength": 0.3}


def test_what_a_moment_was_judged_by_stays_with_it_until_it_is_moved_away_from_what_was_judged() -> None:
    told = of(BASE, 1).model_copy(update={"criteria": JUDGED})
    base = sealed(BASE.model_copy(update={"provenance": None, "candidates": (told, *BASE.candidates[1:])}))

    trimmed = make({"change": "trim", "clip": 1, "end_s": told.end_s - 3}, base=base)
    renamed = make({"change": "retitle", "clip": 1, "title": "Mine"}, base=base)
    moved = make({"change": "trim", "clip": 1, "first_word": 400, "last_word": 430}, base=base)
    added = make({"change": "add", "first_word": 400, "last_word": 430}, base=base)

    assert of(trimmed, 1).criteria == of(renamed, 1).criteria == JUDGED
    assert of(moved, 1).criteria == of(added, 4).criteria == {}


def test_a_persons_title_is_cleaned_and_not_replaced_by_what_is_said() -> None:
    made = make({"change": "retitle", "clip": 1, "title": "  Zebras\u202e and\n quarks "})

    assert of(made, 1).title == "Zebras and quarks"
    assert to_render(BASE, made) == ()


def test_an_added_clip_has_a_new_number_and_a_sentence_for_a_title() -> None:
    gone = make({"change": "drop", "clip": 3})

    made = make({"change": "add", "start_s": 130, "end_s": 145}, base=sealed(gone))

    assert [each.rank for each in made.candidates] == [1, 2, 4]
    assert of(made, 4).title
    assert of(made, 4).title in " ".join(said(of(made, 4)))
    assert to_render(gone, made) == (4,)


def test_labels_say_what_was_proposed_and_what_a_person_made_of_it() -> None:
    made = make(
        {"change": "trim", "clip": 1, "end_s": 100},
        {"change": "drop", "clip": 2},
        {"change": "add", "first_word": 400, "last_word": 430},
        {"change": "retitle", "clip": 4, "title": "Mine"},
    )

    assert [(each.change, each.rank) for each in made.edits] == [
        (Change.TRIM, 1), (Change.DROP, 2), (Change.ADD, 4), (Change.RETITLE, 4),
    ]  # fmt: skip
    assert [each.before for each in made.edits[:3]] == [of(BASE, 1), of(BASE, 2), None]
    assert [each.after for each in made.edits[:2]] == [of(made, 1), None]
    assert made.edits[3].after == of(made, 4)
    assert {each.version for each in made.edits} == {BASE.origin.data_version}
    assert ClipCandidates.model_validate_json(made.model_dump_json()) == made


def test_a_document_without_edits_is_as_it_was_before_there_were_any() -> None:
    assert not BASE.model_dump(mode="json").keys() & {"edits", "pictures", "pictures_chosen"}


ASKED_FOR = PictureOptions(renditions=(Shape.SQUARE,))


def choose(base: ClipCandidates = BASE, **told: Any) -> ClipCandidates:
    wanted = EDITS.validate_python([{"change": "pictures", **told}])
    return edited(base, wanted, WORDS, LONG_S, "ada", ASKED_FOR)


def test_pictures_that_are_chosen_stand_in_place_of_those_that_the_submission_asks_for() -> None:
    made = choose(renditions=["vertical"], captions="Bold")

    assert made.pictures == PictureOptions(renditions=(Shape.VERTICAL,), captions=CaptionStyle.BOLD)
    assert made.pictures_of(ASKED_FOR) == made.pictures
    assert BASE.pictures_of(ASKED_FOR) == ASKED_FOR
    assert (made.candidates, made.edits, made.outcome_reason) == (BASE.candidates, (), BASE.outcome_reason)
    assert to_render(BASE, made, ASKED_FOR) == (1, 2, 3)
    assert ClipCandidates.model_validate_json(made.model_dump_json()) == made


def test_of_pictures_what_is_not_given_stays_as_it_is() -> None:
    captioned = choose(captions="plain")
    vertical = choose(sealed(captioned), renditions=["vertical"])

    assert captioned.pictures == PictureOptions(renditions=(Shape.SQUARE,), captions=CaptionStyle.PLAIN)
    assert vertical.pictures == PictureOptions(renditions=(Shape.VERTICAL,), captions=CaptionStyle.PLAIN)
    assert choose(sealed(vertical), captions=None).pictures == PictureOptions(renditions=(Shape.VERTICAL,))


def test_where_pictures_only_go_nothing_is_rendered_and_none_is_a_choice_too() -> None:
    made = choose(renditions=[])

    assert made.pictures == PictureOptions()
    assert to_render(BASE, made, ASKED_FOR) == ()
    assert made.model_dump(mode="json")["pictures"] == {}


def test_a_choice_of_pictures_stays_when_moments_are_edited_afterwards() -> None:
    chosen = sealed(choose(renditions=["vertical"]))

    made = make({"change": "retitle", "clip": 1, "title": "Mine"}, base=chosen)

    assert made.pictures == chosen.pictures
    assert to_render(chosen, made, ASKED_FOR) == ()


def test_moments_that_are_provisional_stay_so_until_a_person_edits_them() -> None:
    base = sealed(BASE.model_copy(update={"provenance": None, "provisional": True}))

    chosen = choose(base, renditions=["vertical"])
    edited_too = make({"change": "retitle", "clip": 1, "title": "Mine"}, base=sealed(chosen))

    assert chosen.provisional
    assert not edited_too.provisional


def test_the_pictures_that_there_are_already_are_no_change() -> None:
    with pytest.raises(EditRefusedError, match="Nothing would be changed"):
        choose(renditions=["square", "source"])


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"change": "drop", "clip": 9}, r"There is no clip 9\. There are: 1, 2, 3\."),
        ({"change": "trim", "clip": 1, "start_s": 150, "end_s": 140}, "its end lies before its start"),
        ({"change": "trim", "clip": 1, "end_s": 5000}, "lies after the end of the video, which is at 3:18"),
        ({"change": "trim", "clip": 1, "first_word": 4000}, "There is no word 4000: the transcript has 469"),
        ({"change": "trim", "clip": 2, "end_s": of(BASE, 3).end_s - 2}, "Clips 2 and 3 would overlap"),
        ({"change": "add", "first_word": 50, "last_word": 55}, "would overlap"),
        ({"change": "add", "first_word": 300, "last_word": 300}, "It would last 0.[0-9] s; a clip lasts 1 to 1200 s"),
        ({"change": "retitle", "clip": 1, "title": "\u200b \n"}, "A title needs at least one letter"),
        ({"change": "retitle", "clip": 1, "title": "A title"}, "Nothing would be changed"),
        ({"change": "trim", "clip": 1, "start_s": of(BASE, 1).start_s}, "Nothing would be changed"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(EditRefusedError, match=sentence):
        make(told)


def test_no_clip_at_all_is_refused() -> None:
    with pytest.raises(EditRefusedError, match="No clip would be left"):
        make(*({"change": "drop", "clip": rank} for rank in (1, 2, 3)))


def test_a_document_that_names_too_many_edits_takes_no_more() -> None:
    (once,) = make({"change": "drop", "clip": 1}).edits
    worn = sealed(BASE.model_copy(update={"provenance": None, "edits": (once,) * MOST_KEPT}))

    with pytest.raises(EditRefusedError, match="have its moments chosen anew"):
        make({"change": "drop", "clip": 2}, base=worn)


def test_choices_of_pictures_are_changes_that_count_as_others_do() -> None:
    (once,) = make({"change": "drop", "clip": 1}).edits
    worn = BASE.model_copy(update={"provenance": None, "edits": (once,) * (MOST_KEPT - 3), "pictures_chosen": 1})

    last = sealed(choose(sealed(choose(sealed(worn), captions="bold")), captions="plain"))

    assert (last.pictures_chosen, len(last.edits)) == (3, MOST_KEPT - 3)
    with pytest.raises(EditRefusedError, match=f"changed {MOST_KEPT} times, and this would make {MOST_KEPT + 1}"):
        choose(last, captions="karaoke")
    with pytest.raises(EditRefusedError, match="have its moments chosen anew"):
        make({"change": "drop", "clip": 2}, base=last)


@pytest.mark.parametrize(
    "told",
    [
        {"change": "trim", "clip": 1},
        {"change": "trim", "clip": 1, "start_s": 1.0, "first_word": 2},
        {"change": "add", "start_s": 1.0},
        {"change": "trim", "clip": "1", "start_s": 1.0},
        {"change": "paint", "clip": 1},
        {"change": "drop", "clip": 1, "why": "so"},
        {"change": "trim", "clip": 1, "start_s": float("nan")},
        {"change": "pictures"},
        {"change": "pictures", "renditions": ["round"]},
        {"change": "pictures", "captions": "comic"},
        {"change": "pictures", "captions": ""},
        {"change": "pictures", "captions": " "},
        {"change": "pictures", "renditions": [""]},
        {"change": "pictures", "renditions": ["vertical", " "]},
        {"change": "pictures", "clip": 1, "captions": "bold"},
    ],
)
def test_what_has_not_the_form_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EDITS.validate_python([told])


def test_a_clip_may_take_the_place_of_another_in_one_request() -> None:
    made = make({"change": "trim", "clip": 2, "end_s": of(BASE, 3).end_s}, {"change": "drop", "clip": 3})

    assert [each.rank for each in made.candidates] == [1, 2]
    assert abs(of(made, 2).end_s - of(BASE, 3).end_s) < 1


PLACES = st.floats(0, LONG_S)
NUMBERS = st.integers(0, len(WORDS) - 1)
RANKS = st.integers(1, 5)
ASKED = st.one_of(
    st.fixed_dictionaries({"change": st.just("trim"), "clip": RANKS, "start_s": PLACES}),
    st.fixed_dictionaries({"change": st.just("trim"), "clip": RANKS, "last_word": NUMBERS}),
    st.fixed_dictionaries({"change": st.just("retitle"), "clip": RANKS, "title": st.text(max_size=20)}),
    st.fixed_dictionaries({"change": st.just("drop"), "clip": RANKS}),
    st.fixed_dictionaries({"change": st.just("add"), "start_s": PLACES, "end_s": PLACES}),
    st.tuples(NUMBERS, st.integers(4, 40)).map(
        lambda at: {"change": "add", "first_word": at[0], "last_word": min(len(WORDS) - 1, sum(at))}
    ),
)


@given(st.lists(ASKED, min_size=1, max_size=4))
def test_whatever_is_asked_the_clips_lie_inside_and_apart_and_cut_no_word(asked: list[dict[str, Any]]) -> None:
    try:
        made = make(*asked)
    except EditRefusedError:
        return

    touched = {each.rank for each in made.edits}
    assert all(0 <= each.start_s < each.end_s <= LONG_S for each in made.candidates)
    by_time = sorted(made.candidates, key=lambda each: each.start_s)
    assert all(one.end_s <= other.start_s for one, other in pairwise(by_time))
    assert [of(made, each.rank) for each in BASE.candidates if each.rank not in touched] == [
        each for each in BASE.candidates if each.rank not in touched
    ]
    edges = [edge for each in made.candidates if each.rank in touched for edge in (each.start_s, each.end_s)]
    assert not [edge for edge in edges for word in WORDS if word.start_s + 1e-9 < edge < word.end_s - 1e-9]
    assert len({each.rank for each in made.candidates}) == len(made.candidates)
    replayed = {each.rank: each for each in BASE.candidates}
    for each in made.edits:
        if each.after is None:
            del replayed[each.rank]
        else:
            replayed[each.rank] = each.after
    assert replayed == {each.rank: each for each in made.candidates}
