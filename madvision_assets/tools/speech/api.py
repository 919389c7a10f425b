"""Speech behind an API: OpenAI's, or any server that speaks its ``/v1/audio/transcriptions``.

Sound leaves this machine as FLAC, in files under the API's limit, cut where it is quiet. A model that gives no times at
all (``gpt-4o-transcribe``) is sent a few seconds at once, so that what it says has a place.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from madvision_assets.domain.failures import SpeechApiMisconfiguredError, TranslationUnavailableError
from madvision_assets.domain.heard import Asked, HeardSegment, HeardWord
from madvision_assets.domain.paying import Desk
from madvision_assets.domain.provenance import Recipe
from madvision_assets.tools.speech import Device, EngineDescriptor, Heard, SpeechEngine, Tell
from madvision_assets.tools.speech.api_answers import Answer
from madvision_assets.tools.speech.api_prices import AS_OF, SHUT_DOWN_ON, billed_s, cost_usd, usd_per_minute
from madvision_assets.tools.speech.api_session import Account, Detail, Endpoint, Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENGINE = "api"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "whisper-1"
DEFAULT_TIMEOUT_S = 900.0  # a server on a CPU takes minutes for ten minutes of sound
RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2
# OpenAI takes 25 MB; FLAC is smaller than the samples it is made of, but for its head.
MAX_FILE_BYTES, HEAD_BYTES = 25_000_000, 20_000
# Of a model without times; longer ones misplace words, shorter ones tear sentences apart.
UNTIMED_S = 20.0
# Cut in the quietest fifth of a second of so much at a file's end; and of it at most half.
SEARCH_S, QUIET_S = 30.0, 0.2
# Below it there is nothing to send: a model without times makes words of it.
SILENT = 0.003
# They are known to give text alone, or no translations.
TEXT_ONLY, NO_TRANSLATIONS = ("gpt-4o-transcribe", "gpt-4o-mini-transcribe"), ("gpt-",)
MAX_NAMED = 8


@dataclass(frozen=True)
class SpeechApi:
    """The engine ``api``.

    Args:
        model: its name, as the server has it.
        api_key: sent as a bearer token and written nowhere.
        base_url: of the API; None is OpenAI's own.
        max_file_bytes: no file that is sent is larger.
        timeout_s: of one request; after so long nothing is tried again within seconds.
        max_retries: on lost connections, 408, 409, 429 and 5xx, within seconds; the SDK's own are off.
        account: for whom it hears, and who pays.
        learnt: how much of an answer the model is known to give, by whether a translation is asked for.
    """

    model: str
    api_key: str = field(repr=False)
    base_url: str | None = None
    max_file_bytes: int = MAX_FILE_BYTES
    timeout_s: float = DEFAULT_TIMEOUT_S
    max_retries: int = 2
    account: Account = field(default_factory=Account, repr=False)
    learnt: dict[bool, Detail] = field(default_factory=dict, repr=False, compare=False)

    def prepare(self, tell: Tell) -> None:
        """See ``SpeechEngine``; there is nothing to fetch."""

    def transcribe(self, samples: "NDArray[np.float32]", asked: Asked) -> Heard:
        """See ``SpeechEngine``."""
        if asked.translate and self.model.startswith(NO_TRANSLATIONS):
            raise TranslationUnavailableError(f"the model is {self.model}")
        with Session(self._endpoint, self.account) as session:
            parts = list(self._heard(samples, asked, session))
        usage = Counter[str]()
        for part in parts:
            usage.update(part.usage)
        told = "" if asked.translate else next((part.language for part in parts if part.language), "")  # else English
        return Heard(
            language=told or asked.language or "",
            segments=tuple(segment for part in parts for segment in part.segments),
            cost_usd=cost_usd(usage["audio_s"], self._price),
            usage=dict(usage),
        )

    def check(self) -> tuple[bool, str]:
        """See ``SpeechEngine``; costs nothing."""
        with Session(self._endpoint) as session:
            names = session.model_names()
        if names is None:
            return False, f"{self._host} lists no models; whether it has {self.model}, the first transcript tells"
        if self.model not in names:
            speech = [name for name in names if "whisper" in name or "transcribe" in name] or names
            there = ", ".join(sorted(speech)[:MAX_NAMED]) or "none"
            raise SpeechApiMisconfiguredError(f"{self._host} has no model {self.model!r}; it has {there}")
        paid = "at a price that is not known" if self._price is None else f"{self._price:g} USD a minute ({AS_OF})"
        ends = SHUT_DOWN_ON.get(self.model) if self._price is not None else None
        told = f"{self.model} of {self._host}, {paid}, by {ENGINE}"
        return True, f"{told}; OpenAI shuts it down on {ends}" if ends else told

    def recipe(self) -> Recipe:
        """See ``SpeechEngine``; what it cost is told of each piece."""
        import openai

        return Recipe(
            engine=ENGINE,
            engine_version=openai.__version__,
            model=self.model,
            parameters={"server": self._host, "temperature": 0, "price_known": self._price is not None},
        )

    def accounted(self, desk: Desk, video_id: str, step: str) -> SpeechEngine:
        """See ``PaidEngine``."""
        return replace(self, account=Account(desk, video_id, step))

    @property
    def _endpoint(self) -> Endpoint:
        base_url = self.base_url or DEFAULT_BASE_URL
        return Endpoint(self.api_key, base_url, self.model, self.timeout_s, self.max_retries, self._price)

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url or DEFAULT_BASE_URL).hostname or ""

    @property
    def _price(self) -> float | None:
        return usd_per_minute(self.model, self._host)

    def _heard(self, samples: "NDArray[np.float32]", asked: Asked, session: Session) -> Iterator[Heard]:
        """What is heard in the window, file by file."""
        for first, last in cuts(samples, (self.max_file_bytes - HEAD_BYTES) / (BYTES_PER_SAMPLE * RATE_HZ)):
            yield from self._of_file(samples[first:last], first / RATE_HZ, asked, session)

    def _of_file(
        self, samples: "NDArray[np.float32]", offset_s: float, asked: Asked, session: Session
    ) -> Iterator[Heard]:
        """Of one file; where its answer has no times, of short ones in its place."""
        length_s = len(samples) / RATE_HZ
        detail = self._detail(asked)
        if detail is not Detail.TEXT or length_s <= UNTIMED_S:
            file = flac_of(samples)
            answer, self.learnt[asked.translate] = session.hear(file, billed_s(length_s), asked, detail)
            heard = self._placed(answer, offset_s, length_s)
            if answer.has_times or length_s <= UNTIMED_S:
                yield heard
                return
            self.learnt[asked.translate] = Detail.TEXT
            yield Heard(heard.language, (), usage=heard.usage)  # it is paid for all the same
        for first, last in cuts(samples, UNTIMED_S):
            part = samples[first:last]
            if abs(part).max(initial=0.0) > SILENT:
                yield from self._of_file(part, offset_s + first / RATE_HZ, asked, session)

    def _detail(self, asked: Asked) -> Detail:
        """The most that is known to be had of the model."""
        usual = Detail.TEXT if self.model.startswith(TEXT_ONLY) else Detail.WORDS
        return self.learnt.get(asked.translate, usual)

    def _placed(self, answer: Answer, offset_s: float, length_s: float) -> Heard:
        segments = tuple(_moved(segment, offset_s) for segment in answer.stretches(length_s))
        return Heard(answer.language_code, segments, usage={"requests": 1, "audio_s": billed_s(length_s)})


def cuts(samples: "NDArray[np.float32]", longest_s: float) -> Iterator[tuple[int, int]]:
    """First and last sample of parts that are no longer, cut in the middle of the quietest moment before their end."""
    import numpy as np

    longest, frame = int(longest_s * RATE_HZ), round(QUIET_S * RATE_HZ)
    at = 0
    while len(samples) - at > longest:
        search = min(round(SEARCH_S * RATE_HZ), longest // 2) // frame * frame
        tail = samples[at + longest - search : at + longest].reshape(-1, frame)
        quietest = int(np.argmin(np.mean(np.square(tail), axis=1))) if search else 0
        end = at + longest - search + quietest * frame + frame // 2 if search else at + longest
        yield at, end
        at = end
    if at < len(samples):
        yield at, len(samples)


def flac_of(samples: "NDArray[np.float32]") -> bytes:
    """The samples as a FLAC file of 16 bits."""
    import av
    import numpy as np

    whole = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    out = BytesIO()
    with av.open(out, "w", format="flac") as container:
        stream: Any = container.add_stream("flac", rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = 0
        for each in (frame, None):
            container.mux(stream.encode(each))
    return out.getvalue()


def _moved(segment: HeardSegment, offset_s: float) -> HeardSegment:
    words = tuple(
        HeardWord(word.text, word.start_s + offset_s, word.end_s + offset_s, word.probability, word.estimated)
        for word in segment.words
    )
    bounds = (segment.start_s + offset_s, segment.end_s + offset_s)
    return HeardSegment(segment.text, *bounds, words, segment.probability)


DESCRIPTOR = EngineDescriptor(
    name=ENGINE,
    make=lambda options: SpeechApi(options.model, options.api_key, options.base_url),
    extra="pipeline",
    devices=(Device.CPU,),
    models=f"one that the server at OPENAI_BASE_URL has, by default {DEFAULT_MODEL}; it needs OPENAI_API_KEY",
    default_model=DEFAULT_MODEL,
)
