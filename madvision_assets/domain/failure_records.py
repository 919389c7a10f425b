"""A failure as it is kept: in the queue's rows, in Dagster's events, in callbacks and on pages; and back again.

Only code, details and what the other side asked for are kept: class, sentence and resource follow from the code, and
may be put better by a later version.
"""

import re
from collections.abc import Mapping
from typing import Any

from madvision_assets.domain.failures import Failure, FailureClass, Resource, leaf_of

CAUSE, CLASS, DETAILS, RETRY_AFTER = "failure_cause", "failure_class", "failure_details", "retry_after_s"
# An absolute path that does not belong to an address.
_PATH = re.compile(r"(?<![\w/:.~-])/(?:[^\s/:'\"]+/)+[^\s:'\",)]*")


def to_columns(failure: Failure) -> dict[str, str]:
    """What the tables keep of a failure, by column; when it is tried again, a column of its own says."""
    return {CAUSE: failure.code, DETAILS: failure.details}


def to_record(failure: Failure) -> dict[str, Any]:
    """What is kept of a failure elsewhere, by name."""
    kept: dict[str, Any] = {**to_columns(failure), CLASS: failure.failure_class.value}
    return kept if failure.retry_after_s is None else {**kept, RETRY_AFTER: failure.retry_after_s}


def from_record(kept: Mapping[str, Any]) -> Failure | None:
    """The failure that was kept so; None where none was."""
    return failure_of(kept.get(CAUSE), kept.get(DETAILS), kept.get(RETRY_AFTER))


def failure_of(cause: str | None, details: str | None, retry_after_s: float | None = None) -> Failure | None:
    """The failure with this code and these details; None without a code."""
    return leaf_of(cause)(details or "", retry_after_s=retry_after_s) if cause else None


def to_text(failure: Failure) -> str:
    """What is kept of it where a text alone is: its code and its sentence."""
    return f"{failure.code}: {failure}"


def from_text(kept: str) -> Failure:
    """The failure that was kept so; without its details where its sentence was another one then."""
    code, _, told = kept.partition(": ")
    leaf = leaf_of(code)
    details = told.removeprefix(f"{leaf.sentence} (")
    return leaf("" if details == told else details.removesuffix(")"))


def public_sentence(failure: Failure) -> str:
    """What happened and what to do, for a person outside: no key, host or folder of ours is named in it."""
    details = public_details(failure)
    return f"{failure.sentence} ({details})" if details else failure.sentence


def public_details(failure: Failure) -> str:
    """What is special to the case, in technical words; empty where it would name what is ours."""
    hidden = failure.failure_class is FailureClass.OPERATOR or failure.resource in {Resource.STORE, Resource.WORKER}
    return "" if hidden or failure.is_internal else _PATH.sub("…", failure.details)
