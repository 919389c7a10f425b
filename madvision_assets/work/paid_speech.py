"""Speech that is paid for, in the books from before it is heard until it is known what it came to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from madvision_assets.domain.failures import Failure, SpeechApiBadAnswerError, SpeechApiUnavailableError
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.paying import Books, Came, Planned
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.media.audio import RATE_HZ
from madvision_assets.tools.speech import Heard, PaidEngine, Tell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A piece of ten minutes, in several files, each with its tries.
LASTS_S = 2 * 3600.0


@dataclass(frozen=True)
class PaidSpeech:
    """See ``SpeechEngine``: another one, whose calls are accounted for.

    Args:
        engine: who hears.
        books: where its calls are accounted for.
        video_id: for whom it hears.
    """

    engine: PaidEngine
    books: Books
    video_id: str

    def prepare(self, tell: Tell) -> None:
        """See ``SpeechEngine``."""
        self.engine.prepare(tell)

    def transcribe(self, samples: "NDArray[np.float32]", asked: Asked) -> Heard:
        """See ``SpeechEngine``; raises also what ``Books.reserve`` does."""
        model = self.engine.recipe().model or ""
        worst_usd = self.engine.worst_usd(len(samples) / RATE_HZ)
        planned = Planned(self.video_id, PipelineStep.TRANSCRIPT.value, model, "", worst_usd, LASTS_S)
        number, came = self.books.reserve(planned), Came(model, doubtful_usd=worst_usd)
        try:
            heard = self.engine.transcribe(samples, asked)
            came = Came(model, cost_usd=heard.cost_usd)
        except Failure as failure:
            # What is refused is not paid for; of what broke off, or had no usable answer, nobody knows.
            in_doubt = isinstance(failure, SpeechApiUnavailableError | SpeechApiBadAnswerError)
            came = Came(model, doubtful_usd=worst_usd if in_doubt else 0.0, cause=failure.code)
            raise
        finally:
            self.books.settle(number, came)
        return heard

    def check(self) -> tuple[bool, str]:
        """See ``SpeechEngine``."""
        return self.engine.check()

    def recipe(self) -> Recipe:
        """See ``SpeechEngine``."""
        return self.engine.recipe()
