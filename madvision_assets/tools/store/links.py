"""Links to objects on S3 that say under which name they are saved; obstore signs no such words."""

from typing import Any

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import StoreDeniedError
from madvision_assets.tools.store.backends import Location


class NamedLinks:
    """Signs links to the objects of one location; asks nobody but for credentials, where AWS's chain has them.

    Args:
        location: on S3.
        s3: how to reach it.
    """

    def __init__(self, location: Location, s3: AwsAccess) -> None:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        self._location = location
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=s3.endpoint_url or None,
            region_name=s3.region,
            aws_access_key_id=s3.access_key_id,
            aws_secret_access_key=s3.secret_access_key,
            aws_session_token=s3.session_token,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                response_checksum_validation="when_required",  # else a header is signed that no browser sends
            ),
        )

    def sign(self, key: str, expires_s: float, disposition: str, media_type: str) -> str:
        """A link that lets anybody read the object, and has it sent with these two headers.

        Raises:
            StoreDeniedError: there are no credentials, or they are refused.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        asked = {
            "Bucket": self._location.bucket,
            "Key": f"{self._location.prefix}/{key}".lstrip("/"),
            "ResponseContentDisposition": disposition,
            "ResponseContentType": media_type,
        }
        try:
            signed: str = self._client.generate_presigned_url("get_object", asked, ExpiresIn=int(expires_s))
        except (BotoCoreError, ClientError) as error:  # the latter where STS refuses
            raise StoreDeniedError(f"{key}: AWS gives no credentials to sign a link with") from error
        return signed
