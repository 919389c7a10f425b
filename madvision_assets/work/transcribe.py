"""Transcribe: from the audio in the store to what is said, whichever engine hears it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from madvision_assets.domain.documents import Made
from madvision_assets.domain.segments import Span, clean_segments, covered_s, number_segments
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.media.audio import RATE_HZ, audible_spans, read_windows
from madvision_assets.tools.speech import SpeechEngine
from madvision_assets.tools.store.objects import ObjectStore

Progress = Callable[[float, str], None]

WINDOW_S = 600.0  # bounds memory and paces progress; split where it is quietest
DEFAULT_LANGUAGE = "en"  # of a video in which nobody speaks


@dataclass(frozen=True)
class Transcriber:
    """Turns a video's audio into its transcript.

    Args:
        store: where the audio is.
        engine: who hears the words.
    """

    store: ObjectStore
    engine: SpeechEngine

    def transcribe(self, raw_video: RawVideo, progress: Progress) -> Made[Transcript]:
        """What is said in a video; the engine is not asked where there is no sound.

        Args:
            raw_video: names the audio.
            progress: gets a fraction from 0 to 1 and a few words.

        Raises:
            Failure: of the engine, of the audio, or of the store.
        """
        with self.store.open(raw_video.audio.key) as audio:
            document = self._heard(audio, raw_video, progress)
        return Made(document, self.engine.recipe())

    def _heard(self, audio: BinaryIO, raw_video: RawVideo, progress: Progress) -> Transcript:
        """Window by window; the language of the first one with words is that of all."""
        expected_s, heard_s = raw_video.info.duration_s, 0.0
        segments: list[Segment] = []
        audible: list[Span] = []
        language: str | None = None
        for window in read_windows(audio, WINDOW_S):
            spans = audible_spans(window.samples, RATE_HZ)
            progress(window.start_s / max(expected_s, window.end_s), f"hearing from {window.start_s / 60:.1f} min on")
            if spans:
                heard = self.engine.transcribe(window.samples, language)
                language = language or heard.language
                segments += clean_segments(heard.segments, window.start_s, spans)
            audible += [(window.start_s + start_s, window.start_s + end_s) for start_s, end_s in spans]
            heard_s = window.end_s
            progress(heard_s / max(expected_s, heard_s), f"{heard_s / 60:.1f} min heard")
        numbered = number_segments(segments)
        return Transcript(
            video_id=raw_video.video_id,
            language=language or DEFAULT_LANGUAGE,
            duration_s=round(heard_s, 3),
            audible_s=round(sum(end_s - start_s for start_s, end_s in audible), 3),
            covered_s=covered_s(numbered, audible),
            segments=numbered,
        )
