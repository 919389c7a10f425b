"""The analyst behind the OpenAI API, or behind any server that speaks its chat completions."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

from madvision_assets.domain.clips import FailedWindow, Moment, RejectedMoment
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.failures import AnalystMisconfiguredError
from madvision_assets.domain.paying import Desk
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.selection import clip_limits_s
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst import AnalystDescriptor, AnalystOptions, Progress, Proposal, silent
from madvision_assets.tools.analyst.answers import Answer, KindAnswer, MomentsAnswer, RankAnswer
from madvision_assets.tools.analyst.models import Models
from madvision_assets.tools.analyst.openai_client import Endpoint
from madvision_assets.tools.analyst.openai_session import ENGINE, SAFE_SHARE, Question, Session
from madvision_assets.tools.analyst.prompts import CLASSIFY, PROPOSE, RANK, Prompt, transcript_block
from madvision_assets.tools.analyst.ranking import ranked
from madvision_assets.tools.analyst.reading import MIN_PROPOSED, Reader, most_moments, room_of
from madvision_assets.tools.analyst.tokens import estimated_tokens
from madvision_assets.tools.analyst.windows import spread_sample, windows_of

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_DEADLINE_S = 180.0
CONTENT_TYPE, CLIP_CANDIDATES = "content_type", "clip_candidates"
# How else servers list a model that may be asked for by its name alone: Ollama, Gemini.
LISTED_AS = ("{}:latest", "models/{}")
# Hosts that list what can be deployed, and are asked for deployments, which are named freely.
LISTING_OTHERS = ".azure.com"
# What each stage asks; the hash of all that is asked is part of what its document was made from.
ASKED: Mapping[str, tuple[tuple[Prompt, type[Answer]], ...]] = {
    CONTENT_TYPE: ((CLASSIFY, KindAnswer),),
    CLIP_CANDIDATES: ((PROPOSE, MomentsAnswer), (RANK, RankAnswer)),
}
INSTRUCTION_TOKENS = 1_500
KIND_TOKENS = 512
# The kind of a long video shows in samples: so many runs of so many segments.
SAMPLE_RUNS, SAMPLE_RUN_LENGTH = 12, 25
# More moments than clips are asked for, so that the selection has a choice.
PROPOSED_PER_CLIP = 1.5


class OpenAIAnalyst:
    """See ``Analyst``.

    Args:
        api_key: sent as a bearer token and written nowhere.
        base_url: of the API; None is OpenAI's own.
        model: any that ``models.toml`` or the operator's file knows, or another.
        deadline_s: of one question, with all tries.
        max_retries: within seconds, on lost connections, 408, 409, 429 and 5xx.
        models_file: the operator's; None for none.
        desk: where calls are accounted for, and answers kept.
        most_tokens: a transcript of more is read in windows; None is what the model's context has room for.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        model: str = "gpt-4o",
        *,
        deadline_s: float = DEFAULT_DEADLINE_S,
        max_retries: int = 2,
        models_file: Path | None = None,
        desk: Desk | None = None,
        most_tokens: int | None = None,
    ) -> None:
        self._endpoint = Endpoint(api_key, base_url or DEFAULT_BASE_URL, model, deadline_s, max_retries)
        self._models_file = models_file
        self._desk = desk or Desk()
        self._most_tokens = most_tokens

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
        most = self._room_for(KIND_TOKENS)
        sample = spread_sample(transcript.segments, SAMPLE_RUNS, SAMPLE_RUN_LENGTH)
        while _tokens_of_all(sample) > most and len(sample) > 1:
            sample = spread_sample(sample, SAMPLE_RUNS, max(1, len(sample) // (2 * SAMPLE_RUNS)))[: len(sample) - 1]
        question = Question(CLASSIFY, CLASSIFY.messages(transcript_block(source, sample)), KindAnswer, KIND_TOKENS)
        with self._session(transcript.video_id, CONTENT_TYPE) as session:
            answer = session.ask(question, KindAnswer.understood)
            recipe = _recipe(session, CONTENT_TYPE)
        document = ContentType(
            video_id=transcript.video_id,
            kind=answer.kind,
            confidence=answer.confidence,
            reason=answer.clean_reason,
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
        """See ``Analyst``; a window that cannot be read is told with its cause, and those of the others stand."""
        if transcript.no_speech:
            return Proposal((), provisional=False, recipe=Recipe(engine=ENGINE))
        windows = self._windows(transcript.segments, source, options)
        count = self._count(options, len(windows))
        per_clip = _segments_per_clip(transcript.segments, options)
        with self._session(transcript.video_id, CLIP_CANDIDATES) as session:
            reader = Reader(session, source, kind, count, per_clip, options)
            for n, window in enumerate(windows):
                message = f"Asking {self._endpoint.model} for moments ({n + 1} of {len(windows)})"
                (progress or silent)(n / (len(windows) + 1), message)
                reader.read(window)
            moments: Sequence[Moment] = reader.moments_or_failure()
            if len(windows) > 1:
                (progress or silent)(len(windows) / (len(windows) + 1), "Comparing what was found in its parts")
                moments = ranked(session, source, kind, transcript, moments)
            recipe = _recipe(session, CLIP_CANDIDATES)
        rejected: tuple[RejectedMoment, ...] = tuple(reader.rejected)
        failed: tuple[FailedWindow, ...] = tuple(reader.failed)
        return Proposal(tuple(moments), provisional=False, recipe=recipe, rejected=rejected, failed=failed)

    def check(self) -> tuple[bool, str]:
        """See ``Analyst``; asks the API for its models, which costs nothing."""
        with self._session("", "") as session:
            names = session.model_names()
        name, base_url = self._endpoint.model, self._endpoint.base_url
        unlisted = None
        if names and not {name, *(each.format(name) for each in LISTED_AS)} & set(names):
            if not (urlsplit(base_url).hostname or "").endswith(LISTING_OTHERS):
                raise AnalystMisconfiguredError(f"{base_url} offers no model {name!r}")
            unlisted = "it is not among the models listed there, where deployments have names of their own"
        warning = self._models.family_of(name).warning(datetime.now(UTC).date())
        told = "; ".join(filter(None, (f"{name} at {base_url}", self._desk.books.told, unlisted, warning)))
        return warning is None and unlisted is None, told

    def fingerprint(self, step: str) -> str:
        """See ``Analyst``: the prompts, the form of the answers, and the family of the model."""
        family = self._models.family_of(self._endpoint.model)
        return hashlib.sha256(f"{prompt_hash(step)} {sorted(family.names)}".encode()).hexdigest()

    @cached_property
    def _models(self) -> Models:
        return Models(self._models_file)

    def _session(self, video_id: str, step: str) -> Session:
        return Session(self._endpoint, self._models, self._desk, video_id, step)

    def _room_for(self, answer: int) -> int:
        """Tokens of a transcript that fit a request, beside its answer."""
        family = self._models.family_of(self._endpoint.model)
        fits = max(500, int(SAFE_SHARE * (family.context - answer)) - INSTRUCTION_TOKENS)
        return min(fits, self._most_tokens or fits)

    def _windows(
        self, segments: Sequence[Segment], source: SourceMetadata, options: Options
    ) -> list[Sequence[Segment]]:
        about = estimated_tokens(transcript_block(source, segments[:0], options.topic))
        most = max(200, self._room_for(room_of(self._count(options, 1))) - about)
        return windows_of(segments, min(most, self._share(segments, options)), _tokens_of)

    def _share(self, segments: Sequence[Segment], options: Options) -> int:
        """Tokens of a window, where one answer has no room for all the moments that are asked for."""
        fewest, _ = _segments_per_clip(segments, options)
        wanted = min(_wanted(options), max(1, len(segments) // fewest))
        return ceil(_tokens_of_all(segments) / ceil(wanted / self._most_moments))

    def _count(self, options: Options, windows: int) -> int:
        """Moments that are asked for in each of so many windows; a few, at least."""
        return min(self._most_moments, max(MIN_PROPOSED, ceil(_wanted(options) / windows)))

    @property
    def _most_moments(self) -> int:
        return most_moments(self._models.family_of(self._endpoint.model).output)


def _wanted(options: Options) -> int:
    return ceil(PROPOSED_PER_CLIP * options.max_clips)


def _tokens_of(segment: Segment) -> int:
    """Of the line that quotes it."""
    return estimated_tokens(segment.text) + 12


def _tokens_of_all(segments: Sequence[Segment]) -> int:
    return sum(map(_tokens_of, segments))


def prompt_hash(step: str, instead: Prompt | None = None) -> str:
    """The sha256 (hex) of all that a stage asks, with a prompt in place of the one of its name."""
    asked = ((instead if instead and instead.name == prompt.name else prompt, form) for prompt, form in ASKED[step])
    hashes = [prompt.hash_with(form.model_json_schema()) for prompt, form in asked]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _recipe(session: Session, step: str) -> Recipe:
    version = "+".join(prompt.version for prompt, _ in ASKED[step])
    return session.recipe(version, prompt_hash(step))


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


def _made(options: AnalystOptions, desk: Desk) -> OpenAIAnalyst:
    return OpenAIAnalyst(
        options.api_key,
        options.base_url,
        options.model,
        deadline_s=options.deadline_s,
        models_file=options.models_file,
        desk=desk,
    )


DESCRIPTOR = AnalystDescriptor(
    name=ENGINE,
    make=_made,
    needs_key=True,
    price_known=lambda options: Models(options.models_file).price_of(options.model) is not None,
)
