"""Which IP addresses are not of the public internet: a table of our own.

``ipaddress`` changes its mind between versions of Python (192.0.0.192, a metadata service, is global for 3.11.7), and
knows nothing of what clouds put into public space. Sources: IANA's special-purpose registries of IPv4 (RFC 6890) and of
IPv6, and what the clouds document of their metadata services.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Hand out credentials to whoever asks from inside, so that nothing ever allows them.
METADATA = tuple(
    ip_network(each)
    for each in (
        "169.254.0.0/16",  # AWS, Google, Azure, DigitalOcean …; AWS's for containers; link-local as a whole
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.192/32",  # Oracle
        "100.100.100.200/32",  # Alibaba
        "fd00:ec2::/32",  # AWS over IPv6: instance data, DNS, time
        "fd20:ce::254/128",  # Google over IPv6
        "fd00:c1::a9fe:a9fe/128",  # Oracle over IPv6
        "fd00:42::42/128",  # Scaleway
        "fd00:a9fe:a9fe::1/128",  # Akamai (Linode) over IPv6
        "fe80::/10",  # link-local
    )
)
# No host to talk to, in any network.
NO_HOST = tuple(ip_network(each) for each in ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8"))
NOT_PUBLIC_V4 = tuple(
    ip_network(each)
    for each in (
        "10.0.0.0/8",  # private use, RFC 1918
        "100.64.0.0/10",  # behind a carrier's NAT, RFC 6598
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112 and its kind: sinks
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4's relays, deprecated
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",  # reserved
    )
)
# What is handed out to the public, less what is special within it.
GLOBAL_UNICAST_V6 = ip_network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    ip_network(each)
    for each in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID and the like
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, deprecated by RFC 7526
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation, RFC 9637
    )
)

_LOW_32 = 0xFFFFFFFF
NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits
NAT64_LOCAL = ip_network("64:ff9b:1::/48")  # RFC 8215: where they are is for the network to say
COMPATIBLE = ip_network("::/96")  # RFC 4291, deprecated
MAPPED = ip_network("::ffff:0:0/96")  # the kernel connects to the IPv4 address
TRANSLATED = ip_network("::ffff:0:0:0/96")  # RFC 2765
SIX_TO_FOUR = ip_network("2002::/16")
TEREDO = ip_network("2001::/32")
ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: bits 32 to 63 of the host's part


def is_public(address: str, refused: Iterable[Network] = ()) -> bool:
    """Whether an IP address, and every IPv4 address that it carries inside, is one of the public internet.

    Args:
        address: IPv4 or IPv6, with or without a zone.
        refused: taken for not public too.
    """
    found = list(_with_embedded(address))
    return not (_within(found, METADATA) or _within(found, NO_HOST) or _within(found, refused)) and all(
        map(_is_public, found)
    )


def is_allowed_where_private_ones_are(address: str, refused: Iterable[Network] = ()) -> bool:
    """Whether an IP address may be reached where private ones are allowed: never one that gives credentials away."""
    found = list(_with_embedded(address))
    return not (_within(found, METADATA) or _within(found, NO_HOST) or _within(found, refused))


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks and addresses, set apart by commas or spaces.

    Raises:
        ValueError: one of them is neither; the message names it.
    """
    return tuple(ip_network(each, strict=False) for each in text.replace(",", " ").split())


def _within(found: Sequence[Address], networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks for address in found)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not _within([address], NOT_PUBLIC_V4)
    carries = any(address in network for network in (NAT64, MAPPED))
    if carries:  # judged by what they carry
        return True
    return address in GLOBAL_UNICAST_V6 and not _within([address], NOT_PUBLIC_V6)


def _with_embedded(text: str) -> Iterator[Address]:
    """The address, and every IPv4 address that a gateway or the kernel may read in it."""
    address = ip_address(text.partition("%")[0])
    yield address
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if any(address in network for network in (NAT64, MAPPED, TRANSLATED)):
        yield IPv4Address(number & _LOW_32)
    elif address in NAT64_LOCAL:
        yield from _translated_by_somebody(number)
    elif address in COMPATIBLE and number >> 24:  # not ::1 and its like
        yield IPv4Address(number)
    elif address in SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & _LOW_32)
    elif address in TEREDO:  # its server, and its client, whose bits are flipped
        yield IPv4Address(number >> 64 & _LOW_32)
        yield IPv4Address(~number & _LOW_32)
    elif number >> 32 & _LOW_32 in ISATAP:
        yield IPv4Address(number & _LOW_32)


def _translated_by_somebody(number: int) -> Iterator[IPv4Address]:
    """By prefixes of 48, 56, 64 and 96 bits; RFC 6052, section 2.2: bits 64 to 71 are passed over."""
    without_gap = number >> 64 << 56 | number & (1 << 56) - 1
    read = [without_gap >> 120 - 32 - prefix_bits & _LOW_32 for prefix_bits in (48, 56, 64)]
    yield from (IPv4Address(each) for each in [*read, number & _LOW_32] if each >> 24)  # what begins with 0 is padding
