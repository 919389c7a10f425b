"""Addresses of what is inside, in every spelling: at the intake's door as a video and as a callback, and at the proxy.

``make`` is given the port of the inside server and gives the address. Each is tried at both lines, whatever the first
says: by the proxy as the address that the downloader would ask for, by GET and by CONNECT.
"""

import http.client
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

from madvision_assets.domain.failures import HostUnresolvedError, InvalidAddressError
from madvision_assets.tools.download.addresses import canonical_address
from madvision_assets.tools.egress import EgressProxy, resolve_host
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.attack.networks import NOT_PUBLIC
from madvision_assets_tests.attack.rows import Attack, End, Ended, Family, Play
from madvision_assets_tests.intake.serving import ADDRESS, Intake, serving, settings_in

PUBLIC_ADDRESS = "93.184.215.14"
CONNECT_S = 2.0
REFUSAL_CODES = {"refused_address", "invalid_address"}
INSIDE = ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "168.63.129.16")
LOCAL_NAMES = (
    *("localhost", "LOCALHOST.", "a.localhost", "localhost.localdomain", "ip6-localhost", "printer.local"),
    *("metadata.google.internal", "kubernetes.default.svc.cluster.local", "database.internal", "router.lan"),
    *("nas.home.arpa", "intranet", "wiki.corp", "db.intranet", "host.docker.internal", "minio", "tv.home"),
)
# Names that look public, by the answers of their name server, one for each time that it is asked.
NAMES: dict[str, Sequence[Sequence[str]]] = {
    "loopback.example": [["127.0.0.1"]],
    "loopback-range.example": [["127.8.8.8"]],
    "private.example": [["10.0.0.1"]],
    "mixed.example": [[PUBLIC_ADDRESS, "127.0.0.1"]],
    "mixed-first.example": [["127.0.0.1", PUBLIC_ADDRESS]],
    "mixed-last-of-many.example": [[PUBLIC_ADDRESS] * 5 + ["127.0.0.1"]],
    "rebinding.example": [[PUBLIC_ADDRESS], ["127.0.0.1"]],
    "rebinding-back.example": [["127.0.0.1"], [PUBLIC_ADDRESS]],
    "metadata.example": [["169.254.169.254"]],
    "azure.example": [["168.63.129.16"]],
    "oracle.example": [["192.0.0.192"]],
    "alibaba.example": [["100.100.100.200"]],
    "carrier.example": [["100.64.0.1"]],
    "v6.example": [["::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "nat64.example": [["64:ff9b::7f00:1"]],
    "six-to-four.example": [["2002:7f00:1::1"]],
    "teredo.example": [["2001:0:7f00:1::1"]],
    "isatap.example": [["2606:4700::200:5efe:7f00:1"]],
    "aws-v6.example": [["fd00:ec2::254"]],
    "unique-local.example": [["fd12:3456::1"]],
    "link-local.example": [["fe80::1%lo"]],
    "nothing.example": [["0.0.0.0"]],
    "nothing-v6.example": [["::"]],
    "broadcast.example": [["255.255.255.255"]],
    "127.0.0.1.nip.example": [["127.0.0.1"]],
    "xn--lclhst-xxa.example": [["127.0.0.1"]],
}
SCHEMES = (
    "file:///etc/passwd", "file://localhost/etc/passwd", "FILE:///etc/passwd", "url:file:///etc/passwd",
    "ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_GET%20/", "dict://127.0.0.1:{port}/d", "ldap://127.0.0.1:{port}/",
    "tftp://127.0.0.1:{port}/a", "sftp://127.0.0.1:{port}/a", "rtmp://127.0.0.1:{port}/a", "rtsp://127.0.0.1:{port}/a",
    "rtp://127.0.0.1:{port}", "udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}", "unix:///run/docker.sock",
    "mms://127.0.0.1:{port}/", "ws://127.0.0.1:{port}/", "jar:http://127.0.0.1:{port}/a!/b", "view-source:http://127.0.0.1:{port}/",
    "data:text/html,<video src=http://127.0.0.1:{port}/>", "javascript:alert(1)", "concat:http://127.0.0.1:{port}/|b",
    "subfile,,start,0,end,9,,:/etc/passwd", "pipe:0", "async:http://127.0.0.1:{port}/", "cache:http://127.0.0.1:{port}/",
    "s3://bucket/key", "received://0123", "ytsearch:cats", "blob:http://127.0.0.1:{port}/a", "about:blank",
    "/etc/passwd",
    "C:\\Windows\\win.ini", "\\\\127.0.0.1\\c$\\a.mp4", "~/.ssh/id_rsa",
)  # fmt: skip
# What parsers of addresses read in different ways.
CONFUSED = (
    "http://public.example@127.0.0.1:{port}/", "http://127.0.0.1:{port}#@public.example/",
    "http://127.0.0.1:{port}?@public.example/", "http://127.0.0.1:{port}\\@public.example/",
    "http://public.example\\@127.0.0.1:{port}/", "http://public.example:80@127.0.0.1:{port}/", "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/", "http:///127.0.0.1:{port}/", "http:\\\\127.0.0.1:{port}\\", "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/a", "http://127.0.0.1:{port}\t/", "ht\ntp://127.0.0.1:{port}/",
    "http://127.0.0.1\r\nX: y:{port}/",
    "http://127.0.0.1\x00.public.example:{port}/", "http://[127.0.0.1]:{port}/", "http://[::1%25lo]:{port}/",
    "http://127.0.0.1%2f@public.example/", "http://%31%32%37.0.0.1:{port}/", "http://127%2e0%2e0%2e1:{port}/",
    "http://127.0.0.1:{port}:80/", "http://127.0.0.1:+{port}/", "http://127.0.0.1.:{port}/", "http://127.0.0.1%00:{port}/",
    "http://\u200b127.0.0.1:{port}/", "http://127.0.0\u200b.1:{port}/", "http://127.0.0.1\u00ad:{port}/", "http://[::1]@127.0.0.1:{port}/",
    "http://loc\u00adalhost:{port}/", "http://\u2113ocalhost:{port}/", "http://localho\u017ft:{port}/", "http://0:{port}/",
    "http://127.1:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/", "http://[::0001]:{port}/", "http://0x7f.0x0.0x0.0x1:{port}/", "http://127.000.000.001:{port}/",
    "http://00000177.0.0.1:{port}/", "http://127.0.0.1.0x:{port}/", "http://4294967296:{port}/", "http://0x1007f000001:{port}/",
)  # fmt: skip
# What stands among words, where another reading takes another address.
AMONG_WORDS = (
    "See http://127.0.0.1:{port}/", "[x](http://127.0.0.1:{port}/)", "[http://127.0.0.1:{port}/](https://public.example/)",
    "https://public.example/ http://127.0.0.1:{port}/", "See https://public.example/ and 127.0.0.1:{port}/ or http://127.1:{port}/",
    "http://127.0.0.1:{port}/\nhttps://public.example/", "See //127.0.0.1:{port}/ https://public.example/",
    "javascript:alert(1) https://public.example/", "file:///etc/passwd https://public.example/", "/etc/passwd https://public.example/",
    "See https://public.example: x@127.0.0.1:{port}/", "See https://x:y@127.0.0.1:{port}/", "see:https://public.example/",
    "x <video src=http://127.0.0.1:{port}/> https://public.example/", "See \\\\127.0.0.1\\c$ https://public.example/",
    "https:/localhost.localdomain:{port}/", "See\x00https://public.example/", "See \x00 https://public.example/",
)  # fmt: skip


def spellings(address: str) -> Iterator[tuple[str, str]]:
    """Ways to write an IPv4 address as the host of a URL, each with its name."""
    number, octets = int(IPv4Address(address)), address.split(".")
    mapped = f"{number >> 16:x}:{number & 0xFFFF:x}"
    yield "decimal", str(number)
    yield "hexadecimal", f"{number:#x}"
    yield "hexadecimal parts", ".".join(f"{int(octet):#x}" for octet in octets)
    yield "octal", f"0{number:o}"
    yield "octal parts", ".".join(f"0{int(octet):o}" for octet in octets)
    yield "three parts", f"{octets[0]}.{octets[1]}.{number & 0xFFFF}"
    yield "two parts", f"{octets[0]}.{number & 0xFFFFFF}"
    yield "mixed bases", f"{int(octets[0]):#x}.0{int(octets[1]):o}.{number & 0xFFFF}"
    yield "full-width digits", "".join(chr(ord(each) + 0xFEE0) if each.isdigit() else each for each in address)
    yield "ideographic dots", address.replace(".", "\u3002")
    yield "half-width dots", address.replace(".", "\uff61")
    yield (
        "circled digits",
        "".join(
            chr(0x245F + int(each)) if each in "123456789" else "\u24ea" if each == "0" else each for each in address
        ),
    )
    yield "mapped", f"[::ffff:{address}]"
    yield "mapped, in hexadecimal", f"[::ffff:{mapped}]"
    yield "compatible", f"[::{address}]"
    yield "NAT64", f"[64:ff9b::{mapped}]"
    yield "6to4", f"[2002:{mapped}::1]"
    yield "translated", f"[::ffff:0:{mapped}]"


def _fixed(template: str) -> Attack:
    return Attack(template, "", lambda port: template.replace("{port}", str(port)))


def _rows() -> Iterator[Attack]:
    for address in INSIDE:
        for name, host in spellings(address):
            each = _fixed(f"http://{host}:{{port}}/")
            yield replace(each, name=f"{address}, {name}", kind="a numeric host, in other spellings")
    for address in NOT_PUBLIC:
        host = f"[{address}]" if ":" in address else address
        yield replace(_fixed(f"http://{host}:{{port}}/"), name=address, kind="networks that are not public")
    kinds = {
        "names of the inside": [f"http://{name}:{{port}}/" for name in LOCAL_NAMES],
        "what a name server answers": [f"http://{name}:{{port}}/" for name in NAMES],
        "addresses that are read in two ways": CONFUSED,
        "other schemes": SCHEMES,
        "addresses among words": AMONG_WORDS,
    }
    for kind, templates in kinds.items():
        for template in templates:
            yield replace(_fixed(template), kind=kind)


class Inside:
    """Name server and network of a proxy: answers as ``NAMES`` says, and tells the canaries of every connection."""

    def __init__(self, canaries: Canaries, public: dict[str, int] | None = None) -> None:
        self._canaries = canaries
        self._public = public or {}
        self._asked: dict[str, int] = {}

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """As the system does, but for names of ours."""
        if host in self._public:
            return [PUBLIC_ADDRESS]
        if host in NAMES:
            turn = self._asked[host] = self._asked.get(host, -1) + 1
            return NAMES[host][min(turn, len(NAMES[host]) - 1)]
        if host.rstrip(".").lower() in LOCAL_NAMES:
            return ["127.0.0.1"]
        if host.endswith(".example"):
            raise HostUnresolvedError(host)
        return resolve_host(host, port)

    def connect(self, address: str, port: int) -> socket.socket:
        """To our own site for the public address; whatever else is asked for is the inside."""
        if address == PUBLIC_ADDRESS and port in self._public.values():
            return socket.create_connection(("127.0.0.1", port), CONNECT_S)
        if address != PUBLIC_ADDRESS:
            self._canaries.connected(f"{address} port {port}")
            with suppress(OSError):
                return socket.create_connection((address, port), CONNECT_S)
        raise ConnectionRefusedError


@contextmanager
def opened(folder: Path, canaries: Canaries) -> Iterator[Play]:
    """The intake over HTTP, and a proxy as downloads have it."""
    inside = Inside(canaries)
    with (
        serving(settings_in(folder)) as intake,
        EgressProxy(allow_private=False, resolve=inside.resolve, connect=inside.connect) as proxy,
    ):

        def play(attack: Attack, _: Path, ready: Callable[[], None]) -> Ended:
            address = attack.make(canaries.port)
            ready()
            door = _at_the_door(intake, address)
            by_proxy = _at_the_proxy(proxy, address)
            if door.how is End.AT_THE_DOOR:
                return door if by_proxy is not None else replace(door, how=None, told="the proxy let it through")
            return Ended(by_proxy, f"taken at the door: {door.told}")

        yield play


def _at_the_door(intake: Intake, address: str) -> Ended:
    asked = intake.client.post("/public/video", json={"url": address})
    called = intake.client.post("/public/video", json={"url": ADDRESS, "callback_url": address})
    codes = {str(answer.json().get("code")) for answer in (asked, called)}
    if {asked.status_code, called.status_code} == {422} and codes <= REFUSAL_CODES:
        return Ended(End.AT_THE_DOOR, asked.text)
    return Ended(None, f"{asked.status_code} {called.status_code} {asked.text}")


def _at_the_proxy(proxy: EgressProxy, address: str) -> End | None:
    """What the proxy makes of what the downloader would ask for, and of the address as it is."""
    with suppress(InvalidAddressError):
        address = canonical_address(address)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:  # no client gets as far as asking
        return End.AT_THE_DOOR
    where = urlsplit(proxy.url)
    shown = f"[{host}]" if ":" in host else host
    for method, target in (("GET", f"http://{shown}:{port}/"), ("CONNECT", f"{shown}:{port}")):
        asked = target.encode("utf-8", "surrogatepass").decode("latin-1").replace(" ", "%20")
        with socket.create_connection((where.hostname, where.port), timeout=10.0) as connection:
            connection.sendall(f"{method} {asked} HTTP/1.1\r\nHost: {asked}\r\n\r\n".encode("latin-1"))
            answer = http.client.HTTPResponse(connection, method="GET")
            with suppress(http.client.HTTPException, OSError):
                answer.begin()
                if answer.status < http.HTTPStatus.BAD_REQUEST:
                    return None
    return End.BY_THE_PROXY


FAMILY = Family("addresses", list(_rows()), opened, wall_s=10.0)
