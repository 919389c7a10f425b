"""What a clip is called: a whole sentence or question of its own, never a list of words and never a lone one."""

import re

import pytest

from madvision_assets.domain.content_type import ContentKind
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.evaluation.labelled import transcript_of
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.titles import LONGEST_TITLE_CHARS, title_of
from madvision_assets_tests.builders import sample_talk
from madvision_assets_tests.evaluation.labelled_texts import FITTED, HELD_OUT, labelled


def titled(*texts: str, worth: tuple[float, ...] = ()) -> str:
    return title_of(texts, worth or tuple(0.0 for _ in texts), "en")


def is_whole(title: str, text: str) -> bool:
    """Whether a title is a sentence of a text from its first to its last word, or a clause from a sentence's start."""
    folded = " ".join(text.split()).lower()
    return bool(re.search(re.escape(title.lower()) + r"[.!?,;:\u2026\u2013\u2014 ]*", folded))


def test_every_title_of_the_texts_is_a_sentence_of_its_clip_with_several_words() -> None:
    talks = [transcript_of(talk) for talk in labelled(FITTED, "A") + labelled(HELD_OUT, "A")]
    options = Options(max_clips=2, min_clip_s=6, max_clip_s=14)
    for talk in (*talks, sample_talk()):
        for m in OfflineAnalyst().propose(talk, ContentKind.OTHER, SourceMetadata(extractor="x"), options).moments:
            said = " ".join(s.text for s in talk.segments[m.first_segment : m.last_segment + 1])
            assert is_whole(m.title, said), m.title
            assert len(m.title.split()) >= 3
            assert m.title[0] == m.title[0].upper()
            assert len(m.title) <= LONGEST_TITLE_CHARS
            assert "\u2026" not in m.title


def test_a_question_that_opens_the_clip_is_its_title() -> None:
    assert titled("Why does nobody repair a chain?", "Because a chain is cheap to buy again.") == (
        "Why does nobody repair a chain?"
    )


def test_what_points_back_or_only_leads_over_is_no_title() -> None:
    texts = ("And so, yeah, that was it.", "It was like this every day.", "A cheap brake costs more in the end.")

    assert titled(*texts, worth=(3.0, 3.0, 0.0)) == "A cheap brake costs more in the end"


def test_words_that_lead_over_are_left_out() -> None:
    assert titled("Well, you know, a cheap brake costs more in the end.") == "A cheap brake costs more in the end"


def test_of_a_long_sentence_a_whole_clause_is_taken() -> None:
    long = (
        "A cheap brake costs far more in the end, because you have to buy another one after every winter, and then the "
        "wheel is bent, and whoever sold it has closed the shop by then."
    )

    assert titled(long) == "A cheap brake costs far more in the end"


@pytest.mark.parametrize("text", ["Younger.", "30.", "Right.", "Yeah, okay."])
def test_a_lone_word_is_no_title_where_there_is_a_sentence(text: str) -> None:
    assert (
        titled(text, "A cheap brake costs more in the end.", worth=(9.0, 0.0)) == "A cheap brake costs more in the end"
    )


def test_without_punctuation_a_segment_is_taken_whole() -> None:
    assert titled("a cheap brake costs more in the end") == "A cheap brake costs more in the end"
