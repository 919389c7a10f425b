"""The store and the database that the settings name; made alike for every room."""

import tomllib
from typing import TYPE_CHECKING

from pydantic import ValidationError

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.quotas import QuotaRules
from madvision_assets.domain.sources import Sources
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.objects import ObjectStore

if TYPE_CHECKING:
    from madvision_assets.settings import Settings


def make_store(settings: "Settings") -> ObjectStore:
    """The object store."""
    return ObjectStore.from_url(settings.effective_store_url, s3=make_aws_access(settings))


def make_aws_access(settings: "Settings") -> AwsAccess:
    """How to reach S3, for the store and for uploads."""
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    return AwsAccess(
        endpoint_url=settings.aws_endpoint_url_s3 or settings.aws_endpoint_url,
        region=settings.aws_region or settings.aws_default_region,
        access_key_id=settings.aws_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        session_token=token.get_secret_value() if token else None,
    )


def make_database(settings: "Settings") -> Database:
    """The database of our own tables."""
    return Database(settings.effective_database_url, settings.revision)


def make_quota_rules(settings: "Settings") -> QuotaRules:
    """What each client may have taken in."""
    return QuotaRules(settings.quota_bytes_per_day, settings.quota_minutes_per_day)


def make_sources(settings: "Settings") -> Sources:
    """What the operator's file says of sites; nothing without one.

    Raises:
        SettingsError: it cannot be read, or a key in it holds what we cannot use.
    """
    from madvision_assets.settings import SettingsError

    if settings.sources_file is None:
        return Sources()
    try:
        return Sources.model_validate(tomllib.loads(settings.sources_file.expanduser().read_text()))
    except OSError as error:
        problem = error.strerror or "it cannot be read"
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problem = f"it is not TOML: {error}"
    except ValidationError as error:
        problem = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    raise SettingsError(f"Cannot use MADVISION_SOURCES_FILE. {problem}. See docs/operations.md.")
