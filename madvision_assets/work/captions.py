"""A publisher's captions: read for comparison, or taken for the transcript where an operator prefers them."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from madvision_assets.domain.documents import Made
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.languages import ENGLISH, is_language, language_tag
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.publisher_captions import transcript_of
from madvision_assets.domain.subtitles import BadSubtitlesError, Subtitles, read_subtitles
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.transcript_forms import Form
from madvision_assets.domain.video import Options, RawVideo
from madvision_assets.domain.word_times import Span
from madvision_assets.tools.media.audio import RATE_HZ, audible_spans, read_windows
from madvision_assets.tools.store.objects import ObjectStore

# Engine and model, as lineage and page name them.
ENGINE = "publisher-captions"
# In the parameters of a transcript: why captions that are preferred were not taken.
CAPTIONS_PASSED_OVER = "captions_passed_over"
# Captions that have less of the sound tell of something else: of music, of who made them, of the beginning alone.
LEAST_COVERED_SHARE = 0.5


@dataclass(frozen=True)
class Captions:
    """Captions that can be read.

    Attributes:
        told: what they say.
        language: of them, as the source has it; empty where it does not say.
        sha256: of their file.
        form: of it.
    """

    told: Subtitles
    language: str
    sha256: str
    form: Form

    def answer(self, options: Options) -> bool:
        """Whether they are what a submitter asks for: not translated, in the language that he names."""
        return not options.translate and (not options.language or is_language(self.language, options.language))

    def made(self, audio: BinaryIO, raw_video: RawVideo, window_s: float) -> Made[Transcript]:
        """The transcript that they are, their words laid over the sound.

        Args:
            audio: what ``extract_flac`` wrote; seekable.
            raw_video: whose captions they are.
            window_s: how much sound to hold at once, seconds.

        Raises:
            Failure: of the audio.
        """
        audible: list[Span] = []
        heard_s = 0.0
        for window in read_windows(audio, window_s):
            spans = audible_spans(window.samples, RATE_HZ)
            audible += [(window.start_s + start_s, window.start_s + end_s) for start_s, end_s in spans]
            heard_s = window.end_s
        spoken = [self.language, raw_video.options.language or "", raw_video.source.language or ""]
        language = next(filter(None, map(language_tag, spoken)), ENGLISH)
        document = transcript_of(raw_video.video_id, self.told, language, heard_s, audible)
        parameters = {"file_sha256": self.sha256, "form": self.form.value, "language": self.language}
        return Made(document, Recipe(engine=ENGINE, model=ENGINE, parameters=dict(parameters)))


def why_not(document: Transcript) -> str:
    """Why captions are not all that is said, in a few words; empty where they may be."""
    if document.no_speech:
        return "they say no word"
    if document.covered_s < LEAST_COVERED_SHARE * document.audible_s:
        return f"they have {document.covered_s:.0f} s of {document.audible_s:.0f} s of sound"
    return ""


def captions_of(store: ObjectStore, raw_video: RawVideo) -> Captions | None:
    """The publisher's captions of a video; None without any, and where they cannot be fetched or read."""
    kept = raw_video.captions
    if kept is None:
        return None
    try:
        form = Form(PurePosixPath(kept.file.key).suffix.removeprefix("."))
        told = read_subtitles(store.get_bytes(kept.file.key), form, raw_video.info.duration_s)
    except (BadSubtitlesError, Failure, ValueError):
        return None
    return Captions(told, kept.language, kept.file.sha256, form)
