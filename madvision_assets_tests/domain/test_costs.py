"""Claims about the arithmetic of costs and sizes."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.costs import (
    DAYS_PER_MONTH,
    CostLine,
    Measured,
    Plan,
    cost_lines,
    savings,
    usd_per_month,
)
from madvision_assets.domain.prices import GPUS, PRICES, SPOT, Price, with_other_prices
from madvision_assets.domain.sizing import Load, sizes
from madvision_assets.domain.stages import PipelineStep, Pool

TABLE = {
    **PRICES,
    "big.input": Price(2.0, "million tokens", "a test"),
    "big.output": Price(8.0, "million tokens", "a test"),
    "small.input": Price(0.2, "million tokens", "a test"),
    "small.output": Price(0.8, "million tokens", "a test"),
}
STANDING = {"services: pods", "Kubernetes", "load balancer", "NAT gateway", "private endpoints", "PostgreSQL"}
AMOUNTS = ("bitrate_mbps", "clips_per_video", "clip_seconds", "views_per_clip", "retention_days", "pod_start_s")
hours = st.floats(0.01, 10_000)


def plan(hours_per_day: float = 10.0, **other: object) -> Plan:
    return replace(Plan(Load(hours_per_day, utilisation=0.5), model="big", pod_start_s=0.0), **other)  # type: ignore[arg-type]


def line(found: list[CostLine], name: str) -> CostLine:
    [wanted] = [each for each in found if each.name == name]
    return wanted


# --- sizing ---


def test_workers_are_arrivals_times_seconds_by_hand() -> None:
    # 24 hours of video a day are a minute of it in a minute: at 30 s each, half a worker is busy.
    load = Load(24.0, utilisation=0.5, peak=2.0)

    assert load.busy(30.0) == 0.5
    assert load.workers(30.0) == 2
    assert load.workers(30.1) == 3
    assert load.workers(0.0) == 0
    assert load.workers(0.001) == 1


@given(hours, st.floats(0, 600), st.floats(0.05, 1), st.floats(1, 10))
def test_there_are_always_enough_workers_and_never_one_too_many(
    hours_per_day: float, seconds: float, utilisation: float, peak: float
) -> None:
    load = Load(hours_per_day, utilisation, peak)

    needed = load.busy(seconds) * peak / utilisation

    assert needed - 1e-6 <= load.workers(seconds) < needed + 1


def test_a_pool_of_two_stages_has_the_seconds_of_both() -> None:
    seconds = dict.fromkeys(PipelineStep, 30.0)

    found = {size.pool: size for size in sizes(Load(24.0, 1.0, 1.0), seconds)}

    assert (found[Pool.LLM].seconds_per_minute, found[Pool.LLM].workers) == (60.0, 1)
    assert found[Pool.LLM].steps == (PipelineStep.CONTENT_TYPE, PipelineStep.CLIP_CANDIDATES)


@pytest.mark.parametrize(
    "wrong", [{"hours_per_day": 0}, {"hours_per_day": math.nan}, {"hours_per_day": math.inf}, {"utilisation": 0},
              {"utilisation": 1.1}, {"peak": 0.9}, {"peak": math.nan}],
)  # fmt: skip
def test_what_is_no_load_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Load(**{"hours_per_day": 1.0, **wrong})


# --- costs ---


def test_gpu_hours_by_hand() -> None:
    # 10 hours of video, 5 times as fast as real time, half of the time idle: 4 hours of a machine.
    found = line(cost_lines(plan(real_time_factor=5.0), TABLE), "transcript: GPU nodes")

    assert found.price_name == "g4dn.xlarge"
    assert found.quantity == pytest.approx(4.0)
    assert found.usd_per_day == pytest.approx(4 * 0.526)


def test_bytes_by_hand() -> None:
    # 10 hours at 8 Mbit/s are 36 GB; 20 videos with 5 clips of 60 s are 6 GB, seen 10 times.
    given_ = plan(bitrate_mbps=8.0, clip_seconds=60.0, views_per_clip=10.0, retention_days=365 / 12)
    found = cost_lines(given_, TABLE)

    assert line(found, "download").quantity == pytest.approx(36.0)
    assert line(found, "store: by its endpoint").quantity == pytest.approx(36.0 + 6.0)
    assert line(found, "clips: views").quantity == pytest.approx(60.0)
    sound_gb = 10 * 3600 * 0.13 / 8000
    assert line(found, "store: media").quantity == pytest.approx(36 + 6 + sound_gb)
    assert given_.stored_gb == pytest.approx((36 + 6 + sound_gb) * DAYS_PER_MONTH)


def test_tokens_by_hand() -> None:
    # Of 30 minutes all are read for moments, and 20 for the kind: 50 * 280 + 700 tokens, 20 videos.
    found = cost_lines(plan(clips_per_video=4), TABLE)

    assert line(found, "analysis: input").quantity == pytest.approx(20 * 14_700 / 1e6)
    assert line(found, "analysis: output").quantity == pytest.approx(20 * (120 + 660) / 1e6)


def test_render_and_pod_starts_by_hand() -> None:
    # Ten clips of 45 s took 308 CPU s, so 154 s on two cores; the pod of each stage takes 30 s more. 10 minutes.
    seconds = plan(video_minutes=10.0, clips_per_video=10, clip_seconds=45, pod_start_s=30.0).seconds()

    assert seconds[PipelineStep.CLIPS] == pytest.approx(15.4 + 3.0)


def test_the_offline_analyst_costs_nothing_and_an_unknown_model_is_a_sentence() -> None:
    assert not [each for each in cost_lines(plan(model=None), TABLE) if each.name.startswith("analysis")]
    with pytest.raises(ValueError, match=r"'huge' is not known\. Known: big, small\."):
        cost_lines(plan(model="huge"), TABLE)


def test_what_was_measured_takes_the_place_of_what_is_assumed() -> None:
    seconds = dict.fromkeys(PipelineStep, 6.0)
    usd = dict.fromkeys(PipelineStep, 0.0) | {PipelineStep.CLIP_CANDIDATES: 0.01}
    found = cost_lines(plan(measured=Measured(3, 30.0, seconds, usd)), TABLE)

    assert line(found, "transcript: GPU nodes").quantity == pytest.approx(600 * 6 / 3600 / 0.5)
    paid = line(found, "analysis")
    assert paid.usd_per_day == pytest.approx(6.0)
    assert paid.price.source == "measured on 3 videos of 30 minutes in all"


@given(hours)
def test_all_but_what_stands_grows_in_proportion(hours_per_day: float) -> None:
    once, twice = (cost_lines(plan(n * hours_per_day), TABLE) for n in (1, 2))

    for one, two in zip(once, twice, strict=True):
        factor = 1 if one.name in STANDING else 2
        assert two.usd_per_day == pytest.approx(factor * one.usd_per_day), one.name


@given(hours, st.sampled_from(AMOUNTS), st.floats(0, 100), st.floats(0, 100))
def test_more_of_anything_never_costs_less(hours_per_day: float, what: str, one: float, other: float) -> None:
    less, more = (usd_per_month(cost_lines(plan(hours_per_day, **{what: n}), TABLE)) for n in sorted((one, other)))

    assert less <= more * (1 + 1e-12)


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_a_faster_engine_never_costs_more(one: float, other: float) -> None:
    slow, fast = (usd_per_month(cost_lines(plan(real_time_factor=n), TABLE)) for n in sorted((one, other)))

    assert fast <= slow * (1 + 1e-12)


@given(hours, st.booleans(), st.sampled_from(["big", "small", None]), st.floats(0, 1000))
def test_every_saving_is_one_and_the_largest_comes_first(
    hours_per_day: float, spot: bool, model: str | None, views: float
) -> None:
    found = savings(plan(hours_per_day, spot=spot, model=model, views_per_clip=views), TABLE)

    assert len(found) <= 2
    assert all(saving.usd_per_month > 0 for saving in found)
    assert found == sorted(found, key=lambda saving: -saving.usd_per_month)


def test_what_is_done_already_is_not_proposed() -> None:
    changes = [saving.change for saving in savings(plan(spot=True, model="small"), TABLE, most=9)]

    assert not [change for change in changes if "spot" in change or "small" in change]


@pytest.mark.parametrize(
    "wrong", [{"video_minutes": 0.0}, {"real_time_factor": 0.0}, {"bitrate_mbps": -1.0}, {"retention_days": math.inf},
              {"views_per_clip": math.nan}],
)  # fmt: skip
def test_what_cannot_be_reckoned_with_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        plan(**wrong)


# --- prices ---


def test_every_price_has_a_unit_and_a_source_and_every_gpu_both_prices() -> None:
    assert all(price.usd > 0 and price.unit and price.source for price in PRICES.values())
    assert all(PRICES[gpu + SPOT].usd < PRICES[gpu].usd for gpu in GPUS)


def test_other_prices_may_be_nested_and_say_where_they_come_from() -> None:
    changed = with_other_prices(TABLE, {"g5": {"xlarge": 0.9}, "s3.storage": 0}, "mine.toml")

    assert (changed["g5.xlarge"].usd, changed["g5.xlarge"].source) == (0.9, "mine.toml")
    assert changed["s3.storage"].usd == 0
    assert changed["cpu"] == PRICES["cpu"]


@pytest.mark.parametrize("usd", [-1, math.nan, math.inf, True, "0.1", [1]])
def test_what_is_no_price_is_refused(usd: object) -> None:
    with pytest.raises(ValueError, match=r"mine\.toml: cpu is .* number of US dollars"):
        with_other_prices(TABLE, {"cpu": usd}, "mine.toml")


def test_an_unknown_price_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"'s3\.storge'\. Did you mean 's3\.storage'"):
        with_other_prices(TABLE, {"s3": {"storge": 1}}, "mine.toml")
