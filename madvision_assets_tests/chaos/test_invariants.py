"""Claims about the invariants: each is silent about a world in which all is well, and notices its own violation."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from madvision_assets_tests.chaos import invariants
from madvision_assets_tests.chaos.invariants import INVARIANTS, Attempt, Callback, Evidence, Film, Made, Window, broken
from madvision_assets_tests.chaos.plan import STEPS
from madvision_assets_tests.chaos.videos import End

DONE = End("done", outcome="clips")
WORKER, OTHER = 100, 200


def film(**more: object) -> Film:
    """One that was broken off once, by a fault, in the middle of its transcript."""
    runs = dict(zip(STEPS, ("one", "two", "two", "two", "two"), strict=True))
    whole = Film(
        name="00-good",
        kind="good",
        end=DONE,
        status="done",
        outcome="clips",
        attempts=[
            Attempt(1, "one", 10, 20, "transcript", "waiting", "worker_lost"),
            Attempt(2, "two", 30, 60, "clips", "done"),
        ],
        lineage=[Made(step, run, f"v-{step}") for step, run in runs.items()],
        documents=Counter(dict.fromkeys(STEPS, 1)),
        current={step: f"v-{step}" for step in STEPS},
        begun={"one", "two"},
        worked=[(step, WORKER) for step in STEPS],
        downloads=1,
        asked=Counter({"content_type": 1, "clip_candidates": 1}),
        told=[{"status": "done", "failure_cause": None, "outcome": "clips", "clips": [{}]}],
        pages=[("its page", 200), ("a clip", 206)],
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def world(*films: Film, **more: object) -> Evidence:
    whole = Evidence(
        films=list(films) or [film()],
        windows=[Window("#1", "kill worker", 18, 25)],
        struck={OTHER},
        wanted=["/00/0/0"],
        callbacks=[Callback("1", "/00/0/0", "web-0", 2), Callback("1", "/00/0/0", "web-0", 2)],
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def test_where_all_is_well_nothing_is_said() -> None:
    assert broken(world()) == []


def test_a_run_that_was_to_be_launched_while_something_was_broken_may_be_missed_long_after() -> None:
    def late(cause: str) -> Evidence:
        first = Attempt(1, "one", 20, 200, "raw_video", "waiting", cause)
        return world(film(attempts=[first, Attempt(2, "two", 210, 260, "clips", "done")]))

    assert broken(late("run_not_launched")) == []
    assert len(broken(late("worker_lost"))) == 1


def again(step: str, run_id: str = "one") -> list[Made]:
    return [Made(step, run_id, f"v-{step}"), *film().lineage]


VIOLATIONS: list[tuple[Callable[[Evidence], invariants.Broken], Evidence]] = [
    (invariants.everything_ends, world(unfinished={"00-good": "waits"})),
    (invariants.each_ends_right, world(film(status="parked", cause="poison_input", outcome=None))),
    (invariants.each_ends_right, world(film(outcome="no_speech"))),
    (invariants.each_ends_right, world(film(end=End("failed", "not_found")))),
    (invariants.what_breaks_off_has_a_cause, world(windows=[])),
    (invariants.what_breaks_off_has_a_cause, world(film(attempts=[Attempt(1, "one", 10, None, "clips", "running")]))),
    (invariants.only_workers_are_lost, world(film(begun={"two"}))),
    (invariants.no_finished_stage_is_done_again, world(film(lineage=again("raw_video")))),
    (invariants.no_finished_stage_is_done_again, world(film(lineage=again("clips", "two")))),
    (invariants.finished_work_is_published, world(film(worked=[*film().worked, ("transcript", WORKER)]))),
    (invariants.one_manifest_for_each_stage, world(film(current={**film().current, "clips": "v-unknown"}))),
    (invariants.one_manifest_for_each_stage, world(film(documents=Counter({**film().documents, "clips": 2})))),
    (invariants.one_manifest_for_each_stage, world(film(documents=Counter({**film().documents, "transcript": 3})))),
    (invariants.one_manifest_for_each_stage, world(film(missing=["media/a.mp4"]))),
    (invariants.nothing_is_paid_twice, world(film(downloads=2))),
    (invariants.nothing_is_paid_twice, world(film(asked=Counter({"content_type": 2})))),
    (invariants.nothing_is_left, world(slots={"gpu": 1})),
    (invariants.nothing_is_left, world(breakers={"store": "store_unavailable"})),
    (invariants.nothing_is_left, world(processes=["ffmpeg"])),
    (invariants.nothing_is_left, world(files=["work/a.lock"])),
    (invariants.nothing_is_left, world(uploads=["media/a.mp4"])),
    (invariants.everybody_is_told_what_is, world(film(told=[{"status": "running"}]))),
    (invariants.everybody_is_told_what_is, world(film(told=[{**film().told[0], "clips": []}]))),
    (invariants.everybody_is_told_what_is, world(film(pages=[("a clip", 404)]))),
    (invariants.everybody_is_called_back, world(callbacks=[])),
    (invariants.everybody_is_called_back, world(callbacks=[*world().callbacks, Callback("2", "/00/0/0", "web-0", 2)])),
    (invariants.no_secret_is_in_a_log, world(secrets=["the API key is in logs/daemon.log"])),
    (invariants.what_broke_is_got_over, world(held_up=["no sensor has ticked"])),
]


@pytest.mark.parametrize(("promise", "evidence"), VIOLATIONS)
def test_each_notices_its_violation(promise: Callable[[Evidence], invariants.Broken], evidence: Evidence) -> None:
    assert promise.__name__ in {line.partition(":")[0] for line in broken(evidence)}


def test_every_invariant_is_shown_a_violation() -> None:
    assert {promise for promise, _ in VIOLATIONS} == set(INVARIANTS)


def test_what_a_struck_process_had_done_may_be_done_again() -> None:
    twice = [*film().worked, ("transcript", OTHER)]

    assert broken(world(film(worked=twice, lineage=again("transcript")))) == []
