"""Documents made by hand for tests: transcripts out of sentences, and the sample talk that many tests read."""

from collections.abc import Iterable

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.transcript import Segment, Transcript, Word

SECONDS_PER_WORD = 0.36
SENTENCE_PAUSE_S = 0.5

# Six sections of a talk on repairing bicycles for a city; 46 sentences.
SAMPLE_SECTIONS = (
    (
        "Hello everyone and welcome to our workshop.",
        "Two years ago the city gave us a garage full of broken bicycles.",
        "Why do people throw away a bicycle that only needs a new chain?",
        "The important question was not money at all.",
        "Most owners simply did not know where to go for a repair.",
        "We asked three hundred cyclists, and half of them had never met a mechanic.",
        "That surprised everybody in the team.",
        "So we opened the doors and wrote the prices on the wall.",
    ),
    (
        "The first problem was spare parts.",
        "A brake for an old bicycle costs more than the bicycle itself.",
        "We started to collect brakes, pedals and wheels from the scrap yard.",
        "Every wheel was measured, cleaned and given a label.",
        "After six months the shelf held two thousand parts.",
        "Because the labels were good, nobody ever searched longer than a minute.",
        "The result was a repair at a third of the usual price.",
    ),
    (
        "Volunteers are a different story.",
        "How do you teach a student to true a wheel in one evening?",
        "We learned that nobody listens to a lecture with dirty hands.",
        "Instead every beginner repairs one bicycle from start to finish.",
        "An experienced mechanic stands behind them and never touches a tool.",
        "It takes two hours longer, but the beginner always comes back.",
        "Last winter forty volunteers trained sixty more volunteers.",
        "The secret is to let people make the mistake themselves.",
    ),
    (
        "Now let me talk about the accident.",
        "In March a fork broke under a rider on the bridge.",
        "The fork had passed our inspection only one week before.",
        "We found a crack inside the steel that no eye could see.",
        "What would you have done on the next morning?",
        "We called back every bicycle with the same fork, one hundred and twelve of them.",
        "Nine of those forks had the same crack.",
        "Since then an ultrasound probe from a hospital checks every fork.",
    ),
    (
        "Money is the part that nobody wants to hear about.",
        "A workshop like ours burns four thousand euros in a month.",
        "The city pays half, and repairs pay a quarter.",
        "The rest comes from a subscription that costs less than a coffee.",
        "Subscribers never wait longer than two days for their bicycle.",
        "The biggest lesson was to charge a little rather than nothing.",
        "A free repair is forgotten, but a paid repair is picked up.",
    ),
    (
        "What can another city take from this?",
        "Start with one room, one bench and one honest price list.",
        "Count every repair from the first day, because numbers open doors.",
        "Make the label before you put the part on the shelf.",
        "The best advertisement is a rider who tells a neighbour.",
        "Next year three more districts will open a workshop of their own.",
        "Thank you, and please bring your bicycle.",
        "We are open until eight tonight.",
    ),
)


def transcript_of(
    sentences: Iterable[tuple[str, float, float]],
    *,
    video_id: str = "file-0123456789abcdef",
    duration_s: float | None = None,
    with_words: bool = True,
    language: str = "en",
) -> Transcript:
    """A transcript of ``(text, start_s, end_s)``, its words spread evenly and its IDs counted from 0."""
    segments = tuple(
        Segment(id=n, start_s=start_s, end_s=end_s, text=text, words=_words(text, start_s, end_s) if with_words else ())
        for n, (text, start_s, end_s) in enumerate(sentences)
    )
    last_s = segments[-1].end_s if segments else 0.0
    spoken_s = sum(segment.end_s - segment.start_s for segment in segments)
    return Transcript(
        video_id=video_id,
        language=language,
        duration_s=last_s if duration_s is None else duration_s,
        audible_s=spoken_s,
        covered_s=spoken_s,
        segments=segments,
    )


def spoken(
    sections: Iterable[Iterable[str]], *, section_pause_s: float = 1.6, start_s: float = 0.8
) -> list[tuple[str, float, float]]:
    """Sentences with times at an even pace: half a second between sentences, a longer pause between sections."""
    timed, clock_s = [], start_s
    for section in sections:
        for text in section:
            end_s = clock_s + SECONDS_PER_WORD * len(text.split())
            timed.append((text, round(clock_s, 3), round(end_s, 3)))
            clock_s = end_s + SENTENCE_PAUSE_S
        clock_s += section_pause_s - SENTENCE_PAUSE_S
    return timed


def sample_talk() -> Transcript:
    """The sample talk: six sections of 25 to 40 s, 1.6 s apart, a bit over three minutes in all."""
    sentences = spoken(SAMPLE_SECTIONS)
    return transcript_of(sentences, duration_s=sentences[-1][2] + 1.0)


def section_starts() -> tuple[int, ...]:
    """IDs of the segments that open the sections of the sample talk."""
    return tuple(sum(len(section) for section in SAMPLE_SECTIONS[:n]) for n in range(len(SAMPLE_SECTIONS)))


def moment(
    first: int, last: int, quote: str, *, score: float = 0.7, title: str = "A moment", reason: str = "It matters."
) -> Moment:
    """A moment with little to say of itself."""
    return Moment(first_segment=first, last_segment=last, title=title, reason=reason, quote=quote, score=score)


def _words(text: str, start_s: float, end_s: float) -> tuple[Word, ...]:
    parts = text.split()
    edges = [start_s + (end_s - start_s) * n / max(1, len(parts)) for n in range(len(parts) + 1)]
    return tuple(Word(text=part, start_s=edges[n], end_s=edges[n + 1]) for n, part in enumerate(parts))
