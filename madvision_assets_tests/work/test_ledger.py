"""Paid calls in the books: ceilings that hold, whoever asks and whatever happens, on SQLite and PostgreSQL."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from madvision_assets.domain.failures import (
    BudgetExhaustedError,
    BudgetReservedError,
    DatabaseUnavailableError,
    Failure,
    VideoBudgetExhaustedError,
)
from madvision_assets.domain.paying import Came, Desk, Planned
from madvision_assets.domain.video import SourceMetadata
from madvision_assets.tools.analyst.models import Models, cost_usd
from madvision_assets.tools.analyst.openai_analyst import OpenAIAnalyst
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.forgetting import held
from madvision_assets.tools.database.paid_calls import PaidCalls
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.ledger import Ceilings, KeptAnswers, Ledger
from madvision_assets.work.publish import Publisher
from madvision_assets_tests import openai_faults
from madvision_assets_tests.builders import transcript_of
from madvision_assets_tests.databases import KINDS, emptied, new_database
from madvision_assets_tests.fakes import KEY, FakeOpenAI

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
SOURCE = SourceMetadata(extractor="generic")
SAID = [("We learned one thing that nobody expects here.", 0, 6), ("It rains on all of us every day.", 7, 20)]


@pytest.fixture(scope="module", params=KINDS)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("database")) as new:
        new.migrate()
        yield new


@pytest.fixture
def database(migrated: Database) -> Database:
    return emptied(migrated)


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    new = Database(f"sqlite:///{tmp_path / 'madvision.db'}")
    new.migrate()
    return new


def planned(video_id: str = "web-one", worst_usd: float = 0.4, lasts_s: float = 300) -> Planned:
    return Planned(video_id, "content_type", "gpt-4o", "classify-2", worst_usd, lasts_s)


def ledger(database: Database, *, video: float | None = None, day: float | None = None, now: datetime = NOON) -> Ledger:
    return Ledger(database, Ceilings(video, day), lambda: now, patience_s=0.1)


def pays(books: Ledger, cost: float, **call: object) -> None:
    number = books.reserve(planned(**call))  # type: ignore[arg-type]  # any of its fields
    books.settle(number, Came("gpt-4o-2024-11-20", cost_usd=cost))


def test_what_a_call_came_to_takes_the_place_of_what_it_could_have_cost(database: Database) -> None:
    books = ledger(database, day=1.0)
    for _ in range(5):
        pays(books, 0.1)

    spent = PaidCalls(database).spent()
    assert spent.cost_usd == pytest.approx(0.5)
    assert spent.reserved_usd == 0
    pays(books, 0.1)
    with pytest.raises(
        BudgetExhaustedError, match=r"0\.6000 USD spent today of 1\.0000; the next call may cost 0\.5000"
    ):
        books.reserve(planned(worst_usd=0.5))


def test_a_video_stays_under_its_own_ceiling_for_ever_and_others_go_on(database: Database) -> None:
    pays(ledger(database, video=0.5, now=NOON - timedelta(days=9)), 0.3)

    with pytest.raises(VideoBudgetExhaustedError, match=r"0\.3000 USD spent on this video of 0\.5000"):
        ledger(database, video=0.5).reserve(planned())
    pays(ledger(database, video=0.5), 0.3, video_id="web-two")


def test_a_new_day_has_a_new_ceiling_and_a_clock_that_goes_back_finds_what_was_spent(database: Database) -> None:
    pays(ledger(database, day=0.5), 0.4)
    with pytest.raises(BudgetExhaustedError):
        ledger(database, day=0.5).reserve(planned())

    pays(ledger(database, day=0.5, now=NOON + timedelta(hours=13)), 0.4)
    with pytest.raises(BudgetExhaustedError):
        ledger(database, day=0.5, now=NOON + timedelta(hours=11)).reserve(planned())


def test_what_calls_under_way_may_cost_is_waited_for_and_not_held_against_anybody(database: Database) -> None:
    books = ledger(database, day=0.5)
    number = books.reserve(planned("web-one"))
    with pytest.raises(BudgetReservedError) as waits:
        books.reserve(planned("web-two"))

    assert waits.value.retry_after_s == 30
    assert not waits.value.is_counted
    assert waits.value.resource is None
    books.settle(number, Came(cost_usd=0.05))
    books.reserve(planned("web-two"))


def test_what_a_dead_worker_set_aside_counts_as_paid_and_blocks_nobody_for_ever(database: Database) -> None:
    ledger(database, day=0.9).reserve(planned())
    later = ledger(database, day=0.9, now=NOON + timedelta(seconds=301))
    later.reserve(planned("web-two"))

    spent = PaidCalls(database).spent(video_id="web-one")
    assert (spent.cost_usd, spent.doubtful_usd, spent.reserved_usd) == (0, 0.4, 0)
    with pytest.raises(BudgetReservedError):
        later.reserve(planned("web-three"))


def test_a_call_that_was_given_up_for_dead_is_settled_all_the_same(database: Database) -> None:
    number = ledger(database).reserve(planned())
    later = ledger(database, now=NOON + timedelta(hours=1))
    pays(later, 0.1, video_id="web-two")
    later.settle(number, Came(cost_usd=0.2))

    assert PaidCalls(database).spent(video_id="web-one").settled_usd == 0.2


def test_many_workers_at_once_stay_under_a_ceiling(database: Database) -> None:
    books = ledger(database, day=1.0)

    def work(nth: int) -> bool:
        try:
            number = books.reserve(planned(f"web-{nth}", worst_usd=0.09))
        except (BudgetExhaustedError, BudgetReservedError):
            return False
        books.settle(number, Came(cost_usd=0.085))
        return True

    with ThreadPoolExecutor(8) as pool:
        allowed = sum(pool.map(work, range(40)))

    spent = PaidCalls(database).spent()
    assert spent.settled_usd <= 1.0
    assert spent.settled_usd == pytest.approx(0.085 * allowed)
    assert allowed >= 8


def test_a_database_that_is_away_for_a_moment_is_waited_for_before_a_call_and_after_it(
    sqlite: Database, tmp_path: Path
) -> None:
    class Restarted(Database):
        is_away = True

        @contextmanager
        def writing(self) -> Iterator[Connection]:
            """Away at every first try."""
            self.is_away = not self.is_away
            if not self.is_away:
                raise DatabaseUnavailableError
            with super().writing() as connection:
                yield connection

    pays(replace(ledger(Restarted(f"sqlite:///{tmp_path / 'madvision.db'}")), patience_s=60), 0.3)

    spent = PaidCalls(sqlite).spent()
    assert (spent.cost_usd, spent.reserved_usd) == (0.3, 0)
    assert Ledger(sqlite).patience_s == Publisher(ObjectStore.from_url("memory://"), sqlite).patience_s


def test_forgetting_a_video_leaves_what_was_paid_without_its_name(database: Database) -> None:
    database.add_video("web-one", "https://example.com/v")
    pays(ledger(database), 0.3)
    with held(database, ["web-one"]) as these:
        these.delete_rows(["web-one"])

    assert PaidCalls(database).spent(video_id="web-one").cost_usd == 0
    assert PaidCalls(database).spent(since=NOON).cost_usd == 0.3


# --- with the analyst ---


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def analyst(
    fake: FakeOpenAI, books: Ledger, store: ObjectStore | None = None, *, max_retries: int = 1
) -> OpenAIAnalyst:
    desk = Desk(books, KeptAnswers(store)) if store else Desk(books)
    return OpenAIAnalyst(KEY, fake.base_url, deadline_s=5, max_retries=max_retries, desk=desk)


def billed_usd(fake: FakeOpenAI) -> float:
    prices = Models()
    return sum(cost_usd(prices.price_of(model), read, 0, written) for model, read, written in fake.bills)


@pytest.mark.parametrize("faults", [40, pytest.param(1_000, marks=pytest.mark.long)])
def test_the_books_and_the_bill_agree_to_the_cent_over_many_faults(
    sqlite: Database, fake: FakeOpenAI, faults: int
) -> None:
    books, chance = ledger(sqlite), random.Random(20261127)  # noqa: S311 - nothing secret
    kinds = [
        None,
        openai_faults.refusal(),
        openai_faults.cut_off(),
        openai_faults.broken_json(),
        openai_faults.wrong_form(),
        openai_faults.no_choices(),
        openai_faults.server_error(),
        openai_faults.rate_limited(),
        openai_faults.refused(400, "invalid_prompt"),
        openai_faults.refused(400, "context_length_exceeded"),
        openai_faults.closed_connection(),
    ]
    fake.script(*chance.choices(kinds, k=faults))
    talk = 0
    while fake.is_scripted:
        talk += 1
        said = transcript_of([(f"{text} Talk {talk}.", start, end) for text, start, end in SAID])
        with suppress(Failure):
            analyst(fake, books, max_retries=0).classify(said, SOURCE)

    spent = PaidCalls(sqlite).spent()
    assert len(fake.completions) >= faults
    assert spent.reserved_usd == 0
    assert spent.cost_usd == pytest.approx(billed_usd(fake), abs=1e-9)


def test_eight_workers_pay_no_more_than_a_days_ceiling(database: Database, fake: FakeOpenAI) -> None:
    books = replace(ledger(database, day=0.02), now=lambda: datetime.now(UTC))

    def work(nth: int) -> None:
        said = transcript_of(SAID, video_id=f"web-{nth}")
        with suppress(Failure):
            analyst(fake, books).classify(said, SOURCE)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(48)))

    assert 0 < billed_usd(fake) <= 0.02
    assert PaidCalls(database).spent().cost_usd == pytest.approx(billed_usd(fake))


def test_an_answer_is_kept_in_the_store_for_whoever_asks_next(sqlite: Database, fake: FakeOpenAI) -> None:
    memory_store = ObjectStore.from_url("memory://")
    said = transcript_of(SAID)
    for _ in range(3):
        analyst(fake, ledger(sqlite), memory_store).classify(said, SOURCE)

    assert len(fake.bills) == 1
    [key] = memory_store.list_keys(f"answers/{said.video_id}")
    assert key.endswith(".json")
