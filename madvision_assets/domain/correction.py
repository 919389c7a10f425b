"""A transcript as a person has corrected it: his words, at the times at which they were heard."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from madvision_assets.domain.heard import HeardSegment, HeardWord
from madvision_assets.domain.segments import as_segment
from madvision_assets.domain.sentences import sentences
from madvision_assets.domain.subtitles import BadSubtitlesError, SpokenCue, Subtitles
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.word_alignment import joinable, with_times
from madvision_assets.domain.word_times import overlap_s, rising

# A correction that ends before so much of what was said is one of something else.
LEAST_SHARE = 0.5


def corrected(old: Transcript, told: Subtitles) -> Transcript:
    """The transcript with the text that a person gives.

    A word that was heard keeps its time; others are laid between their neighbours, inside their cue. What a person
    writes down is believed: each word has the probability 1.

    Args:
        old: what was heard.
        told: what is said in truth, of the same video.

    Returns:
        The new transcript, not sealed; the language, unless it is told, and what is audible are those of the old one,
        and what is covered is at most all of that.

    Raises:
        BadSubtitlesError: it is of another video, or of the beginning of this one alone.
    """
    if told.video_id not in {None, old.video_id}:
        raise BadSubtitlesError(f"The file is of the video {told.video_id}, and this one is {old.video_id}.")
    if old.segments and told.cues[-1].end_s < LEAST_SHARE * old.segments[-1].end_s:
        ends_s, spoken_s = told.cues[-1].end_s, old.segments[-1].end_s
        raise BadSubtitlesError(
            f"The file ends after {ends_s:.0f} s, and somebody speaks until {spoken_s:.0f} s: it is of another video, "
            "or of a part of this one."
        )
    known = [HeardWord(word.text, word.start_s, word.end_s) for word in old.words]
    stretches = [HeardSegment(joinable(cue.text), cue.start_s, min(cue.end_s, old.duration_s)) for cue in told.cues]
    spoken = with_times(stretches, known)
    words = iter(rising(word for each in spoken for word in each.words))
    placed = [replace(each, words=tuple(next(words) for _ in each.words)) for each in spoken]
    language = told.language or old.language
    tellers = _tellers(told.cues, old, language)
    # Who speaks, and in which language, ends a sentence as well.
    segments = [
        as_segment(each, 0.0).model_copy(update={"language": spoken_in, "speaker": speaker})
        for (spoken_in, speaker), group in groupby(zip(tellers, placed, strict=True), key=itemgetter(0))
        for each in sentences(stretch for _, stretch in group)
    ]
    return Transcript(
        video_id=old.video_id,
        language=language,
        translated_from=old.translated_from,
        duration_s=old.duration_s,
        audible_s=old.audible_s,
        covered_s=round(min(old.audible_s, sum(each.end_s - each.start_s for each in segments)), 3),
        segments=tuple(each.model_copy(update={"id": n}) for n, each in enumerate(segments)),
    )


def _tellers(cues: Sequence[SpokenCue], old: Transcript, language: str) -> list[tuple[str, str]]:
    """Language and speaker of each cue, as a segment has them: what the file does not tell is what was heard there.

    Args:
        cues: as the file has them.
        old: what was heard; of its segments the one that overlaps most counts.
        language: of the new transcript.
    """
    starts, ends = [each.start_s for each in old.segments], [each.end_s for each in old.segments]
    tellers = []
    for cue in cues:
        near = old.segments[bisect_right(ends, cue.start_s) : bisect_left(starts, cue.end_s)]
        bounds = [(cue.start_s, cue.end_s)]
        heard = max(near, key=lambda each: overlap_s((each.start_s, each.end_s), bounds), default=None)
        usual, usual_speaker = (heard.language, heard.speaker) if heard else ("", "")
        spoken_in = usual if cue.language is None else cue.language
        speaker = usual_speaker if cue.speaker is None else cue.speaker
        tellers.append(("" if spoken_in == language else spoken_in, speaker))
    return tellers
