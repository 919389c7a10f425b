"""Taking submissions in: what the JSON routes, the batch and the page's form have in common."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from madvision_assets.domain.failures import Failure, InvalidAddressError
from madvision_assets.domain.networks import networks_of
from madvision_assets.domain.video import Options, Video
from madvision_assets.intake.addresses import checked_address
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import SubmissionAccepted, SubmissionRequest
from madvision_assets.intake.services import Services
from madvision_assets.tools.database.submissions import NewSubmission, Receipt
from madvision_assets.tools.download.addresses import without_wrapping
from madvision_assets.tools.download.identify import identify


def submit_one(services: Services, asked: SubmissionRequest, client: str) -> Receipt:
    """Take one video in.

    Args:
        services: of the intake.
        asked: what is asked for.
        client: who asks.

    Raises:
        ProblemError: one of its addresses is refused, or the client's share of the day is used up; says which.
        Failure: the database is away.
    """
    submitter = admitted(services, client)
    (receipt,) = services.submissions.add([replace(checked(services, asked), submitter=submitter)])
    return receipt


def submit_many(services: Services, asked: Sequence[Any], client: str) -> list[Receipt | ProblemError]:
    """Take in what can be taken, in one transaction; gives a receipt or a problem for each, in the same order.

    Args:
        services: of the intake.
        asked: each as for one video.
        client: who asks.

    Raises:
        ProblemError: the client's share of the day is used up; then none is taken.
        Failure: the database is away; likewise.
    """
    submitter = admitted(services, client)
    answers: dict[int, Receipt | ProblemError] = {}
    wanted: dict[int, NewSubmission] = {}
    for n, each in enumerate(asked):
        try:
            wanted[n] = replace(checked(services, SubmissionRequest.model_validate(each)), submitter=submitter)
        except ValidationError as error:
            answers[n] = ProblemError.of_validation(error)
        except ProblemError as error:
            answers[n] = error
    answers.update(zip(wanted, services.submissions.add(list(wanted.values())), strict=True))
    return [answers[n] for n in range(len(asked))]


def admitted(services: Services, client: str) -> str:
    """The name of a client who has something left of the day.

    Raises:
        ProblemError: ``quota_spent``.
        Failure: the database is away.
    """
    submitter = services.submitters.name(client)
    services.quotas.check(submitter)
    return submitter


def checked(services: Services, asked: SubmissionRequest) -> NewSubmission:
    """What is taken in for a request.

    Raises:
        ProblemError: one of its addresses is refused; says which.
    """
    allow_private, refused = services.settings.allow_private, networks_of(services.settings.refused_networks)
    try:
        address = checked_address(asked.url, allow_private=allow_private, refused=refused)
        video_id = identify(address)
    except Failure as failure:
        raise ProblemError.of(failure, pointer="/url") from failure
    callback_url = checked_callback(services, asked.callback_url)
    options = Options.model_validate(asked.options.model_dump()) if asked.options else Options()
    video = Video(video_id=services.database.partition_of(video_id, options), address=address, options=options)
    return NewSubmission(video, asked.priority, callback_url)


def checked_callback(services: Services, url: str | None) -> str | None:
    """The address that is called, as it is kept; None where nothing is asked to be.

    Its query stays as it is: whoever is called may tell his own videos by it.

    Raises:
        ProblemError: it is refused, or could not be called.
    """
    if url is None:
        return None
    allow_private, refused = services.settings.allow_private, networks_of(services.settings.refused_networks)
    called = without_wrapping(url)
    try:
        checked_address(called, allow_private=allow_private, refused=refused)
        if not called.lower().startswith(("http://", "https://")):
            raise InvalidAddressError("give where to call in full, from http:// or https:// on")
    except Failure as failure:
        raise ProblemError.of(failure, pointer="/callback_url") from failure
    return called


def accepted(receipt: Receipt, base_url: str) -> SubmissionAccepted:
    """What the submitter is told.

    Args:
        receipt: of the submission.
        base_url: what the links begin with, without a slash at its end.
    """
    return SubmissionAccepted(
        token=receipt.token,
        video_id=receipt.row.video_id,
        status=receipt.row.status,
        status_url=f"{base_url}/public/video/status?token={receipt.token}",
        page_url=f"{base_url}/video/{receipt.token}",
        callback_secret=receipt.callback_secret,
    )
