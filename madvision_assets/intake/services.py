"""What every route works with; ``request.app.state.services``."""

from dataclasses import dataclass

import structlog
from starlette.requests import Request

from madvision_assets.connections import make_database, make_quota_rules, make_store
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.urgency import Ageing
from madvision_assets.intake.estimates import Estimates
from madvision_assets.intake.quotas import QuotaDoor
from madvision_assets.settings import Settings
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.submissions import Submissions
from madvision_assets.tools.database.submitters import Submitters
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.quotas import Quotas


@dataclass(frozen=True)
class Services:
    """The outside parts of the intake, each safe to use from many threads."""

    settings: Settings
    database: Database
    submissions: Submissions
    store: ObjectStore
    submitters: Submitters
    quotas: QuotaDoor
    estimates: Estimates


def make_services(settings: Settings) -> Services:
    """The parts that the settings name; none of them is touched yet.

    Raises:
        ValueError: the address of the database or of the store cannot be one; the message names the variable.
    """
    database = make_database(settings)
    return Services(
        settings=settings,
        database=database,
        submissions=Submissions(database),
        store=make_store(settings),
        submitters=Submitters(database),
        quotas=QuotaDoor(Quotas(database, make_quota_rules(settings))),
        estimates=Estimates(database, Ageing(settings.priority_ageing_s)),
    )


def tell_operators(failure: Failure) -> None:
    """Write into the log what a client is not told in full."""
    structlog.get_logger("madvision.intake").warning("failure", cause=failure.code, details=failure.details)


def services_of(request: Request) -> Services:
    """The services of the application that got this request."""
    services: Services = request.app.state.services
    return services


def base_url_of(request: Request) -> str:
    """What links in an answer begin with, without a slash at its end."""
    public_url = services_of(request).settings.public_url
    return (public_url or str(request.base_url)).rstrip("/")
