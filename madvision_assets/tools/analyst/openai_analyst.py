"""The analyst behind the OpenAI API, or behind any server that speaks its chat completions with structured outputs."""

from collections.abc import Sequence
from math import ceil

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.selection import clip_limits_s
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst import AnalystDescriptor, AnalystOptions, Progress, Proposal, silent
from madvision_assets.tools.analyst.answers import KindAnswer, MomentsAnswer
from madvision_assets.tools.analyst.openai_session import ENGINE, Endpoint, Session
from madvision_assets.tools.analyst.prices import price_of
from madvision_assets.tools.analyst.prompts import CLASSIFY, PROPOSE, classify_messages, data_block, propose_messages
from madvision_assets.tools.analyst.windows import estimated_tokens, spread_sample, windows_of

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_TIMEOUT_S = 180.0
# A transcript of more tokens is read in windows: models answer worse long before their context is full.
ONE_READ_TOKENS = 60_000
# The kind of a long video shows in samples: so many runs of so many segments.
SAMPLE_RUNS, SAMPLE_RUN_LENGTH = 12, 25
# More moments than clips are asked for, so that the selection has a choice; and a few of every window.
PROPOSED_PER_CLIP = 1.5
MIN_PROPOSED_PER_WINDOW = 3


class OpenAIAnalyst:
    """See ``Analyst``.

    Args:
        api_key: sent as a bearer token and written nowhere.
        base_url: of the API; None is OpenAI's own.
        model: must offer structured outputs.
        timeout_s: of one request; each of the SDK's own retries has as long again.
        max_retries: of the SDK, on lost connections, 408, 409, 429 and 5xx; nothing is retried on top of them.
        one_read_tokens: a longer transcript is read in windows.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        model: str = "gpt-4o",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_retries: int = 2,
        one_read_tokens: int = ONE_READ_TOKENS,
    ) -> None:
        self._endpoint = Endpoint(api_key, base_url or DEFAULT_BASE_URL, model, timeout_s, max_retries)
        self._one_read_tokens = one_read_tokens

    def classify(
        self,
        transcript: Transcript,
        source: SourceMetadata,
        progress: Progress | None = None,
    ) -> Made[ContentType]:
        """See ``Analyst``; a long video is judged by samples that are spread over it."""
        if transcript.no_speech:
            return _nobody_speaks(transcript)
        (progress or silent)(0.0, f"Asking {self._endpoint.model} for the kind")
        sample = spread_sample(transcript.segments, SAMPLE_RUNS, SAMPLE_RUN_LENGTH)
        with Session(self._endpoint) as session:
            answer = session.ask(classify_messages(data_block(source, sample)), KindAnswer)
            recipe = session.recipe(CLASSIFY, KindAnswer)
        document = ContentType(
            video_id=transcript.video_id,
            kind=answer.kind,
            confidence=answer.confidence,
            reason=answer.reason.strip(),
            topics=answer.clean_topics(),
        )
        return Made(document, recipe)

    def propose(
        self,
        transcript: Transcript,
        kind: ContentKind,
        source: SourceMetadata,
        options: Options,
        progress: Progress | None = None,
    ) -> Proposal:
        """See ``Analyst``; a window that fails fails the call, or its moments would be missing without a word."""
        if transcript.no_speech:
            return Proposal((), provisional=False, recipe=Recipe(engine=ENGINE))
        windows = self._windows(transcript.segments, source)
        count = max(MIN_PROPOSED_PER_WINDOW, ceil(PROPOSED_PER_CLIP * options.max_clips / len(windows)))
        per_clip = _segments_per_clip(transcript.segments, options)
        moments: list[Moment] = []
        with Session(self._endpoint) as session:
            for n, window in enumerate(windows):
                message = f"Asking {self._endpoint.model} for moments ({n + 1} of {len(windows)})"
                (progress or silent)(n / len(windows), message)
                messages = propose_messages(data_block(source, window), kind, count, per_clip)
                moments.extend(found.moment() for found in session.ask(messages, MomentsAnswer).moments)
            recipe = session.recipe(PROPOSE, MomentsAnswer)
        return Proposal(tuple(moments), provisional=False, recipe=recipe)

    def check(self) -> str:
        """See ``Analyst``; asks the API for the model, which costs nothing."""
        with Session(self._endpoint) as session:
            return f"{session.model_name()} at {self._endpoint.base_url}"

    def _windows(self, segments: Sequence[Segment], source: SourceMetadata) -> list[Sequence[Segment]]:
        if estimated_tokens(data_block(source, segments)) <= self._one_read_tokens:
            return [segments]
        return windows_of(segments)


def _nobody_speaks(transcript: Transcript) -> Made[ContentType]:
    document = ContentType(
        video_id=transcript.video_id,
        kind=ContentKind.OTHER,
        confidence=Confidence.LOW,
        reason="Nobody speaks in it.",
    )
    return Made(document, Recipe(engine=ENGINE))


def _segments_per_clip(segments: Sequence[Segment], options: Options) -> tuple[int, int]:
    """Fewest and most segments of a clip at this video's pace, pauses included."""
    segments_per_s = len(segments) / max(1.0, segments[-1].end_s - segments[0].start_s)
    shortest_s, longest_s = clip_limits_s(options)
    fewest = max(1, ceil(shortest_s * segments_per_s))
    return fewest, max(fewest, int(longest_s * segments_per_s))


def _made(options: AnalystOptions) -> OpenAIAnalyst:
    return OpenAIAnalyst(options.api_key, options.base_url, options.model)


DESCRIPTOR = AnalystDescriptor(
    name=ENGINE,
    make=_made,
    needs_key=True,
    price_known=lambda options: price_of(options.model) is not None,
)
