"""Rules that stand in for a language model: only in a long outage, provisionally, and until it is back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from madvision_assets.domain.content_type import ContentKind
from madvision_assets.domain.failures import AnalystUnavailableError, ApiKeyInvalidError, PolicyRefusalError
from madvision_assets.domain.paying import Came, Desk, Planned
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.openai_analyst import OpenAIAnalyst
from madvision_assets.tools.database import Database
from madvision_assets.work.fallback import FallbackAnalyst
from madvision_assets.work.ledger import Ledger
from madvision_assets_tests import openai_faults
from madvision_assets_tests.builders import sample_talk
from madvision_assets_tests.databases import Clock
from madvision_assets_tests.fakes import KEY, FakeOpenAI

SOURCE = SourceMetadata(extractor="generic", title="A workshop")
AFTER_S = 900.0


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def analyst(fake: FakeOpenAI, clock: Clock, tmp_path: Path) -> FallbackAnalyst:
    database = Database(f"sqlite:///{tmp_path / 'madvision.db'}")
    database.migrate()
    asked = OpenAIAnalyst(KEY, fake.base_url, deadline_s=5, max_retries=0, desk=Desk(Ledger(database, now=clock)))
    return FallbackAnalyst(asked, OfflineAnalyst(), database, AFTER_S, clock)


def test_a_short_outage_is_waited_for(fake: FakeOpenAI, clock: Clock, analyst: FallbackAnalyst) -> None:
    fake.always(openai_faults.server_error())
    for _ in range(3):
        with pytest.raises(AnalystUnavailableError):
            analyst.classify(sample_talk(), SOURCE)
        clock.now += timedelta(seconds=AFTER_S / 4)


def test_in_a_long_outage_rules_stand_in_and_the_api_is_asked_once_a_minute(
    fake: FakeOpenAI, clock: Clock, analyst: FallbackAnalyst
) -> None:
    fake.always(openai_faults.server_error())
    with pytest.raises(AnalystUnavailableError):
        analyst.classify(sample_talk(), SOURCE)
    clock.now += timedelta(seconds=AFTER_S)
    asked = len(fake.completions)
    books = Ledger(analyst.database, now=clock)  # another API that is paid, and answers: it hears
    books.settle(books.reserve(Planned("web-1", "transcript", "whisper-1", "", 0.01, 60)), Came(cost_usd=0.01))

    assert analyst.classify(sample_talk(), SOURCE).document.provisional
    assert len(fake.completions) == asked + 1
    assert analyst.propose(sample_talk(), ContentKind.OTHER, SOURCE, Options()).provisional
    assert len(fake.completions) == asked + 1, "it was asked a moment ago"
    clock.now += timedelta(seconds=61)
    assert analyst.classify(sample_talk(), SOURCE).document.provisional
    assert len(fake.completions) == asked + 2


def test_once_the_api_is_back_it_is_asked_again_and_a_later_outage_counts_from_its_own_beginning(
    fake: FakeOpenAI, clock: Clock, analyst: FallbackAnalyst
) -> None:
    fake.script(openai_faults.server_error())
    with pytest.raises(AnalystUnavailableError):
        analyst.classify(sample_talk(), SOURCE)
    clock.now += timedelta(seconds=2 * AFTER_S)

    assert not analyst.classify(sample_talk(), SOURCE).document.provisional
    clock.now += timedelta(seconds=1)
    fake.script(openai_faults.server_error())
    with pytest.raises(AnalystUnavailableError):
        analyst.classify(sample_talk(), SOURCE.model_copy(update={"title": "Another"}))


def test_whoever_refuses_is_not_away(fake: FakeOpenAI, clock: Clock, analyst: FallbackAnalyst) -> None:
    fake.script(openai_faults.server_error(), openai_faults.refusal(), openai_faults.server_error())
    with pytest.raises(AnalystUnavailableError):
        analyst.classify(sample_talk(), SOURCE)
    clock.now += timedelta(seconds=40)
    with pytest.raises(PolicyRefusalError):
        analyst.classify(sample_talk(), SOURCE)
    clock.now += timedelta(hours=3)
    with pytest.raises(AnalystUnavailableError):
        analyst.classify(sample_talk(), SOURCE)


def test_what_the_operator_must_mend_is_no_outage(fake: FakeOpenAI, clock: Clock, analyst: FallbackAnalyst) -> None:
    fake.always(openai_faults.refused(401, "invalid_api_key"))
    for _ in range(2):
        with pytest.raises(ApiKeyInvalidError):
            analyst.classify(sample_talk(), SOURCE)
        clock.now += timedelta(seconds=AFTER_S)
