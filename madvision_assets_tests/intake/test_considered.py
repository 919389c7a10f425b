"""Claims about what a page and the API tell of a choice: scores, criteria, what was not taken, and what helps then."""

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from madvision_assets.domain.clips import Moment, Outcome, RejectedMoment, RejectionRule
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.intake.considered import SENTENCES, considered
from madvision_assets.tools.analyst.prompts import PROPOSE
from madvision_assets_tests.intake.video_states import Shown, VideoStates, served

MOMENTS = (("A claim", "It stands alone."),)
HOSTILE = '<img src=x onerror=alert(1)> "محاضرة"'


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    return VideoStates(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def client(states: VideoStates) -> Iterator[httpx.Client]:
    with served(make_app(states.services)) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


def rejected(title: str, score: float, rule: RejectionRule, details: str = "") -> RejectedMoment:
    """A moment that was not taken."""
    moment = Moment(first_segment=0, last_segment=1, title=title, reason="so", score=score)
    return RejectedMoment(moment=moment, rule=rule, details=details)


def ended(states: VideoStates, name: str, outcome: Outcome, *not_taken: RejectedMoment, **recipe: str) -> Shown:
    """A video that ended so, of which these moments were considered."""
    shown, lease = states.running(f"https://example.org/{name}.mp4", PipelineStep.CLIPS)
    states.chosen(lease, *not_taken, **recipe)
    states.finish(lease, outcome, "None of 2 could be taken.", MOMENTS if outcome is Outcome.CLIPS else ())
    return shown


def test_what_was_not_taken_is_told_with_its_score_and_the_rule_in_plain_words(
    client: httpx.Client, states: VideoStates
) -> None:
    weak = rejected("A weak one", 0.21, RejectionRule.WEAK, "scores 0.21, below 0.35")
    doubled = rejected(HOSTILE, 0.8, RejectionRule.OVERLAPS_BETTER)
    shown = ended(states, "considered", Outcome.CLIPS, weak, doubled)

    told = client.get("/public/video/status", params={"token": shown.token}).json()["considered"]
    page = client.get(shown.path).text

    assert [(each["title"], each["score"], each["rule"]) for each in told] == [
        (HOSTILE, 0.8, "overlaps_better"),
        ("A weak one", 0.21, "weak"),
    ]
    assert told[0]["sentence"] == "Most of it is in a better moment."
    assert "Also considered (2)" in page
    assert "<img src=x" not in page
    assert HOSTILE in unescape(page)
    assert "Its score is too low. <span" in page
    assert "scores 0.21, below 0.35" in page
    assert re.search(r"score 0\.90</span>", page)  # of the clip


def test_criteria_are_told_only_where_they_are_those_that_were_used(client: httpx.Client, states: VideoStates) -> None:
    ours = ended(states, "ours", Outcome.CLIPS, prompt_version=PROPOSE.version)
    older = ended(states, "older", Outcome.CLIPS, prompt_version="propose-1")
    rules = ended(states, "rules", Outcome.CLIPS)

    told = [client.get("/public/video/status", params={"token": each.token}).json() for each in (ours, older, rules)]

    assert [each["criteria"] for each in told] == [PROPOSE.criteria["interview"], None, None]
    assert "prefer an answer together with its question" in client.get(ours.path).text
    assert "Also considered" not in client.get(older.path).text


@pytest.mark.parametrize(
    ("outcome", "advice"),
    [
        (Outcome.NO_SPEECH, "name the language that is spoken"),
        (Outcome.NOTHING_INSIGHTFUL, "Other moments may be found with a topic"),
        (Outcome.TOO_SHORT, "Allow shorter clips"),
    ],
)
def test_a_video_without_clips_says_what_can_be_done_and_offers_the_transcript(
    client: httpx.Client, states: VideoStates, outcome: Outcome, advice: str
) -> None:
    shown = ended(states, outcome.value, outcome)

    page = client.get(shown.path).text

    assert advice in page
    assert "The transcript is yours to take all the same" in page
    assert f'href="{shown.path}/transcript.txt"' in page
    assert f'href="/?url=https%3A%2F%2Fexample.org%2F{outcome.value}.mp4"' in page


def test_every_rule_has_its_words_and_one_that_is_not_known_yet_is_told_too() -> None:
    assert set(SENTENCES) == set(RejectionRule)

    (told,) = considered({"moments": [{"title": "x", "rule": "of_a_newer_version"}, {"title": "y", "rule": None}]})

    assert (told.title, told.score, told.sentence) == ("x", 0.0, "It was not taken.")
