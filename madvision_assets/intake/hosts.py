"""The Host header: a name that nobody gave this server is refused.

Otherwise a page of anybody's could lead its own name to this machine (DNS rebinding) and read what is answered, and
whoever sends a name decides what links in answers begin with.
"""

from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from starlette.types import Scope

from madvision_assets.intake.addresses import PRIVATE_SUFFIXES
from madvision_assets.intake.limits import FREE
from madvision_assets.intake.problems import ProblemError
from madvision_assets.settings import Settings

# Names that nobody can have on the public internet; "svc" and the like are a cluster's.
OURS = (*PRIVATE_SUFFIXES, "svc", "test", "invalid")


class Hosts:
    """The names of this server.

    Args:
        names: that it has on the public internet.
    """

    def __init__(self, *names: str) -> None:
        self._names = {name.lower() for name in names if name}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those that the settings give."""
        told = (urlsplit(url or "").hostname or "" for url in (settings.public_url, settings.internal_url))
        return cls(*told, *settings.allowed_hosts.replace(",", " ").split())

    def check(self, scope: Scope) -> None:
        """Return where the request gives one of the names, an address, or a name of a private network.

        Raises:
            ProblemError: ``unknown_host``.
        """
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if scope["path"] in FREE or not given:
            return
        if len(given) != 1 or not self._is_ours(given[0]):
            raise ProblemError(
                "unknown_host", "Its operator can add it: MADVISION_PUBLIC_URL, MADVISION_ALLOWED_HOSTS."
            )

    def _is_ours(self, given: str) -> bool:
        try:
            host = (urlsplit(f"//{given}").hostname or "").rstrip(".")
            if host in self._names or "." not in host.strip("[]") or host.endswith(tuple(f".{each}" for each in OURS)):
                return "@" not in given and "/" not in given
            ip_address(host)
        except ValueError:
            return False
        return "@" not in given and "/" not in given
