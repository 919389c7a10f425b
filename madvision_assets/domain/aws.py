"""How the services of AWS, and servers that speak as they do, are reached."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


@dataclass(frozen=True)
class AwsAccess:
    """How to reach S3 and SQS; what is None or empty comes from AWS's variables, or its chain of credentials.

    Addresses are path-style (``endpoint/bucket/key``), which every server takes.

    Attributes:
        endpoint_url: of an S3-compatible server. Plain ``http://`` is allowed only where it is said here.
        region: such as ``eu-central-1``.
        access_key_id: with ``secret_access_key``, and ``session_token`` where the key is a temporary one.
        secret_access_key: see there.
        session_token: see there.

    Raises:
        ValueError: the endpoint is no address of a server; obstore would panic on it, later.
    """

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the endpoint."""
        if not self.endpoint_url:
            return
        parts = urlsplit(self.endpoint_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not _HOST.fullmatch(parts.netloc):
            raise ValueError("AWS_ENDPOINT_URL_S3 must be the address of a server, such as https://s3.example.org:9000")
