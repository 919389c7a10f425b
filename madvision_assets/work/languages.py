"""What there is to hear before it is heard: how much sound, and in which languages.

Excerpts from all over vote (``domain.language_spans``): what an engine goes by, the first half minute with sound, may
be music or a greeting. Where the language changes is looked for by halves.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from madvision_assets.domain.heard import Asked, HeardSegment
from madvision_assets.domain.language_spans import Spoken, Vote, changes, likeliest
from madvision_assets.domain.segments import excerpt_starts
from madvision_assets.domain.word_times import Span
from madvision_assets.tools.media.audio import RATE_HZ, AudioWindow, audible_spans, pauses, read_span, read_windows
from madvision_assets.tools.speech import Heard, KnowsLanguages, SpeechEngine, TellsLanguage
from madvision_assets.work.pieces import Pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXCERPT_S = 30.0  # what Whisper hears at once
# Of each window; of the first, which may be all that there is, more. Of an engine that has to write it down, one.
FIRST_EXCERPTS, LATER_EXCERPTS = 4, 2
# How near a change is looked for, and by how much sound: less of it misleads.
NEAR_S, SHORT_EXCERPT_S = 20.0, 15.0
LANGUAGES = "languages"  # the piece that has them
# Of a language that was told with the words, and not how sure that is: one such excerpt is outvoted by its neighbours.
TOLD_SURE = 0.85


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        audible_s: seconds that are louder than near silence.
        spoken: the languages from when to when, without gaps; empty where the engine is to find out.
    """

    audible_s: float
    spoken: tuple[Spoken, ...]

    def inside(self, start_s: float, end_s: float) -> list[tuple[float, float, str | None]]:
        """The parts of a window that are in one language each, and which; None where nobody knows."""
        found = [(max(start_s, each.start_s), min(end_s, each.end_s), each.language) for each in self.spoken]
        return [each for each in found if each[1] > each[0]] or [(start_s, end_s, None)]


@dataclass
class Election:
    """Excerpts, as they vote.

    Args:
        engine: who tells what an excerpt is in.
        usual: what the site says of the language; empty where it says nothing.
    """

    engine: SpeechEngine
    usual: str
    votes: list[Vote] = field(default_factory=list)
    _windows: list[float] = field(default_factory=list)  # where that of each vote begins
    _first: tuple[float, float, "NDArray[np.float32]"] | None = None
    _usage: Counter[str] = field(default_factory=Counter)
    _cost_usd: float = 0.0
    _gives_up: bool = False
    asked: int = 0

    def hear(self, window: AudioWindow, audible: Sequence[Span]) -> None:
        """Have the excerpts of a window vote; where only hearing it all would tell, a lone one does not."""
        tells = isinstance(self.engine, TellsLanguage)
        wanted = (FIRST_EXCERPTS if not self.votes else LATER_EXCERPTS) if tells else 1
        for start_s in excerpt_starts(audible, EXCERPT_S, wanted):
            at = round(start_s * RATE_HZ)
            samples = window.samples[at : at + round(EXCERPT_S * RATE_HZ)]
            excerpt = (window.start_s, window.start_s + start_s, samples)
            if not tells and not self.asked and self._first is None:
                self._first = (*excerpt[:2], samples.copy())
                continue
            for each in filter(None, (self._first, excerpt)):
                self._count(*each)
            self._first = None

    def result(self, audio: BinaryIO, end_s: float) -> Heard:
        """What the excerpts came to, as a piece that can be kept: a segment for each language, its text the code."""
        # What the model does not hear, it would refuse; what it takes it for is better than nothing.
        is_heard = not isinstance(self.engine, KnowsLanguages) or self.engine.hears(self.usual)
        usual = self.usual if is_heard else ""
        decided = likeliest(self.votes, usual)
        bounds = [0.0, *(self._change_s(*each, audio) for each in changes(self.votes, usual)), end_s]
        named = [each for n, each in enumerate(decided) if not n or each != decided[n - 1]]
        stretches = tuple(HeardSegment(each, bounds[n], bounds[n + 1]) for n, each in enumerate(named))
        return Heard("", stretches, self._cost_usd, dict(self._usage))

    def _count(self, window_s: float, start_s: float, samples: "NDArray[np.float32]") -> None:
        if self._gives_up:
            return
        self.asked += 1
        language, sure = self._language_of(samples)
        if sure and not language:  # nor will it tell of the others
            self._gives_up = True
        elif sure:
            self.votes.append(Vote(start_s + len(samples) / RATE_HZ / 2, language, sure))
            self._windows.append(window_s)

    def _language_of(self, samples: "NDArray[np.float32]") -> tuple[str, float]:
        if isinstance(self.engine, TellsLanguage):
            return self.engine.language_of(samples)
        heard = self.engine.transcribe(samples, Asked())
        self._usage.update(heard.usage)
        self._cost_usd += heard.cost_usd
        return heard.language, TOLD_SURE if any(segment.text.strip() for segment in heard.segments) else 0.0

    def _change_s(self, before: Vote, after: Vote, audio: BinaryIO) -> float:
        """When the language changes between two votes: in the longest pause near it, seconds."""
        if not isinstance(self.engine, TellsLanguage):
            return next(at_s for at_s, vote in zip(self._windows, self.votes, strict=True) if vote.at_s == after.at_s)
        low_s, high_s = before.at_s, after.at_s
        while high_s - low_s > NEAR_S:
            middle_s = (low_s + high_s) / 2
            from_s = middle_s - SHORT_EXCERPT_S / 2
            language, _ = self.engine.language_of(read_span(audio, from_s, from_s + SHORT_EXCERPT_S))
            low_s, high_s = (low_s, middle_s) if language == after.language else (middle_s, high_s)
        near = read_span(audio, low_s, high_s)
        quiet = max(pauses(near, RATE_HZ), key=lambda span: span[1] - span[0], default=(0.0, high_s - low_s))
        return round(low_s + sum(quiet) / 2, 3)


def survey(
    audio: BinaryIO,
    election: Election,
    asked: str | None,
    pieces: Pieces,
    window_s: float,
    tell: Callable[[float, str], None],
) -> Survey:
    """How much sound there is, and in which languages; the engine is not asked where there is none.

    Args:
        audio: what ``extract_flac`` wrote; seekable.
        election: whom to ask.
        asked: the language that was asked for, in which all is then.
        pieces: where what was found is kept.
        window_s: how much sound to hold at once, seconds.
        tell: gets a fraction from 0 to 1 and a few words, while a model is fetched.
    """
    audible_s, end_s = 0.0, 0.0
    known: Heard | None = None
    for window in read_windows(audio, window_s):
        spans = audible_spans(window.samples, RATE_HZ)
        if spans and not audible_s:
            election.engine.prepare(tell)
            known = pieces.get(LANGUAGES)
        if spans and not asked and known is None:
            election.hear(window, spans)
        audible_s += sum(until_s - from_s for from_s, until_s in spans)
        end_s = window.end_s
    if asked:
        return Survey(audible_s, (Spoken(asked, 0.0, end_s),))
    if known is None and not election.asked:
        return Survey(audible_s, ())
    found = pieces.heard(LANGUAGES, lambda: known or election.result(audio, end_s))
    return Survey(audible_s, tuple(Spoken(each.text, each.start_s, each.end_s) for each in found.segments))
