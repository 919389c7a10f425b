"""What whoever submitted a video can do about its failure."""

from collections.abc import Mapping
from enum import StrEnum

from madvision_assets.domain import failures as f


class NextStep(StrEnum):
    """The one thing that helps."""

    CORRECT_ADDRESS = "correct_address"
    GIVE_ACCESS = "give_access"
    GIVE_ANOTHER_FILE = "give_another_file"
    SUBMIT_AGAIN = "submit_again"
    WAIT = "wait"
    ASK_OPERATOR = "ask_operator"


_OF_CLASS: Mapping[f.FailureClass, NextStep] = {
    f.FailureClass.TRANSIENT: NextStep.WAIT,
    f.FailureClass.SOURCE: NextStep.WAIT,
    f.FailureClass.OPERATOR: NextStep.ASK_OPERATOR,
    f.FailureClass.POISON: NextStep.ASK_OPERATOR,
}
# Another try alone helps none of these: each says for itself what does.
_OF_LEAF: Mapping[type[f.Failure], NextStep] = {
    **dict.fromkeys(
        (
            f.InvalidAddressError, f.RefusedAddressError, f.UnsupportedAddressError, f.SourceRefusedError,
            f.NotFoundError, f.RemovedVideoError, f.PlaylistError, f.UnknownBucketError,
        ),
        NextStep.CORRECT_ADDRESS,
    ),
    **dict.fromkeys(
        (f.AccessDeniedError, f.PrivateVideoError, f.LoginRequiredError, f.GeoBlockedError, f.DrmProtectedError),
        NextStep.GIVE_ACCESS,
    ),
    **dict.fromkeys(
        (
            f.EmptyFileError, f.NotMediaError, f.CorruptMediaError, f.NoAudioTrackError, f.NoVideoTrackError,
            f.TooLargeError, f.TooLongError, f.TooCostlyError, f.TranscriptTooLargeError, f.PolicyRefusalError,
            f.SpeechRefusedError, f.UnsupportedColourError,
        ),
        NextStep.GIVE_ANOTHER_FILE,
    ),
    **dict.fromkeys(
        (
            f.LiveStreamError, f.FileChangedError, f.UnreadableFileError, f.CancelledError, f.ForgottenVideoError,
            f.TranslationUnavailableError, f.LanguageUnavailableError, f.AnalystUnusableError, f.WithdrawnError,
        ),
        NextStep.SUBMIT_AGAIN,
    ),
    f.SupersededError: NextStep.WAIT,
    **dict.fromkeys(
        (
            f.CheckFailedError, f.UnreadableDocumentError, f.DamagedDocumentError, f.UnknownVideoError,
            f.UnknownClipError,
        ),
        NextStep.ASK_OPERATOR,
    ),
}  # fmt: skip


def next_step(failure: f.Failure) -> NextStep:
    """What helps; for what is tried again by itself, to wait."""
    return _OF_LEAF.get(type(failure)) or _OF_CLASS.get(failure.failure_class, NextStep.ASK_OPERATOR)
