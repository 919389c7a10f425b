"""Claims about the table at the end: what counts as recovery, and to which fault a cost is put down."""

from collections import Counter

import pytest

from madvision_assets_tests.chaos.campaign import Happened
from madvision_assets_tests.chaos.invariants import Attempt, Evidence, Film
from madvision_assets_tests.chaos.plan import Fault
from madvision_assets_tests.chaos.report import broken_off, clear_s, table
from madvision_assets_tests.chaos.videos import End


def happened(kind: str, began_at: float, ended_at: float, **more: object) -> Happened:
    return Happened(Fault(1, kind, "it", began_at, 1.0), began_at, ended_at, **more)  # type: ignore[arg-type]


def evidence(*attempts: Attempt) -> Evidence:
    return Evidence([Film("00", "good", End("done"), "done", attempts=list(attempts))])


@pytest.mark.parametrize(
    ("spans", "clear"),
    [([], 10), ([(0, 5)], 10), ([(12, 15)], 7), ([(5, 12), (11, 14), (19, 30)], 5), ([(0, 30)], 0), ([(25, 30)], 10)],
)
def test_time_in_which_something_else_was_broken_is_no_recovery(spans: list[tuple[float, float]], clear: float) -> None:
    assert clear_s(10, 20, spans) == clear


def test_what_was_broken_off_is_put_down_to_the_latest_fault_that_can_have_done_it() -> None:
    played = [happened("dns", 0, 10), happened("kill worker", 5, 6), happened("analyst", 8, 12)]
    lost = Attempt(1, "a", 0, 9, "transcript", "waiting", "worker_lost")
    unresolved = Attempt(2, "b", 9, 11, "raw_video", "waiting", "host_unresolved")

    costs = broken_off(played, evidence(lost, unresolved))

    assert costs == {"kill worker": Counter({"transcript": 1}), "dns": Counter({"raw_video": 1})}


def test_the_table_has_a_line_for_each_kind_with_median_and_worst() -> None:
    played = [
        happened("dns", 0, 1, recovery_s=1.0),
        happened("dns", 2, 3, recovery_s=3.0),
        happened("dns", 4, 5, not_done="nobody"),
    ]

    _, line = table(played, evidence()).splitlines()

    assert line.split() == ["dns", "2", "1", "2.0", "3.0", "-"]
