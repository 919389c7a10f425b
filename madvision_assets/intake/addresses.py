"""Which addresses are refused at the door, by their spelling alone.

No name is resolved here: a slow name server must not hold a request up. A name that leads to a private address is
caught by the egress proxy, which sees every connection of a download.
"""

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from madvision_assets.domain.addresses import DEFAULT_PORTS
from madvision_assets.domain.failures import HostUnresolvedError, InvalidAddressError, RefusedAddressError
from madvision_assets.domain.networks import Network
from madvision_assets.tools.download.addresses import canonical_address
from madvision_assets.tools.egress.vetting import vet

# Never of the public internet: RFC 6761, RFC 6762, RFC 8375, RFC 9476 and ICANN's choice of .internal.
PRIVATE_SUFFIXES = ("localhost", "local", "internal", "localdomain", "home.arpa", "lan", "intranet", "corp", "home")


def checked_address(address: str, *, allow_private: bool, refused: Sequence[Network] = ()) -> str:
    """The address in its one spelling.

    Args:
        address: as somebody wrote it.
        allow_private: take private and loopback hosts too.
        refused: networks that are never taken.

    Raises:
        InvalidAddressError: not an http or https address, or one that carries credentials.
        RefusedAddressError: its host is private, in whatever spelling.
    """
    canonical = canonical_address(address)
    parts = urlsplit(canonical)
    host = parts.hostname or ""
    try:
        vet(host, parts.port or DEFAULT_PORTS[parts.scheme], allow_private, refused=refused, resolve=_numeric)
    except HostUnresolvedError:
        _check_name(host, allow_private=allow_private)
    return canonical


def _numeric(host: str, port: int) -> list[str]:
    """The address that a numeric host means (127.1, 0x7f.1, 2130706433, ::1), as a connection would read it."""
    if ":" not in host and not host.rpartition(".")[2][:1].isdigit():
        return []  # the last part of every spelling of an IPv4 address begins with a digit
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError, OverflowError):
        return []
    return [str(where[0]) for *_, where in found]


def _check_name(host: str, *, allow_private: bool) -> None:
    labels = host.split(".")
    if not all(labels) or any(len(label) > 63 for label in labels):  # noqa: PLR2004 - RFC 1035
        raise InvalidAddressError("its host is no valid name")
    if labels[-1].isdigit() or labels[-1].startswith("0x") or ":" in host:
        raise InvalidAddressError("its host is a number, and not an address")
    private = len(labels) == 1 or any(host == each or host.endswith(f".{each}") for each in PRIVATE_SUFFIXES)
    if private and not allow_private:
        raise RefusedAddressError(host)
