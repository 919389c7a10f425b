"""Which addresses may be reached.

A host is judged by what it resolves to, never by its spelling, and whoever asks connects to the very addresses that
were judged: a second resolution could give another answer (DNS rebinding). See OWASP's SSRF prevention cheat sheet.
"""

import socket
from collections.abc import Callable, Sequence

from madvision_assets.domain.failures import HostUnresolvedError, RefusedAddressError
from madvision_assets.domain.networks import Network, is_allowed_where_private_ones_are, is_public

Resolve = Callable[[str, int], Sequence[str]]


def resolve_host(host: str, port: int) -> list[str]:
    """The host's addresses as the system resolves them, without duplicates, in order of preference.

    Raises:
        HostUnresolvedError: there are none, or the name cannot be one.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        raise HostUnresolvedError(host) from error
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


def vet(
    host: str,
    port: int,
    allow_private: bool,
    *,
    refused: Sequence[Network] = (),
    resolve: Resolve = resolve_host,
) -> list[str]:
    """The addresses of a host, all of them found fit to connect to.

    Args:
        host: name or literal address.
        port: any.
        allow_private: take private and loopback addresses too.
        refused: networks that are refused whatever is allowed.
        resolve: turns host and port into addresses.

    Raises:
        HostUnresolvedError: no address.
        RefusedAddressError: one of the addresses is not fit; a host that mixes them is not trusted with the rest.
    """
    addresses = list(resolve(host, port))
    if not addresses:
        raise HostUnresolvedError(host)
    is_fit = is_allowed_where_private_ones_are if allow_private else is_public
    if not all(is_fit(address, refused) for address in addresses):
        raise RefusedAddressError(host)
    return addresses
