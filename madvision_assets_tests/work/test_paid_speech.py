"""Speech behind an API stands in the same books as a language model, under the same ceilings."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from madvision_assets.domain.failures import BudgetExhaustedError, Failure
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.paying import Books, Came, Desk
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.paid_calls import PaidCalls
from madvision_assets.tools.speech import PaidEngine, SpeechEngine, api_prices
from madvision_assets.tools.speech.api import SpeechApi
from madvision_assets.tools.speech.faster_whisper import FasterWhisper
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.ledger import Ceilings, KeptAnswers, Ledger
from madvision_assets.work.pieces import FOLDER, forget_pieces
from madvision_assets_tests import openai_faults
from madvision_assets_tests.openai_faults import Fault
from madvision_assets_tests.transcription_server import KEY, FakeTranscriptions

MINUTE = (0.1 * np.sin(np.arange(60 * 16_000) / 10)).astype(np.float32)
WORDS = [{"word": "Hello", "start": 1.0, "end": 1.5}]
TOLD = {
    "language": "english",
    "text": "Hello.",
    "segments": [{"id": 0, "start": 1.0, "end": 2.0, "text": " Hello.", "avg_logprob": -0.1}],
    "words": WORDS,
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTranscriptions]:
    monkeypatch.setattr(api_prices, "OFFICIAL_HOST", "127.0.0.1")
    with FakeTranscriptions(lambda _samples, _asked: TOLD) as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Database:
    new = Database(f"sqlite:///{tmp_path / 'madvision.db'}")
    new.migrate()
    return new


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore.from_url("memory://")


def engine(
    fake: FakeTranscriptions,
    database: Database,
    day: float | None = None,
    *,
    store: ObjectStore | None = None,
    books: Books | None = None,
    max_retries: int = 0,
) -> SpeechEngine:
    api = SpeechApi("whisper-1", KEY, fake.base_url, timeout_s=60, max_retries=max_retries)
    books = books or Ledger(database, Ceilings(None, day))
    desk = Desk(books, KeptAnswers(store, FOLDER)) if store else Desk(books)
    return api.accounted(desk, "web-1", "transcript")


def test_what_is_heard_is_a_row_with_its_price(fake: FakeTranscriptions, database: Database) -> None:
    engine(fake, database).transcribe(MINUTE, Asked())

    spent = PaidCalls(database).by_step()["transcript"]
    assert (spent.cost_usd, spent.doubtful_usd, spent.reserved_usd) == (0.006, 0, 0)


def test_nothing_is_sent_that_may_pass_a_ceiling(fake: FakeTranscriptions, database: Database) -> None:
    with pytest.raises(BudgetExhaustedError):
        engine(fake, database, day=0.005).transcribe(MINUTE, Asked())

    assert not fake.sent


def test_each_try_has_its_row_and_is_refused_where_it_may_pass_a_ceiling(
    fake: FakeTranscriptions, database: Database
) -> None:
    fake.script(openai_faults.closed_connection(), openai_faults.server_error())
    engine(fake, database, max_retries=2).transcribe(MINUTE, Asked())
    spent = PaidCalls(database).spent()

    assert (len(fake.sent), spent.cost_usd, spent.doubtful_usd) == (3, 0.006, 0.006)
    fake.script(openai_faults.closed_connection())
    with pytest.raises(BudgetExhaustedError):
        engine(fake, database, day=0.02, max_retries=2).transcribe(MINUTE, Asked())
    assert len(fake.sent) == 4


def test_whoever_is_killed_over_the_books_has_kept_what_was_heard(
    fake: FakeTranscriptions, database: Database, store: ObjectStore
) -> None:
    class Killed(Ledger):
        def settle(self, number: int, came: Came) -> None:
            """While it waits for a database that is away."""
            del number, came
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine(fake, database, store=store, books=Killed(database)).transcribe(MINUTE, Asked())
    heard = engine(fake, database, store=store).transcribe(MINUTE, Asked())

    assert (len(fake.sent), heard.cost_usd, heard.segments[0].text.strip()) == (1, 0.006, "Hello.")
    engine(fake, database, store=store).transcribe(MINUTE, Asked("de"))
    assert len(fake.sent) == 2, "asked otherwise"
    forget_pieces(store, "web-1")
    engine(fake, database, store=store).transcribe(MINUTE, Asked())
    assert len(fake.sent) == 3, "they go with the pieces, once there is a transcript"


@pytest.mark.parametrize(
    ("fault", "in_doubt"),
    [
        (openai_faults.refused(401, "invalid_api_key"), False),
        (openai_faults.refused(400, "invalid_value"), False),
        (openai_faults.closed_connection(), True),
        (openai_faults.web_page(), False),
        (openai_faults.with_200({"message": "Provider returned error", "code": 502}), False),
        (Fault(body='{"text": '), True),
    ],
)
def test_what_became_of_a_failed_call_is_told_as_far_as_it_is_known(
    fake: FakeTranscriptions, database: Database, fault: Fault, *, in_doubt: bool
) -> None:
    fake.script(fault)
    with pytest.raises(Failure):
        engine(fake, database).transcribe(MINUTE, Asked())

    spent = PaidCalls(database).spent()
    assert (spent.cost_usd, spent.doubtful_usd > 0, spent.reserved_usd) == (0, in_doubt, 0)


def test_only_engines_that_are_paid_are_accounted_for(tmp_path: Path) -> None:
    assert isinstance(SpeechApi("whisper-1", KEY), PaidEngine)
    assert not isinstance(FasterWhisper("tiny.en", tmp_path), PaidEngine)
