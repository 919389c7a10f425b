"""The stand-in for a transcription API refuses what the real ones refuse, as far as we use them."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from madvision_assets.domain.heard import Asked, HeardSegment, HeardWord
from madvision_assets.tools.speech import Heard
from madvision_assets.tools.speech.api import flac_of
from madvision_assets_tests import openai_faults
from madvision_assets_tests.transcription_server import KEY, MODELS, TEXT_ONLY, WHISPER, FakeTranscriptions, verbose

WORDS = (HeardWord(" Measure", 0.1, 0.6, 0.5), HeardWord(" first.", 0.6, 1.1, 0.5))
HEARD = Heard("de", (HeardSegment(" Measure first.", 0.0, 1.2, WORDS),))
SOUND = flac_of((np.sin(np.arange(16_000)) / 4).astype(np.float32))


def hear(_samples: NDArray[np.float32], _asked: Asked) -> Mapping[str, Any]:
    return verbose(HEARD, 1.0)


@pytest.fixture
def fake() -> Iterator[FakeTranscriptions]:
    with FakeTranscriptions(hear, max_file_bytes=100_000) as server:
        yield server


def ask(fake: FakeTranscriptions, file: bytes = SOUND, model: str = WHISPER, key: str = KEY, **fields: Any) -> Any:
    with openai.OpenAI(api_key=key, base_url=fake.base_url, max_retries=0) as client:
        return client.audio.transcriptions.create(file=("a.flac", BytesIO(file)), model=model, **fields)


def test_the_sdk_reads_its_answer(fake: FakeTranscriptions) -> None:
    granularities = ["word", "segment"]
    answer = ask(fake, response_format="verbose_json", timestamp_granularities=granularities, language="de")

    assert (answer.text, answer.language) == (" Measure first.", "german")
    assert [word.word for word in answer.words] == ["Measure", "first"]
    assert answer.segments[0].avg_logprob == pytest.approx(np.log(0.5))
    assert ask(fake).text == " Measure first."
    assert fake.sent[0].fields["language"] == "de"
    assert len(fake.sent[0].samples) == 16_000


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"key": "sk-other"}, 401),
        ({"model": "tiny.en"}, 404),
        ({"file": b"no sound"}, 400),
        ({"file": flac_of(np.random.default_rng(1).uniform(-1, 1, 160_000).astype(np.float32))}, 413),
        ({"model": TEXT_ONLY, "response_format": "verbose_json"}, 400),
    ],
)
def test_what_a_real_one_refuses_is_refused(fake: FakeTranscriptions, wrong: dict[str, Any], status: int) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(fake, **wrong)

    assert caught.value.status_code == status


def test_faults_happen_in_the_order_of_the_script_and_then_end(fake: FakeTranscriptions) -> None:
    fake.script(openai_faults.server_error(), openai_faults.closed_connection(), None)

    with pytest.raises(openai.InternalServerError):
        ask(fake)
    with pytest.raises(openai.APIConnectionError):
        ask(fake)
    assert ask(fake).text


def test_models_are_listed_unless_the_server_lists_none(fake: FakeTranscriptions) -> None:
    with openai.OpenAI(api_key=KEY, base_url=fake.base_url, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == list(MODELS)
        fake.lists_models = False
        with pytest.raises(openai.NotFoundError):
            client.models.list()
