"""Claims about what is kept of a choice: of each moment, taken or not, what it was judged by, when it is, its words."""

import json

from madvision_assets.domain.clips import ClipCandidates, RejectionRule
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.summaries import summary_of
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, RawVideo
from madvision_assets.tools.analyst import silent
from madvision_assets.tools.analyst.answers import moments_of
from madvision_assets.tools.analyst.model import as_score
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.work.choose import choose
from madvision_assets_tests import stores
from madvision_assets_tests.builders import sample_talk

CRITERIA = {"strength", "hook", "stands_alone", "emotion", "quotable"}


def chosen_offline() -> ClipCandidates:
    talk = sample_talk()
    info = stores.raw_video().info.model_copy(update={"duration_s": talk.duration_s})
    raw = stores.raw_video().model_copy(update={"info": info, "options": Options(max_clips=2)})
    kind = ContentType(video_id=talk.video_id, kind=ContentKind.OTHER, confidence=Confidence.LOW, reason="so")
    return choose(OfflineAnalyst(), raw, talk, kind, silent).document


def test_every_moment_keeps_its_criteria_times_and_words() -> None:
    document = chosen_offline()

    assert len(document.candidates) == 2
    assert {each.rule for each in document.rejected} >= {RejectionRule.OVER_LIMIT}
    for each in document.candidates:
        assert each.words is not None
        assert 1 < each.words < 400
        assert each.criteria.keys() == {"words", "opening", "closing", "breaks", "length"}
    for lost in document.rejected:
        assert lost.start_s is not None
        assert lost.end_s is not None
        assert lost.end_s > lost.start_s
        assert lost.words
        assert lost.moment.criteria


def test_the_terms_of_the_rules_add_up_to_the_score() -> None:
    for each in chosen_offline().candidates:
        assert abs(as_score(sum(each.criteria.values())) - each.score) < 0.003


def test_what_a_model_judged_adds_up_to_the_score_of_each_of_its_moments() -> None:
    praise = {"hook": True, "stands_alone": False, "emotion": True, "quotable": False}
    words = {"quote": "so it is said here", "reason": "r", "title": "t"}
    told = [
        {"first_segment": 0, "last_segment": 1, "part": part, "strength": "strong", **praise, **words}
        for part in ("talk", "sponsor")
    ]
    (good,), (bad,) = moments_of(json.dumps({"moments": told}))

    for moment in (good, bad.moment):
        assert moment.criteria.keys() == CRITERIA
        assert moment.criteria["emotion"] > moment.criteria["quotable"] == 0
        assert round(sum(moment.criteria.values()), 3) == moment.score


def test_the_summary_tells_them_and_what_older_versions_wrote_stays_as_it_was() -> None:
    document = chosen_offline()
    summary = summary_of(document)
    assert summary is not None
    for told, each in zip(summary["moments"], document.candidates, strict=False):
        assert (told["words"], told["criteria"]) == (each.words, each.criteria)
    assert all(told["end_s"] > told["start_s"] and told["words"] for told in summary["moments"])

    bare = stores.clip_candidates(*_stages())
    kept = bare.model_copy(update={"rejected": stores.rejected(), "provenance": None})
    assert not {"criteria", "words"} & set(kept.model_dump(mode="json")["candidates"][0])
    assert set(kept.model_dump(mode="json")["rejected"][0]) == {"moment", "rule", "details"}
    assert "criteria" not in kept.model_dump(mode="json")["rejected"][0]["moment"]


def _stages() -> tuple[RawVideo, Transcript, ContentType]:
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "one", "two")
    return raw, spoken, stores.content_type(raw, spoken)
