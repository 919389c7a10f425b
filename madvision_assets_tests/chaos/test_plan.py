"""Claims about plans: a seed is a plan, and a plan has what a campaign is for."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict

import pytest

from madvision_assets_tests.chaos.persons import WISHES
from madvision_assets_tests.chaos.plan import FAULT_KINDS, PERSON, PERSONS, POINT, VERSION, VIDEO_KINDS, make_plan
from madvision_assets_tests.chaos.points import MEDIA_STEPS, MOMENTS, OTHERS, POINTS, STEPS, WRITES
from madvision_assets_tests.chaos.videos import ENDS

# Of seed 7 with 60 faults, by version: a plan that changes takes another version, since seeds that failed are kept.
KNOWN = {1: "5ab25a2d3ab39d60", 2: "dc7019008bb2cec6"}


def digest(**parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def test_a_seed_is_a_plan_and_another_seed_another() -> None:
    assert make_plan(7, 60) == make_plan(7, 60)
    assert make_plan(7, 60) != make_plan(8, 60)


def test_the_plans_of_a_version_stay_what_they_are() -> None:
    plan = asdict(make_plan(7, 60))

    assert digest(**plan) == KNOWN[VERSION]
    del plan["wishes"]
    assert digest(**plan) == KNOWN[1], "videos and faults are as they were before people were in it"


def test_sixty_faults_are_of_every_kind_and_a_third_of_them_deaths_between_two_writes() -> None:
    kinds = Counter(fault.kind for fault in make_plan(7, 60).faults)

    assert set(kinds) == {*FAULT_KINDS, POINT}
    assert kinds[POINT] == 20


def test_no_fault_comes_again_before_all_have_come() -> None:
    wanted = {(kind, target) for kind, (targets, _) in FAULT_KINDS.items() for target in targets}
    faults = [(f.kind, f.target) for f in make_plan(3, 60).faults if f.kind != POINT]

    assert len(set(faults[: len(wanted)])) == min(len(wanted), len(faults))


def test_people_do_all_that_people_do_and_a_plan_may_be_of_them_alone() -> None:
    assert set(WISHES) == set(PERSONS)
    for plan in (make_plan(7, 60), make_plan(7, 4, [PERSON])):
        assert {wish.target for wish in plan.wishes} == set(PERSONS)
        assert len({each.number for each in (*plan.faults, *plan.wishes)}) == len(plan.faults) + len(plan.wishes)
    assert make_plan(7, 4, [PERSON]).faults == ()
    assert make_plan(7, 4, ["dns"]).wishes == ()
    assert len(make_plan(43, 6).wishes) == 1


def test_enough_faults_of_points_alone_are_every_point_once() -> None:
    faults = make_plan(3, len(POINTS), [POINT]).faults

    assert sorted(fault.target for fault in faults) == sorted(POINTS)


def test_there_are_more_than_sixty_points_two_at_each_write_of_each_stage() -> None:
    assert len(set(POINTS)) == len(POINTS) == 2 * (len(STEPS) * len(WRITES) + len(MEDIA_STEPS) + len(OTHERS)) > 60
    for step in STEPS:
        for moment in MOMENTS:
            assert {f"{write}.{step}.{moment}" for write in WRITES} <= set(POINTS)


def test_a_dozen_of_videos_and_more_are_of_every_kind_and_each_kind_has_its_end() -> None:
    videos = make_plan(7, 60).videos

    assert {video.kind for video in videos} == set(VIDEO_KINDS) == set(ENDS)
    assert len({video.name for video in videos}) == len(videos)


def test_a_campaign_may_be_of_some_kinds_alone() -> None:
    assert {fault.kind for fault in make_plan(5, 9, ["dns", "disk"]).faults} == {"dns", "disk"}


def test_a_kind_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(ValueError, match="meteor"):
        make_plan(5, 9, ["meteor"])
