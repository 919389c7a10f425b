"""The analyst without a key: what it proposes, what it refuses to propose, and what kinds it tells apart."""

import time
from statistics import median

import pytest

from madvision_assets.domain.clips import Moment, Outcome
from madvision_assets.domain.content_type import Confidence, ContentKind
from madvision_assets.domain.selection import select
from madvision_assets.domain.timeline import Span
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst.model import Weights
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.topic import Topic
from madvision_assets_tests.builders import SAMPLE_SECTIONS, sample_talk, section_starts, spoken, transcript_of

SOURCE = SourceMetadata(extractor="generic")
ANALYST = OfflineAnalyst()


def propose(transcript: Transcript, options: Options | None = None) -> tuple[Moment, ...]:
    return ANALYST.propose(transcript, ContentKind.OTHER, SOURCE, options or Options()).moments


def classify(text: str, *, title: str = "") -> ContentKind:
    sentences = [(line.strip(), 4.0 * n, 4.0 * n + 3.5) for n, line in enumerate(text.strip().splitlines())]
    source = SourceMetadata(extractor="generic", title=title)
    return ANALYST.classify(transcript_of(sentences), source).document.kind


def test_a_talk_of_three_minutes_gives_at_least_three_clips_and_not_the_whole_talk() -> None:
    talk = sample_talk()
    selection = select(propose(talk), talk, Options(), talk.duration_s)

    assert selection.outcome is Outcome.CLIPS
    assert len(selection.candidates) >= 3
    assert sum(c.duration_s for c in selection.candidates) < 0.8 * talk.duration_s


def test_most_moments_begin_where_a_section_begins_and_none_runs_over_two_sections() -> None:
    moments = propose(sample_talk())
    starts = section_starts()

    assert sum(m.first_segment in starts for m in moments) >= len(moments) / 2
    for m in moments:
        assert not any(m.first_segment < start <= m.last_segment for start in starts)


@pytest.mark.parametrize("section_pause_s", [0.5, 1.2, 2.0])
def test_clips_are_found_whatever_the_pauses_between_the_sections(section_pause_s: float) -> None:
    talk = transcript_of(spoken(SAMPLE_SECTIONS, section_pause_s=section_pause_s))

    assert len(select(propose(talk), talk, Options(), talk.duration_s).candidates) >= 3


@pytest.mark.parametrize("pace", [0.55, 1.0, 1.7, 3.0])
def test_a_short_talk_gives_a_clip_however_its_sentences_fall(pace: float) -> None:
    for lasts_s in range(30, 150, 7):
        sentences = [(text, pace * start_s, pace * end_s) for text, start_s, end_s in spoken(SAMPLE_SECTIONS)]
        talk = transcript_of([each for each in sentences if each[2] <= lasts_s])

        assert select(propose(talk), talk, Options(), talk.duration_s).candidates, lasts_s


def test_of_a_topic_that_is_asked_for_each_moment_speaks_and_of_one_that_nobody_speaks_of_there_is_none() -> None:
    talk = sample_talk()

    about_brakes = propose(talk, Options(topic="old brakes"))
    nothing = ANALYST.propose(talk, ContentKind.OTHER, SOURCE, Options(topic="quantum chromodynamics"))

    assert 0 < len(about_brakes) < len(propose(talk))
    for each in about_brakes:
        said = " ".join(s.text for s in talk.segments[each.first_segment : each.last_segment + 1])
        assert "brak" in said.lower()
    assert nothing.moments == ()
    assert nothing.notes == ("None of its words says that anything is about 'quantum chromodynamics'.",)


def test_a_topic_in_a_script_without_spaces_is_found() -> None:
    talk = transcript_of([("価格はとても大切です。" * 3, 10.0 * n, 10.0 * n + 9) for n in range(6)])

    assert Topic("価格", [s.text for s in talk.segments], "ja").is_in(Span(0, 0))
    assert not Topic("音楽", [s.text for s in talk.segments], "ja").is_in(Span(0, 5))


@pytest.mark.parametrize(("wanted", "notes"), [("en", 0), (None, 0), ("de", 1)])
def test_rules_say_that_they_do_not_translate_titles(wanted: str | None, notes: int) -> None:
    assert len(ANALYST.propose(sample_talk(), ContentKind.OTHER, SOURCE, Options(title_language=wanted)).notes) == notes


def test_quotes_are_verbatim_and_reasons_read_like_a_persons() -> None:
    talk = sample_talk()

    for m in propose(talk):
        assert m.quote in " ".join(s.text for s in talk.segments[m.first_segment : m.last_segment + 1])
        assert m.reason.startswith("It ")
        assert m.reason.endswith(".")
        assert ":" not in m.reason


def test_the_same_transcript_gives_the_same_proposal_marked_provisional() -> None:
    one, other = (ANALYST.propose(sample_talk(), ContentKind.OTHER, SOURCE, Options()) for _ in range(2))

    assert one == other
    assert one.provisional
    assert one.recipe.cost_usd == 0


@pytest.mark.parametrize(
    "text",
    [
        "Um, yes, okay.",
        "Thanks for watching, please subscribe to my channel.",
        "Yeah. Uh-huh. Right. Okay then.",
        "…",
        "The most important result is this one, because we learned it first.",
    ],
)
def test_talk_without_substance_gives_no_moment_however_long_it_goes_on(text: str) -> None:
    assert propose(transcript_of([(text, 4.0 * n, 4.0 * n + 3) for n in range(60)])) == ()


def test_a_transcript_without_speech_is_answered_without_being_read() -> None:
    silent = transcript_of([], duration_s=60)

    assert propose(silent) == ()
    verdict = ANALYST.classify(silent, SOURCE).document
    assert (verdict.kind, verdict.confidence) == (ContentKind.OTHER, Confidence.LOW)


def test_a_transcript_without_words_or_punctuation_still_gives_clips() -> None:
    plain = [(text.lower().strip(".?"), start_s, end_s) for text, start_s, end_s in spoken(SAMPLE_SECTIONS)]
    talk = transcript_of(plain, with_words=False)

    assert select(propose(talk), talk, Options(), talk.duration_s).candidates


@pytest.mark.whole
@pytest.mark.parametrize("options", [Options(), Options(max_clips=50, min_clip_s=30, max_clip_s=1200)])
def test_a_day_takes_no_longer_for_each_hour_than_an_hour_does(options: Options) -> None:
    sentences = [text for section in SAMPLE_SECTIONS for text in section]
    timed = [(f"{sentences[n % 46]} Case {n}.", 3.8 * n, 3.8 * n + 3.6) for n in range(9_500)]
    taken_s = []
    for count in (950, 9_500):
        talk = transcript_of(timed[:count], with_words=False)
        began_s = time.process_time()
        selection = select(propose(talk, options), talk, options, talk.duration_s)
        taken_s.append(time.process_time() - began_s)

    assert len(selection.candidates) >= min(10, options.max_clips)
    assert taken_s[1] < 2 * 10 * taken_s[0], "ten times as much takes about ten times as long"


def test_clips_use_the_length_that_is_asked_for() -> None:
    talk = transcript_of(spoken(SAMPLE_SECTIONS * 5))

    for shortest_s, longest_s in ((10, 60), (20, 30), (5, 15)):
        options = Options(min_clip_s=shortest_s, max_clip_s=longest_s)
        chosen = select(propose(talk, options), talk, options, talk.duration_s).candidates
        assert all(shortest_s <= clip.duration_s <= longest_s + 0.81 for clip in chosen)
        assert median(clip.duration_s for clip in chosen) > 0.6 * longest_s


def test_no_clip_ends_with_a_question_that_is_not_answered_in_it() -> None:
    asked = [
        (*section[1:], section[2] if section[2].endswith("?") else "What came of it?") for section in SAMPLE_SECTIONS
    ]
    talk = transcript_of(spoken(asked * 4))

    moments = propose(talk)
    assert moments
    assert sum(talk.segments[m.last_segment].text.endswith("?") for m in moments) <= len(moments) / 10


@pytest.mark.parametrize("place", [8, 20, 40])
def test_adverts_and_calls_to_subscribe_are_not_chosen(place: int) -> None:
    advert = [
        "This episode is brought to you by our sponsor, the best biggest mattress in the world.",
        "Everybody makes the mistake to sleep badly, because nobody knows this secret.",
        "Sign up for a free trial at mattress dot com and use the promo code talk for a discount.",
        "Check it out, it is the most important thing that you will ever learn about sleep.",
        "And please subscribe to the channel, like this video, and leave a review of the podcast.",
    ]
    sentences = [text for section in SAMPLE_SECTIONS for text in section] * 2
    talk = transcript_of(spoken([[*sentences[:place], *advert, *sentences[place:]]]))

    moments = propose(talk)
    assert moments
    for m in moments:
        assert m.last_segment < place or m.first_segment >= place + len(advert)


@pytest.mark.parametrize(
    ("language", "sentence", "topic"),
    [
        ("de", "Die Werkstatt hat eine alte Maschine, und das ist die beste Maschine für uns.", "maschine"),
        ("fr", "La machine est dans une maison, et c'est la machine de tout le monde.", "machine"),
        ("es", "La máquina está en una casa, y es la máquina de todos nosotros.", "máquina"),
        ("it", "La macchina è nella casa, ed è la macchina di tutti noi.", "macchina"),
        ("pt", "A máquina está em uma casa, e é a máquina de todos nós.", "máquina"),
        ("nl", "De machine staat in een huis, en het is de machine van ons allemaal.", "machine"),
        ("", "Die Werkstatt hat eine alte Maschine, und das ist die beste Maschine für uns.", "maschine"),
    ],
)
def test_topics_are_never_function_words_in_any_language(language: str, sentence: str, topic: str) -> None:
    talk = transcript_of([(sentence, 5.0 * n, 5.0 * n + 4) for n in range(12)], language=language)

    topics = ANALYST.classify(talk, SOURCE).document.topics
    assert topics[0] == topic
    assert not {"die", "und", "la", "et", "en", "de", "una", "een", "é", "è"} & set(topics)


def test_who_speaks_most_is_preferred_where_it_is_known() -> None:
    """The same words, once said by the guest and once by the host."""
    weights = Weights({"main": 1.0}, {})
    talk = transcript_of(spoken(SAMPLE_SECTIONS * 6))
    half = len(talk.segments) // 3
    told = [s.model_copy(update={"speaker": "host" if s.id < half else "guest"}) for s in talk.segments]
    known = talk.model_copy(update={"segments": tuple(told)})

    moments = OfflineAnalyst(weights).propose(known, ContentKind.INTERVIEW, SOURCE, Options()).moments
    best = sorted(moments, key=lambda m: -m.score)[:8]

    assert all(m.last_segment >= half for m in best)


def test_questions_with_answers_are_an_interview() -> None:
    dialogue = """
        How did you start with bicycles?
        My uncle gave me a broken one.
        And when did you open the shop?
        That was nine winters ago.
        What was the hardest part?
        Finding a room that we could pay.
        Do you regret anything?
        Not a single day."""

    assert classify(dialogue) is ContentKind.INTERVIEW


def test_orders_to_the_viewer_are_a_tutorial() -> None:
    steps = """
        First you need the tools.
        Take the wheel out of the fork.
        Put the lever under the tyre.
        Now pull the tube out.
        Make sure there is no glass in the tyre.
        Turn the wheel slowly."""

    assert classify(steps) is ContentKind.TUTORIAL


def test_a_welcome_from_a_stage_is_a_speech() -> None:
    stage = """
        Ladies and gentlemen, welcome.
        Tonight is about courage.
        My fellow citizens, we must decide.
        The harbour is quiet now.
        Thank you."""

    assert classify(stage) is ContentKind.SPEECH


def test_a_title_decides_where_the_words_do_not() -> None:
    assert classify("The colour is nice.\nThe lens is dark.", title="Unboxing the new camera") is ContentKind.REVIEW


def test_words_that_tell_nothing_are_other_with_low_confidence() -> None:
    assert classify("The colour is nice.\nThe lake is dark.") is ContentKind.OTHER


def test_the_verdict_names_its_evidence_and_the_commonest_topic() -> None:
    verdict = ANALYST.classify(sample_talk(), SourceMetadata(extractor="generic", title="A keynote on repair")).document

    assert verdict.kind is ContentKind.SPEECH
    assert "keynote" in verdict.reason
    assert verdict.topics[0] == "bicycle"
