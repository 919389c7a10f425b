"""Claims about the simulation: where queueing has a closed formula, it gives what the formula gives."""

import math
import random
from statistics import fmean

import pytest

from madvision_assets_tests.soak.simulation import Arrival, Fleet, simulate

MANY = 10**6


def at_once(pools: dict[str, int], in_flight: int = MANY) -> Fleet:
    """A fleet in which nothing takes time but the work itself, and waiting for it."""
    return Fleet(in_flight=in_flight, pools=pools, tick_s=5e-3, start_s=0.0)


def erlang_c(servers: int, load: float) -> float:
    """The share of arrivals that wait, with so many servers and a load in erlangs."""
    top = load**servers / math.factorial(servers) * servers / (servers - load)
    return top / (sum(load**n / math.factorial(n) for n in range(servers)) + top)


@pytest.mark.parametrize(("servers", "utilisation"), [(1, 0.5), (4, 0.8)])
def test_the_time_in_a_pool_is_that_of_erlang(servers: int, utilisation: float) -> None:
    dice = random.Random(7)  # noqa: S311 - arrivals are no secret
    rate, at_s, arrivals = servers * utilisation, 0.0, []
    for _ in range(8_000):
        at_s += dice.expovariate(rate)
        arrivals.append(Arrival(at_s, [("gpu", dice.expovariate(1.0))]))

    passages = simulate(Fleet(MANY, {"gpu": servers}, tick_s=0.02, start_s=0.0), arrivals)

    expected_s = 1.0 + erlang_c(servers, rate) / (servers - rate)
    stayed_s = fmean(p.ended_s - p.began_s for p in passages)
    assert stayed_s == pytest.approx(expected_s, rel=0.08)


def test_what_comes_at_once_takes_as_long_as_the_narrowest_pool() -> None:
    arrivals = [Arrival(0.0, [("download", 1.0), ("gpu", 3.0), ("llm", 0.5)])] * 10

    passages = simulate(at_once({"download": 4, "gpu": 1, "llm": 4}), arrivals)

    assert max(p.ended_s for p in passages) == pytest.approx(1.0 + 10 * 3.0 + 0.5, abs=0.01)


def test_no_more_are_in_flight_than_allowed_and_the_more_urgent_go_first() -> None:
    arrivals = [Arrival(0.0, [("gpu", 2.0)], priority) for priority in (0, 0, 5, 1)]

    passages = simulate(at_once({"gpu": 9}, in_flight=1), arrivals)

    assert [p.began_s for p in passages] == pytest.approx([4.0, 6.0, 0.0, 2.0], abs=0.02)


def test_a_failure_is_tried_again_at_its_stage_and_one_for_good_ends_it() -> None:
    stages = [("gpu", 4.0), ("llm", 2.0)]
    twice, lost = Arrival(0.0, stages, fails_at=1, times=2), Arrival(0.0, stages, fails_at=0, times=0)
    fleet = Fleet(MANY, {"gpu": 9, "llm": 9}, tick_s=5e-3, start_s=0.0, retry_s=10.0)

    passages = simulate(fleet, [twice, lost])

    assert [p.ended_s for p in passages] == pytest.approx([4.0 + 1.0 + 10.0 + 1.0 + 10.0 + 2.0, 2.0], abs=0.02)


def test_what_costs_cpu_waits_for_a_core() -> None:
    fleet = Fleet(MANY, {"gpu": 9}, cores=2, tick_s=5e-3, start_s=0.0, start_cpu_s=3.0)

    passages = simulate(fleet, [Arrival(0.0, [("gpu", 1.0)])] * 4)

    assert max(p.ended_s for p in passages) == pytest.approx(4 * 3.0 / 2 + 1.0, abs=0.3)


def test_runs_are_started_one_after_the_other() -> None:
    fleet = Fleet(MANY, {"gpu": 9}, tick_s=5e-3, start_s=0.0, launch_cpu_s=2.0)

    passages = simulate(fleet, [Arrival(0.0, [("gpu", 1.0)])] * 3)

    assert [p.ended_s for p in passages] == pytest.approx([3.0, 5.0, 7.0], abs=0.02)


def test_what_is_not_over_by_then_has_no_end() -> None:
    passages = simulate(at_once({"gpu": 1}), [Arrival(0.0, [("gpu", 4.0)])] * 3, until_s=9.0)

    assert [math.isinf(p.ended_s) for p in passages] == [False, False, True]
