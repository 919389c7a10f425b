"""Claims about what people are told to do about a failure."""

import pytest

from madvision_assets.domain import failures as f
from madvision_assets.domain.next_steps import NextStep, next_step


@pytest.mark.parametrize("leaf", [leaf for leaf in f.leaves() if issubclass(leaf, f.PermanentFailure)])
def test_what_is_not_tried_again_by_itself_has_something_that_helps_besides_waiting(leaf: type[f.Failure]) -> None:
    assert next_step(leaf()) is not NextStep.WAIT or leaf is f.SupersededError
    assert (
        next_step(leaf()) is not NextStep.ASK_OPERATOR
        or leaf.is_internal
        or leaf
        in {
            f.CheckFailedError,
            f.UnknownClipError,
            f.UnknownVideoError,
        }
    )


@pytest.mark.parametrize(
    ("failure", "step"),
    [
        (f.NotFoundError(), NextStep.CORRECT_ADDRESS),
        (f.LoginRequiredError(), NextStep.GIVE_ACCESS),
        (f.CorruptMediaError(), NextStep.GIVE_ANOTHER_FILE),
        (f.LiveStreamError(), NextStep.SUBMIT_AGAIN),
        (f.SourceRateLimitedError(), NextStep.WAIT),
        (f.DiskFullError(), NextStep.ASK_OPERATOR),
        (f.PoisonInputError(), NextStep.ASK_OPERATOR),
    ],
)
def test_what_helps_fits_the_cause(failure: f.Failure, step: NextStep) -> None:
    assert next_step(failure) is step
