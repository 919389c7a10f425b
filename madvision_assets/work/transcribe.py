"""Transcribe: from the audio in the store to what is said, whichever engine hears it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from madvision_assets.domain.documents import Made
from madvision_assets.domain.doubt import doubtful
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.languages import ENGLISH, language_code
from madvision_assets.domain.paying import Books, Desk, NoBooks
from madvision_assets.domain.publisher_captions import compared
from madvision_assets.domain.segments import clean_segments, covered_s, number_segments
from madvision_assets.domain.silence import parts, within
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment, Stretch, Transcript
from madvision_assets.domain.video import Options, RawVideo
from madvision_assets.domain.word_times import Span, overlap_s, united
from madvision_assets.tools.media.audio import RATE_HZ, AudioWindow, audible_spans, faint_spans, pauses, read_windows
from madvision_assets.tools.room import DiskRoom
from madvision_assets.tools.speech import Heard, PaidEngine, SpeechEngine, TellsProgress
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.audio_source import audio_at_hand
from madvision_assets.work.captions import CAPTIONS_PASSED_OVER, captions_of, why_not
from madvision_assets.work.languages import Election, Survey, survey
from madvision_assets.work.ledger import KeptAnswers
from madvision_assets.work.pieces import FOLDER, Pieces, name_of

Progress = Callable[[float, str], None]

WINDOW_S = 600.0  # bounds memory and paces progress; split where it is quietest
IDLE_MS = "idle_ms"  # in the usage: how long the last try held its place while no engine worked, milliseconds
LEAST_SKIPPED_S = 0.1  # less is only rounded


@dataclass(frozen=True)
class Transcriber:
    """Turns a video's audio into its transcript.

    Args:
        store: where the audio is.
        engine: who hears the words.
        books: where its calls are accounted for, where they are paid.
        prefer_captions: take what a publisher's captions say, where there are any, and hear nothing.
        room: on the disk, for a copy of the audio; None promises none.
    """

    store: ObjectStore
    engine: SpeechEngine
    books: Books = field(default_factory=NoBooks)
    prefer_captions: bool = False
    room: DiskRoom | None = None

    def transcribe(self, raw_video: RawVideo, folder: Path, progress: Progress) -> Made[Transcript]:
        """What is said in a video; the engine is not asked where there is no sound, and for no piece twice.

        Args:
            raw_video: names the audio.
            folder: scratch; the audio lies there meanwhile, where the store is no folder.
            progress: gets a fraction from 0 to 1 and a few words.

        Raises:
            Failure: of the engine, of the audio, of the store, or of the disk.
        """
        started_s, fetching = time.monotonic(), partial(_fetching, progress)
        captions, passed_over = captions_of(self.store, raw_video), ""
        options, engine = raw_video.options, self._accounted(raw_video.video_id)
        pieces = Pieces(self.store, raw_video.video_id, raw_video.audio, engine, _beside_language(options))
        usual = language_code(raw_video.source.language or "")
        with audio_at_hand(self.store, raw_video.audio, folder, self.room, fetching) as audio:
            if captions is not None and self.prefer_captions and captions.answer(options):
                made = captions.made(audio, raw_video, WINDOW_S)
                passed_over = why_not(made.document)
                if not passed_over:
                    return made
            found = survey(audio, Election(engine, usual), options.language, pieces, WINDOW_S, fetching)
            document = self._heard(audio, raw_video, found, pieces, progress)
        if captions is not None:
            reference = compared(document, captions.told, captions.language)
            document = document.model_copy(update={"reference": reference})
        recipe = engine.recipe()
        asked = {name: _as_parameter(value) for name, value in options.speech.items()}
        if passed_over:
            asked[CAPTIONS_PASSED_OVER] = passed_over
        idle_ms = round(1000 * max(0.0, time.monotonic() - started_s - pieces.here_s))
        paid = {"cost_usd": pieces.cost_usd, "usage": {**pieces.usage, IDLE_MS: idle_ms}}
        return Made(document, recipe.model_copy(update={"parameters": {**recipe.parameters, **asked}, **paid}))

    def _accounted(self, video_id: str) -> SpeechEngine:
        """The engine, whose requests for the video stand in the books where they are paid."""
        if not isinstance(self.engine, PaidEngine):
            return self.engine
        desk = Desk(self.books, KeptAnswers(self.store, FOLDER))  # they go with the pieces
        return self.engine.accounted(desk, video_id, PipelineStep.TRANSCRIPT.value)

    def _heard(
        self, audio: BinaryIO, raw_video: RawVideo, found: Survey, pieces: Pieces, progress: Progress
    ) -> Transcript:
        """Part by part, each in its language; None for that of the first one with words."""
        asked = Asked(translate=raw_video.options.translate, vocabulary=raw_video.options.vocabulary)
        hearing = _Hearing(pieces.engine, asked, pieces, _Course(found.audible_s, progress))
        for window in read_windows(audio, WINDOW_S):
            hearing.hear(window, found)
        numbered = number_segments(hearing.segments)
        spoken = _most(numbered) or hearing.language or language_code(raw_video.source.language or "") or ENGLISH
        return Transcript(
            video_id=raw_video.video_id,
            language=ENGLISH if asked.translate else spoken,
            translated_from=spoken if asked.translate and spoken != ENGLISH else None,
            duration_s=round(hearing.heard_s, 3),
            audible_s=round(sum(end_s - start_s for start_s, end_s in hearing.audible), 3),
            covered_s=covered_s(numbered, hearing.audible),
            segments=tuple(_told(segment, "" if asked.translate else spoken) for segment in numbered),
            skipped=tuple(Stretch(start_s=round(a, 3), end_s=round(b, 3)) for a, b in hearing.skipped()),
            doubtful=doubtful(numbered),
        )


@dataclass
class _Course:
    """How far it is: seconds of sound that are heard, of all that there are."""

    audible_s: float
    progress: Progress
    done_s: float = 0.0

    def tell(self, more_s: float) -> None:
        """So much of a part is heard beside all parts before it."""
        at_s = min(self.audible_s, self.done_s + more_s)
        said = f"{at_s / 60:.1f} of {self.audible_s / 60:.1f} min of sound heard"
        self.progress(round(at_s / self.audible_s, 6) if self.audible_s else 1.0, said)


@dataclass
class _Hearing:
    """One audio under way: what is heard of it so far."""

    engine: SpeechEngine
    asked: Asked
    pieces: Pieces
    course: _Course
    language: str | None = None
    segments: list[Segment] = field(default_factory=list)
    audible: list[Span] = field(default_factory=list)
    given: list[Span] = field(default_factory=list)
    heard_s: float = 0.0

    def hear(self, window: AudioWindow, found: Survey) -> None:
        """A window, whose longer silences are left out, in as many parts as it has languages."""
        spans = audible_spans(window.samples, RATE_HZ)
        faint = faint_spans(window.samples, RATE_HZ, spans) if spans else []  # nothing is hidden by silence
        for start_s, end_s, language in found.inside(window.start_s, window.end_s):
            inside = (start_s - window.start_s, end_s - window.start_s)
            for from_s, until_s in parts(inside, united(spans, faint)):
                first, last = round(from_s * RATE_HZ), round(until_s * RATE_HZ)
                part = AudioWindow(window.start_s + first / RATE_HZ, window.samples[first:last])
                sound, hidden = (within((from_s, until_s), each) for each in (spans, faint))
                self._hear_part(part, sound, hidden, language or self.language)
        self.audible += [(window.start_s + start_s, window.start_s + end_s) for start_s, end_s in spans]
        self.heard_s = window.end_s
        self.course.tell(0.0)

    def skipped(self) -> list[Span]:
        """What no engine was given."""
        edges = [0.0, *(time_s for span in self.given for time_s in span), self.heard_s]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(from_s, until_s) for from_s, until_s in pairs if until_s - from_s >= LEAST_SKIPPED_S]

    def _hear_part(self, part: AudioWindow, spans: Sequence[Span], faint: Sequence[Span], language: str | None) -> None:
        heard = self._piece(part, replace(self.asked, language=language), spans)
        self.language = self.language or heard.language or language
        quiet = pauses(part.samples, RATE_HZ)
        said = language or heard.language
        made = clean_segments(heard.segments, part.start_s, spans, quiet, faint)
        self.segments += [segment.model_copy(update={"language": said}) for segment in made]
        self.given.append((part.start_s, part.end_s))
        self.course.done_s += sum(end_s - start_s for start_s, end_s in spans)

    def _piece(self, part: AudioWindow, asked: Asked, spans: Sequence[Span]) -> Heard:
        """What is heard in a part, by whoever heard it first."""
        if asked.language == ENGLISH:  # there is nothing to translate, and a model need not be able to
            asked = replace(asked, translate=False)
        name = name_of(part.start_s, part.end_s, asked.language)
        return self.pieces.heard(name, lambda: self._by_engine(part, asked, spans))

    def _by_engine(self, part: AudioWindow, asked: Asked, spans: Sequence[Span]) -> Heard:
        def tell(done_s: float) -> None:
            self.course.tell(overlap_s((0.0, done_s), spans))

        tell(0.0)
        started_s = time.monotonic()
        if isinstance(self.engine, TellsProgress):
            heard = self.engine.transcribe_telling(part.samples, asked, tell)
        else:
            heard = self.engine.transcribe(part.samples, asked)
        return replace(heard, took_s=round(time.monotonic() - started_s, 3))


def _most(segments: Sequence[Segment]) -> str:
    """The language of most of what is said; empty where nobody told any."""
    spoken = Counter[str]()
    for segment in segments:
        if segment.language:
            spoken[segment.language] += round(1000 * (segment.end_s - segment.start_s))
    return max(spoken, key=lambda each: spoken[each], default="")


def _told(segment: Segment, usual: str) -> Segment:
    """The segment, with its language where that is another than the usual one, which is empty in a translation."""
    language = segment.language if usual and segment.language != usual else ""
    return segment.model_copy(update={"language": language})


def _fetching(progress: Progress, share: float, text: str) -> None:
    progress(0.0, f"{text}: {share:.0%}")


def _beside_language(options: Options) -> dict[str, object]:
    """What is asked of hearing that the name of a piece does not tell."""
    return {name: value for name, value in options.speech.items() if name != "language"}


def _as_parameter(value: object) -> str | bool:
    return value if isinstance(value, bool) else ", ".join(value) if isinstance(value, list) else str(value)
