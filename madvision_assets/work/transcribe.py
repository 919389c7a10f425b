"""Transcribe: from the audio in the store to what is said, whichever engine hears it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

from madvision_assets.domain.documents import Made
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.languages import ENGLISH, language_code
from madvision_assets.domain.paying import Books, NoBooks
from madvision_assets.domain.segments import clean_segments, covered_s, excerpt_starts, number_segments
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.video import Options, RawVideo
from madvision_assets.domain.word_times import Span
from madvision_assets.tools.media.audio import RATE_HZ, AudioWindow, audible_spans, pauses, read_windows
from madvision_assets.tools.speech import Heard, PaidEngine, SpeechEngine, TellsLanguage
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.paid_speech import PaidSpeech
from madvision_assets.work.pieces import Pieces, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Progress = Callable[[float, str], None]

WINDOW_S = 600.0  # bounds memory and paces progress; split where it is quietest
EXCERPT_S = 30.0  # what Whisper hears at once
FIRST_EXCERPTS = 4
LANGUAGE = "language"  # the piece that has the language elected


@dataclass(frozen=True)
class Transcriber:
    """Turns a video's audio into its transcript.

    Args:
        store: where the audio is.
        engine: who hears the words.
        books: where its calls are accounted for, where they are paid.
    """

    store: ObjectStore
    engine: SpeechEngine
    books: Books = field(default_factory=NoBooks)

    def transcribe(self, raw_video: RawVideo, progress: Progress) -> Made[Transcript]:
        """What is said in a video; the engine is not asked where there is no sound, and for no piece twice.

        Args:
            raw_video: names the audio.
            progress: gets a fraction from 0 to 1 and a few words.

        Raises:
            Failure: of the engine, of the audio, or of the store.
        """
        if isinstance(self.engine, PaidEngine):
            accounted = PaidSpeech(self.engine, self.books, raw_video.video_id)
            return replace(self, engine=accounted).transcribe(raw_video, progress)
        options = raw_video.options
        pieces = Pieces(self.store, raw_video.video_id, raw_video.audio, self.engine, _beside_language(options))
        with self.store.open(raw_video.audio.key) as audio:
            language = self._language(audio, options, pieces, progress)
            audio.seek(0)
            document = self._heard(audio, raw_video, language, pieces, progress)
        recipe = self.engine.recipe()
        asked = {name: _as_parameter(value) for name, value in options.speech.items()}
        paid = {"cost_usd": pieces.cost_usd, "usage": pieces.usage}
        return Made(document, recipe.model_copy(update={"parameters": {**recipe.parameters, **asked}, **paid}))

    def _language(self, audio: BinaryIO, options: Options, pieces: Pieces, progress: Progress) -> str | None:
        """The language asked for, else that which most of the speech is in; None where it is too short to tell.

        It is told by excerpts from all over: what an engine goes by, the first half minute with sound, may be music or
        a greeting.
        """
        excerpts: list[NDArray[np.float32]] = []
        for window in read_windows(audio, WINDOW_S):
            spans = audible_spans(window.samples, RATE_HZ)
            wanted = FIRST_EXCERPTS if isinstance(self.engine, TellsLanguage) and not excerpts else 1
            for start_s in excerpt_starts(spans, EXCERPT_S, wanted):
                at = round(start_s * RATE_HZ)
                excerpts.append(window.samples[at : at + round(EXCERPT_S * RATE_HZ)].copy())
        if excerpts:
            self.engine.prepare(lambda share, text: progress(0.0, f"{text}: {share:.0%}"))
        if options.language or len(excerpts) <= 1:
            return options.language
        return pieces.heard(LANGUAGE, lambda: self._elected(excerpts)).language or None

    def _elected(self, excerpts: "Sequence[NDArray[np.float32]]") -> Heard:
        """The language that most of the excerpts are in, by how sure that is; none where nobody speaks in any."""
        votes: dict[str, float] = {}
        usage, cost_usd = Counter[str](), 0.0
        for excerpt in excerpts:
            heard, sure = self._language_of(excerpt)
            usage.update(heard.usage)
            cost_usd += heard.cost_usd
            if sure and not heard.language:  # nor will it tell of the others
                break
            votes[heard.language] = votes.get(heard.language, 0.0) + sure
        elected = max(votes, key=lambda each: votes[each]) if any(votes.values()) else ""
        return Heard(elected, (), cost_usd, dict(usage))

    def _language_of(self, excerpt: "NDArray[np.float32]") -> tuple[Heard, float]:
        if isinstance(self.engine, TellsLanguage):
            language, sure = self.engine.language_of(excerpt)
            return Heard(language, ()), sure
        heard = self.engine.transcribe(excerpt, Asked())
        return heard, float(any(segment.text.strip() for segment in heard.segments))

    def _heard(
        self, audio: BinaryIO, raw_video: RawVideo, language: str | None, pieces: Pieces, progress: Progress
    ) -> Transcript:
        """Window by window, in a language; None for that of the first one with words."""
        expected_s, heard_s = raw_video.info.duration_s, 0.0
        segments: list[Segment] = []
        audible: list[Span] = []
        asked = Asked(translate=raw_video.options.translate, vocabulary=raw_video.options.vocabulary)
        for window in read_windows(audio, WINDOW_S):
            spans = audible_spans(window.samples, RATE_HZ)
            progress(window.start_s / max(expected_s, window.end_s), f"hearing from {window.start_s / 60:.1f} min on")
            if spans:
                heard = self._piece(window, replace(asked, language=language), pieces)
                language = language or heard.language or None
                quiet = pauses(window.samples, RATE_HZ)
                segments += clean_segments(heard.segments, window.start_s, spans, quiet)
            audible += [(window.start_s + start_s, window.start_s + end_s) for start_s, end_s in spans]
            heard_s = window.end_s
            progress(heard_s / max(expected_s, heard_s), f"{heard_s / 60:.1f} min heard")
        numbered = number_segments(segments)
        spoken = language or language_code(raw_video.source.language or "") or ENGLISH
        return Transcript(
            video_id=raw_video.video_id,
            language=ENGLISH if asked.translate else spoken,
            translated_from=spoken if asked.translate and spoken != ENGLISH else None,
            duration_s=round(heard_s, 3),
            audible_s=round(sum(end_s - start_s for start_s, end_s in audible), 3),
            covered_s=covered_s(numbered, audible),
            segments=numbered,
        )

    def _piece(self, window: AudioWindow, asked: Asked, pieces: Pieces) -> Heard:
        """What is heard in a window, by whoever heard it first."""
        if asked.language == ENGLISH:  # there is nothing to translate, and a model need not be able to
            asked = replace(asked, translate=False)
        name = name_of(window.start_s, window.end_s, asked.language)
        return pieces.heard(name, lambda: self.engine.transcribe(window.samples, asked))


def _beside_language(options: Options) -> dict[str, object]:
    """What is asked of hearing that the name of a piece does not tell."""
    return {name: value for name, value in options.speech.items() if name != "language"}


def _as_parameter(value: object) -> str | bool:
    return value if isinstance(value, bool) else ", ".join(value) if isinstance(value, list) else str(value)
