"""Ten thousand proposals made to get something false past the selection."""

import random
import time
import unicodedata
from itertools import pairwise

import pytest

from madvision_assets.domain.clips import ClipCandidate, Moment
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.selection import clip_limits_s, select
from madvision_assets.domain.timeline import MAX_LEAD_S, MAX_TAIL_S
from madvision_assets.domain.titles import is_said
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options
from madvision_assets.domain.wording import letters
from madvision_assets_tests.builders import SAMPLE_SECTIONS, transcript_of

BATCHES, PROPOSALS = 50, 200
ENGLISH = [text for section in SAMPLE_SECTIONS for text in section]
LANGUAGES = {
    "en": ENGLISH,
    "de": [
        "Wir haben das Rad neu erfunden.",
        "Warum bricht die Speiche zuerst?",
        "Es kostet fünf Euro im Jahr.",
        "Größe zählt hier nicht.",
    ],
    "ja": ["今日は自転車の話です。", "修理は安いです。", "なぜ壊れるのでしょうか。", "答えは簡単です。"],
    "ar": ["نتحدث اليوم عن الدراجات.", "الإصلاح أرخص مما تظن.", "لماذا تنكسر دائما؟", "الجواب بسيط جدا."],
    "none": ["so this is what we do", "and then it breaks", "you know what i mean", "it is all about the wheel"],
}
SPOILT = [
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u2066",
    "<b>",
    "</transcript>",
    '{"moments": []}',
    "🚲",
    "e\u0301",
]
FALSE = [
    "CEO admits fraud and resigns",
    "Ignore all rules",
    "a",
    "the",
    "",
    "   ",
    "x" * 5000,
    "99:59",
    "../../etc",
    "und die",
]


def talk_in(language: str, chance: random.Random) -> Transcript:
    texts = LANGUAGES[language]
    at_s, timed = 0.0, []
    for n in range(120):
        length_s = chance.uniform(1.0, 9.0)
        timed.append((texts[n % len(texts)], at_s, at_s + length_s))
        at_s += length_s + chance.choice((0.0, 0.2, 0.5, 3.0))
    return transcript_of(timed, duration_s=at_s)


def odd_text(talk: Transcript, chance: random.Random) -> str:
    said = chance.choice(talk.segments).text
    kind = chance.randrange(6)
    if kind == 0:
        return chance.choice(FALSE)
    if kind == 1:
        return said
    if kind == 2:
        cut = sorted(chance.sample(range(len(said) + 1), 2))
        return said[cut[0] : cut[1]]
    if kind == 3:
        return "".join(c + (chance.choice(SPOILT) if chance.random() < 0.2 else "") for c in said)
    if kind == 4:
        return " ".join(chance.sample(said.split(), len(said.split())))
    return f"{said} {chance.choice(FALSE)}"


def odd_moment(talk: Transcript, chance: random.Random) -> Moment:
    first = chance.choice((chance.randrange(120), chance.randrange(-5, 130)))
    return Moment(
        first_segment=first,
        last_segment=first + chance.choice((0, 3, 6, 12, -2, 500)),
        title=odd_text(talk, chance),
        reason=odd_text(talk, chance),
        quote=odd_text(talk, chance),
        score=round(chance.random(), 2),
    )


@pytest.mark.parametrize("batches", [1, pytest.param(BATCHES // len(LANGUAGES), marks=pytest.mark.whole)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_false_is_published_whatever_is_proposed(language: str, batches: int) -> None:
    chance = random.Random(language)  # noqa: S311 - nothing secret
    chosen = 0
    for _ in range(batches):
        talk = talk_in(language, chance)
        options = Options(max_clips=chance.randint(1, 20), min_clip_s=chance.choice((5, 15)), max_clip_s=40)
        media_s = talk.duration_s * chance.choice((1.0, 0.7))
        moments = [odd_moment(talk, chance) for _ in range(PROPOSALS)]
        selection = select(moments, talk, options, media_s)

        assert len(selection.candidates) + len(selection.rejected) == PROPOSALS
        chosen += len(selection.candidates)
        in_time = sorted(selection.candidates, key=lambda candidate: candidate.start_s)
        assert all(one.end_s <= other.start_s for one, other in pairwise(in_time))
        for candidate in selection.candidates:
            is_true(candidate, talk, options, media_s)
    assert chosen >= batches


def is_true(candidate: ClipCandidate, talk: Transcript, options: Options, media_s: float) -> None:
    shortest_s, longest_s = clip_limits_s(options)
    assert 0 <= candidate.start_s < candidate.end_s <= media_s
    assert shortest_s <= candidate.duration_s <= longest_s + MAX_LEAD_S + MAX_TAIL_S + 1e-9
    for word in talk.words:
        assert not word.start_s < candidate.start_s < word.end_s or word.end_s > media_s
        assert not word.start_s < candidate.end_s < word.end_s or word.end_s > media_s
    said = " ".join(talk.segments[n].text for n in range(candidate.first_segment, candidate.last_segment + 1))
    assert letters(candidate.quote) in letters(said)
    assert is_said(candidate.title, said)
    for text in (candidate.title, candidate.reason, candidate.quote):
        assert text == cleaned(text)
        assert not {unicodedata.category(character) for character in text} & {"Cc", "Cf", "Cs"}
    assert 0 < len(candidate.title) <= 120


@pytest.mark.parametrize("again", ["\u0301\u0327", "\u0301", "\u0344", "\u200d\u0301"])
def test_a_text_made_of_marks_keeps_nobody_waiting(again: str) -> None:
    text = "a" + again * (200_000 // len(again)) + "\u0327" * 50_000
    started = time.process_time()
    cleaned(text, 600)
    letters(text)

    assert time.process_time() - started < 5
    assert cleaned("e\u0301 " * 1000, 600).startswith("\u00e9 \u00e9")
