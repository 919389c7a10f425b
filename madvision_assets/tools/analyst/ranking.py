"""Moments out of different windows made comparable: one call ranks all of them."""

from collections.abc import Sequence

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.content_type import ContentKind
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.selection import WEAK_BELOW
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import SourceMetadata
from madvision_assets.tools.analyst.answers import RankAnswer
from madvision_assets.tools.analyst.openai_session import Question, Session
from madvision_assets.tools.analyst.prompts import RANK, data_block
from madvision_assets.tools.analyst.reading import OF_ONE_WINDOW

# So many moments are compared at most, the best by their own scores: lists that are longer are ranked badly.
MAX_COMPARED = 60
MAX_LINE_CHARS = 240
TOKENS_PER_NUMBER, TOKENS_OF_AN_ANSWER = 6, 100


def ranked(
    session: Session, source: SourceMetadata, kind: ContentKind, transcript: Transcript, moments: Sequence[Moment]
) -> Sequence[Moment]:
    """The moments with scores by rank; as they are where there is nothing to compare, or no usable answer.

    Weak ones are not compared, and stay weak.
    """
    strong = sorted((each for each in moments if each.score >= WEAK_BELOW), key=lambda each: -each.score)
    compared, others = strong[:MAX_COMPARED], [each for each in moments if each.score < WEAK_BELOW]
    if len(compared) < 2:  # noqa: PLR2004 - nothing to compare
        return moments
    said = {segment.id: segment.text for segment in transcript.segments}
    lines = [_line(number, moment, said) for number, moment in enumerate(compared)]
    data = data_block({"title": cleaned(source.title, MAX_LINE_CHARS)}, lines)
    messages = RANK.messages(data, kind=kind.value, count=len(compared))
    room = TOKENS_OF_AN_ANSWER + TOKENS_PER_NUMBER * len(compared)
    try:
        answer = session.ask(Question(RANK, messages, RankAnswer, room), RankAnswer.understood)
    except OF_ONE_WINDOW:
        return moments
    order = [number for number in dict.fromkeys(answer.best_first) if 0 <= number < len(compared)]
    order += [number for number in range(len(compared)) if number not in set(order)]
    rest = strong[MAX_COMPARED:]
    scores = _scores(len(compared) + len(rest))
    in_order = [*(compared[number] for number in order), *rest]
    return [*(m.model_copy(update={"score": s}) for m, s in zip(in_order, scores, strict=True)), *others]


def _scores(count: int) -> list[float]:
    """From 1 down to what is just not weak, evenly."""
    step = (1 - WEAK_BELOW) / count
    return [round(1 - step * position, 4) for position in range(count)]


def _line(number: int, moment: Moment, said: dict[int, str]) -> dict[str, object]:
    first, last = (cleaned(said.get(each, ""), MAX_LINE_CHARS) for each in (moment.first_segment, moment.last_segment))
    quote = cleaned(moment.quote, MAX_LINE_CHARS)
    return {"number": number, "title": moment.title, "quote": quote, "first": first, "last": last}
