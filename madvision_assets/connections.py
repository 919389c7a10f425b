"""The store and the database that the settings name; made alike for every room."""

from typing import TYPE_CHECKING

from madvision_assets.domain.aws import AwsAccess
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
    return Database(settings.effective_database_url)
