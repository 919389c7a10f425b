"""Which addresses may be reached.

A host is judged by what it resolves to, never by its spelling, and whoever asks connects to the very addresses that
were judged: a second resolution could give another answer (DNS rebinding). See OWASP's SSRF prevention cheat sheet.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from madvision_assets.domain.failures import HostUnresolvedError, RefusedAddressError

Resolve = Callable[[str, int], Sequence[str]]

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


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


def vet(host: str, port: int, allow_private: bool, *, resolve: Resolve = resolve_host) -> list[str]:
    """The addresses of a host, all of them found fit to connect to.

    Args:
        host: name or literal address.
        port: any.
        allow_private: take private and loopback addresses too.
        resolve: turns host and port into addresses.

    Raises:
        HostUnresolvedError: no address.
        RefusedAddressError: one of the addresses is not fit; a host that mixes them is not trusted with the rest.
    """
    addresses = list(resolve(host, port))
    if not addresses:
        raise HostUnresolvedError(host)
    if not all(_is_fit(address, allow_private) for address in addresses):
        raise RefusedAddressError(host)
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address, and any IPv4 address that it carries inside, is one of the public internet."""
    return all(_is_public(each) for each in _with_embedded(address))


def _is_fit(address: str, allow_private: bool) -> bool:
    if not allow_private:
        return is_public(address)
    # Link-local stays refused: a cloud's metadata service hands out credentials there.
    return not any(each.is_link_local or each.is_multicast or each.is_unspecified for each in _with_embedded(address))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    # is_global is true for multicast, and for the site-local block that RFC 3879 withdrew.
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local)


def _with_embedded(address: str) -> Iterator[IPv4Address | IPv6Address]:
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        yield parsed
    elif parsed.ipv4_mapped is not None:  # the kernel connects to the IPv4 address
        yield parsed.ipv4_mapped
    elif parsed in NAT64:  # and so does the gateway of an IPv6-only network
        yield IPv4Address(int(parsed) & 0xFFFFFFFF)
    else:
        yield parsed
        yield from filter(None, [parsed.sixtofour, *(parsed.teredo or ())])
