"""One spelling for an address, so that a video submitted twice is one partition, and what is stored is what is fetched.

Names of hosts go by UTS 46 and IDNA 2008, as browsers have them: by the rules of 2003 another host was fetched.
"""

import re
import unicodedata
from urllib.parse import quote, urlsplit, urlunsplit

from madvision_assets.domain.addresses import DEFAULT_PORTS, MAX_ADDRESS_CHARS, one_spelling
from madvision_assets.domain.failures import InvalidAddressError

# What people copy out of a browser's bar, or write by hand: a host with a dot and letters at its end, and a path.
_WITHOUT_SCHEME = re.compile(r"(?://)?((?:[^\W_][\w-]*\.)+[^\W\d_]{2,}(?::\d+)?/\S.*)", re.DOTALL)
_INVISIBLE = frozenset({"Cf", "Zs", "Zl", "Zp"})


def canonical_address(address: str) -> str:
    """One spelling for an ``http(s)`` address, which may lack its scheme.

    Lower-cases scheme and host, drops default port, fragment, tracking and sharing, and escapes what needs it.

    Raises:
        InvalidAddressError: not an http or https address with a host, or with credentials in it.
    """
    if len(address) > MAX_ADDRESS_CHARS:
        raise InvalidAddressError(f"it is longer than {MAX_ADDRESS_CHARS} characters")
    typed = _without_invisible_ends(address)
    if not typed.isprintable():
        raise InvalidAddressError("it contains control characters")
    if bare := _WITHOUT_SCHEME.fullmatch(typed):
        typed = f"https://{bare[1]}"
    try:
        parts = urlsplit(typed)
        port = parts.port
        has_credentials = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise InvalidAddressError(str(error)) from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise InvalidAddressError("only http:// and https:// addresses are taken")
    if has_credentials:
        raise InvalidAddressError("it carries credentials; give an address without user and password")
    host = host_name(parts.hostname or "")
    if not host:
        raise InvalidAddressError("it names no host")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != DEFAULT_PORTS[scheme]:
        netloc += f":{port}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="%:@!$&'()*+,;=~-._/?")  # signatures may depend on the exact spelling
    return urlunsplit(one_spelling(urlsplit(urlunsplit((scheme, netloc, path, query, "")))))


def host_name(host: str) -> str:
    """A host as name servers are asked for it: in ASCII, by UTS 46 and IDNA 2008.

    Raises:
        InvalidAddressError: it can be no name.
    """
    if host.isascii():
        return host.rstrip(".").lower()
    import idna  # 10 ms with its tables, for the few hosts that need them

    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False).rstrip(".")
        labels = [label if label.isascii() else idna.alabel(label).decode() for label in mapped.split(".")]
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidAddressError("its host is no valid name") from error
    return ".".join(labels).lower()


def _without_invisible_ends(address: str) -> str:
    """Without the spaces and marks of no width at both ends that come along when something is copied."""
    address = address.strip()
    start, end = 0, len(address)
    while start < end and unicodedata.category(address[start]) in _INVISIBLE:
        start += 1
    while end > start and unicodedata.category(address[end - 1]) in _INVISIBLE:
        end -= 1
    return address[start:end].strip()
