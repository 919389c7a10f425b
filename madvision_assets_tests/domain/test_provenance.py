"""Claims about names of documents, and about what is still to be done."""

from datetime import UTC, datetime

import pytest

from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.provenance import InputRef, Provenance, Recipe
from madvision_assets.domain.stages import PipelineStep, pending_steps

STEPS = tuple(PipelineStep)


def sealed(
    reason: str = "r", *, recipe: Recipe | None = None, input_version: str = "a", run_id: str = "run"
) -> ContentType:
    document = ContentType(video_id="v", kind=ContentKind.NEWS, confidence=Confidence.LOW, reason=reason)
    return document.seal(
        recipe or Recipe(engine="e"),
        run_id=run_id,
        code_version="1",
        inputs=(InputRef(asset=PipelineStep.TRANSCRIPT, uri="memory:///t", data_version=input_version),),
        wall_s=1.0,
        created_at=datetime.now(UTC),
    )


def test_the_same_work_done_twice_has_the_same_name() -> None:
    again = sealed(run_id="another", recipe=Recipe(engine="e", cost_usd=2, usage={"tokens": 5}))

    assert again.origin.data_version == sealed().origin.data_version


@pytest.mark.parametrize(
    "other",
    [
        sealed("another reason"),
        sealed(input_version="b"),
        sealed(recipe=Recipe(engine="f")),
        sealed(recipe=Recipe(engine="e", model="m")),
        sealed(recipe=Recipe(engine="e", prompt_hash="h")),
    ],
)
def test_other_content_inputs_model_or_prompt_give_another_name(other: ContentType) -> None:
    assert other.origin.data_version != sealed().origin.data_version


def test_a_document_survives_its_json() -> None:
    document = sealed()

    assert ContentType.model_validate_json(document.model_dump_json()) == document


def made(step: PipelineStep, version: str = "1", **inputs: str) -> Provenance:
    return Provenance(
        engine="e",
        asset=step,
        run_id="r",
        code_version="1",
        data_version=version,
        inputs=tuple(InputRef(asset=PipelineStep(a), uri="u", data_version=v) for a, v in inputs.items()),
        wall_s=0,
        created_at=datetime.now(UTC),
    )


def everything(**versions: str) -> dict[PipelineStep, Provenance | None]:
    """All five steps done from one another; ``versions`` are those that are newest now."""
    return {s: made(s, versions.get(s, "1"), **{i.value: "1" for i in s.inputs}) for s in STEPS}


def test_nothing_is_pending_where_all_is_done() -> None:
    assert pending_steps(everything()) == ()


def test_everything_is_pending_at_first() -> None:
    assert pending_steps(dict.fromkeys(STEPS)) == STEPS


def test_from_a_step_that_step_and_the_later_ones_are_done_again() -> None:
    assert pending_steps(everything(), PipelineStep.CLIP_CANDIDATES) == STEPS[3:]


def test_from_a_late_step_earlier_gaps_are_filled_too() -> None:
    current = {**everything(), PipelineStep.CONTENT_TYPE: None}

    assert pending_steps(current, PipelineStep.CLIPS) == STEPS[2:]


def test_a_newer_input_makes_its_readers_pending() -> None:
    assert pending_steps(everything(content_type="2")) == STEPS[3:]


def test_a_gap_makes_all_that_follows_from_it_pending() -> None:
    assert pending_steps({**everything(), PipelineStep.TRANSCRIPT: None}) == STEPS[1:]
