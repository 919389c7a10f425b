"""One spelling for an address, so that a video submitted twice is one partition, and what is stored is what is fetched.

Names of hosts go by UTS 46 and IDNA 2008, as browsers have them: by the rules of 2003 another host was fetched.
"""

import re
import unicodedata
from collections import Counter
from ipaddress import IPv6Address
from urllib.parse import quote, urlsplit, urlunsplit

from madvision_assets.domain.addresses import DEFAULT_PORTS, MAX_ADDRESS_CHARS, one_spelling
from madvision_assets.domain.failures import InvalidAddressError

# What people copy out of a browser's bar, or write by hand: a host with a dot and letters at its end, and a path.
_WITHOUT_SCHEME = re.compile(r"(?://)?((?:[^\W_][\w-]*\.)+[^\W\d_]{2,}(?::\d+)?/\S.*)", re.DOTALL)
_INVISIBLE = frozenset({"Cf", "Zs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # words of many scripts, and pictures, are spelled with them
# What stands around an address in a message: what opens, what closes, and what ends a sentence.
_OPENING = frozenset("<([{\"'\u2018\u201c\u201e\u201a\u00ab\u2039")
_CLOSING = {")": "(", "]": "[", "}": "{"}
_ENDING = frozenset(".,;:!?>\"'\u2019\u201d\u201c\u00bb\u203a\u2026\u3002\uff0c\u3001")
# An address after the words of a message, or in Markdown after the text of its link.
_BLANK = r"[ \t\r\n\u00a0\u2000-\u200a\u202f\u3000]"
_AFTER_WORDS = re.compile(rf"(?:{_BLANK}|\]\()[{re.escape(''.join(sorted(_OPENING)))}]*https?://", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(rf"{_BLANK}+|\]\(")
_BEGINS = re.compile(r"https?://", re.IGNORECASE)
# No words: what begins like a scheme or a path, and what has one or a user in it. Others may read these as the address.
_NO_WORD = re.compile(r"[a-z][a-z0-9+.-]*:|[/\\]\S|~/|.*(?:://|\\)|.+@", re.IGNORECASE | re.DOTALL)
_ONE_SLASH = re.compile(r"(https?):/(?=[^/])", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
# What a part after # has that says which video is meant, and not from where on it is played: a route of a page's own,
# or a name. Something has to stand behind it.
_ROUTE = re.compile(r"\A!|/|(?:\A|[?&])(?:v|vid|id|eid|uuid|video|video_?id|clip|media)=")
_TEXT_FRAGMENT = ":~:"
# How & is written in the source of a page, in as many layers as it was copied out of.
_AMPERSAND = re.compile(r"&(?:amp(?:;|%(?:25)*3[Bb]))+")
# What is dropped may have covered something, once or twice; no address that somebody copied takes more looks.
MAX_LOOKS = 8
MAX_HOST_CHARS = 253  # RFC 1035
_SAFE_IN_QUERY = "%:@!$&'()*+,;=~-._/?"  # signatures may depend on the exact spelling


def canonical_address(address: str) -> str:
    """One spelling for an ``http(s)`` address, which may lack its scheme, and stand in a sentence.

    Lower-cases scheme and host, drops default port, tracking and sharing, and a fragment that names no video; escapes
    what needs it.

    Raises:
        InvalidAddressError: not an http or https address with a host, or with credentials in it.
    """
    once = address
    for _ in range(MAX_LOOKS):
        before, once = once, _spelled(once)
        if once == before:
            return once
    raise InvalidAddressError("too much is packed into it; give the address as the browser shows it")


def _check_length(text: str) -> None:
    if len(text) > MAX_ADDRESS_CHARS:
        raise InvalidAddressError(f"it is longer than {MAX_ADDRESS_CHARS} characters")


def _check_seen(text: str) -> None:
    if not all(char.isprintable() or char in _JOINERS for char in text):
        raise InvalidAddressError("it contains control characters, or some that are not seen")


def _spelled(address: str) -> str:
    _check_length(address)
    typed = _from_among_words(_out_of_a_sentence(address))
    _check_seen(typed)
    if bare := _WITHOUT_SCHEME.fullmatch(typed):
        typed = f"https://{bare[1]}"
    elif (cut := _ONE_SLASH.match(typed)) and _WITHOUT_SCHEME.fullmatch(rest := typed[cut.end() :]):
        typed = f"{cut[1]}://{rest}"
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
    if "[" in parts.netloc and ":" not in host:
        raise InvalidAddressError("its host is no valid address")
    if not host:
        raise InvalidAddressError("it names no host")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != DEFAULT_PORTS[scheme]:
        netloc += f":{port}"
    path = _one_escaping(quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._"))
    query = quote(_AMPERSAND.sub("&", parts.query), safe=_SAFE_IN_QUERY)
    fragment = quote(parts.fragment, safe=_SAFE_IN_QUERY) if _is_route(parts.fragment) else ""
    return urlunsplit(one_spelling(urlsplit(urlunsplit((scheme, netloc, path, query, fragment)))))


def _is_route(fragment: str) -> bool:
    found = _ROUTE.search(fragment)
    return found is not None and not fragment.startswith(_TEXT_FRAGMENT) and bool(fragment[found.end() :].strip("!/"))


def without_wrapping(address: str) -> str:
    """An address without the spaces, marks of no width and angle brackets around it, and else as it was written."""
    start, end = 0, len(address)
    while start < end and _is_wrapping(address[start]):
        start += 1
    while end > start and _is_wrapping(address[end - 1]):
        end -= 1
    return address[start:end]


def host_name(host: str) -> str:
    """A host as name servers are asked for it: in ASCII, by UTS 46 and IDNA 2008; of IPv6, by RFC 5952.

    Raises:
        InvalidAddressError: it can be no name.
    """
    if ":" in host:
        return _one_ipv6(host)
    if len(host) > MAX_HOST_CHARS + 1:  # with a dot at its end
        raise InvalidAddressError("its host is no valid name")
    name = host.rstrip(".").lower() if host.isascii() else _in_ascii(host)
    if name and not _HOST.fullmatch(name):
        raise InvalidAddressError("its host is no valid name")
    return name


def _in_ascii(host: str) -> str:
    import idna  # 10 ms with its tables, for the few hosts that need them

    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False).rstrip(".")
        labels = [label if label.isascii() else idna.alabel(label).decode() for label in mapped.split(".")]
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidAddressError("its host is no valid name") from error
    return ".".join(labels).lower()


def _one_ipv6(host: str) -> str:
    try:
        address = IPv6Address(host)
    except ValueError as error:
        raise InvalidAddressError("its host is no valid address") from error
    low = int(address)
    # Versions of Python differ in how they write these.
    return f"::ffff:{low >> 16 & 0xFFFF:x}:{low & 0xFFFF:x}" if address.ipv4_mapped else address.compressed


def _one_escaping(path: str) -> str:
    """A path as RFC 3986 normalises it: nothing escaped that need not be, large digits, no ``.`` and ``..``."""

    def one(found: re.Match[str]) -> str:
        char = chr(int(found[1], 16))
        return char if _UNRESERVED.fullmatch(char) else found[0].upper()

    _check_length(path)
    kept: list[str] = []
    names = _ESCAPE.sub(one, path).split("/")[1:]
    for name in names:
        if name == "..":
            del kept[-1:]
        elif name != ".":
            kept.append(name)
    return "/" + "/".join([*kept, ""] if names[-1] in {".", ".."} else kept)


def _out_of_a_sentence(text: str) -> str:
    """Without spaces, marks of no width, brackets, quotes and stops that came along when something was copied."""
    start, end = 0, len(text)
    while start < end and (text[start].isspace() or _is_invisible(text[start]) or text[start] in _OPENING):
        start += 1
    opened = Counter(text[start:end])
    while end > start:
        last = text[end - 1]
        unopened = last in _CLOSING and opened[last] > opened[_CLOSING[last]]
        if not (last.isspace() or _is_invisible(last) or last in _ENDING or unopened):
            break
        opened[last] -= 1
        end -= 1
    return text[start:end]


def _from_among_words(text: str) -> str:
    """The one address of a text that has words before it, or another address after it; any other text as it is."""
    if not _AFTER_WORDS.search(text):
        return text
    pieces = [_out_of_a_sentence(each) for each in _BETWEEN_WORDS.split(text)]
    found = {each for each in pieces if _BEGINS.match(each) or _WITHOUT_SCHEME.fullmatch(each)}
    for each in pieces:
        _check_seen(each)
        if each not in found and _NO_WORD.match(each):
            raise InvalidAddressError("more than words stands around it; give the address alone")
    if len(found) > 1:
        raise InvalidAddressError("it holds several addresses; give one at a time")
    return found.pop()


def _is_wrapping(char: str) -> bool:
    return char.isspace() or _is_invisible(char) or char in "<>"


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE
