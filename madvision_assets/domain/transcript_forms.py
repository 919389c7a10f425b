"""A transcript as others read it: subtitles for players and editors, text for people, words for programs."""

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum

from madvision_assets.domain.captions import caption_cues, joined_text, to_srt, to_vtt
from madvision_assets.domain.transcript import Segment, Transcript, Word

# A paragraph ends where a speaker pauses so long, and with the first sentence that ends behind so many letters.
PARAGRAPH_PAUSE_S, PARAGRAPH_CHARS = 2.0, 600
IN_JSON = ("video_id", "language", "duration_s", "segments", "skipped", "doubtful")


class Form(StrEnum):
    """The suffix of a file that says what a transcript says."""

    TEXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"

    @property
    def media_type(self) -> str:
        """MIME type."""
        return {
            Form.SRT: "application/x-subrip; charset=utf-8",
            Form.VTT: "text/vtt; charset=utf-8",
            Form.TEXT: "text/plain; charset=utf-8",
            Form.JSON: "application/json",
        }[self]


def rendered(transcript: Transcript, form: Form) -> str:
    """The transcript in a form."""
    if form is Form.TEXT:
        return "".join(f"{paragraph}\n\n" for paragraph in paragraphs(transcript.segments)).removesuffix("\n")
    if form is Form.JSON:
        return to_json(transcript)
    cues = caption_cues(_timed_words(transcript.segments), 0.0, transcript.duration_s)
    return to_srt(cues) if form is Form.SRT else to_vtt(cues)


def paragraphs(segments: Sequence[Segment]) -> Iterator[str]:
    """The text in paragraphs of whole sentences."""
    open_texts: list[str] = []
    for before, segment in zip((None, *segments), segments, strict=False):
        pause_s = segment.start_s - before.end_s if before is not None else 0.0
        if open_texts and (pause_s >= PARAGRAPH_PAUSE_S or sum(map(len, open_texts)) >= PARAGRAPH_CHARS):
            yield joined_text(open_texts)
            open_texts = []
        open_texts.append(segment.text)
    if open_texts:
        yield joined_text(open_texts)


def to_json(transcript: Transcript) -> str:
    """Language, model, sentences and words with their times in seconds; what ``import`` takes back.

    And, where there are any, what is in doubt and the silences that were skipped.
    """
    model = transcript.provenance.model if transcript.provenance else None
    said = transcript.model_dump(mode="json", include=set(IN_JSON))
    return json.dumps({**said, "model": model}, ensure_ascii=False, indent=1) + "\n"


def _timed_words(segments: Sequence[Segment]) -> Iterator[Word]:
    """Every word; those of a segment without times of words share its time by their letters."""
    for segment in segments:
        if segment.words:
            yield from segment.words
            continue
        words = segment.text.split()
        at_s = segment.start_s
        for word in words:
            length_s = (segment.end_s - segment.start_s) * len(word) / sum(map(len, words))
            yield Word(text=word, start_s=at_s, end_s=at_s + length_s)
            at_s += length_s
