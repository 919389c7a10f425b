"""The filtering proxy, by real connections."""

import contextlib
import http.client
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from madvision_assets.domain.failures import HostUnresolvedError, RefusedAddressError
from madvision_assets.domain.networks import is_public, networks_of
from madvision_assets.tools.egress import EgressProxy, vet
from madvision_assets_tests.served import served
from madvision_assets_tests.site import Page, Site
from madvision_assets_tests.tools.po_tokens import Provider

PUBLIC_ADDRESS = "93.184.215.14"
WAIT_S = 60.0


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[EgressProxy]:
    with EgressProxy(allow_private=True) as running:
        yield running


@contextlib.contextmanager
def connection_to(proxy: EgressProxy) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(proxy.url)
    with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=WAIT_S)) as connection:
        yield connection


def ask(
    proxy: EgressProxy, url: str, method: str = "GET", body: bytes | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    with connection_to(proxy) as connection:
        connection.request(method, url, body)
        answer = connection.getresponse()
        return answer, answer.read()


@contextlib.contextmanager
def server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A raw TCP server, for what no well-behaved web server does; gives its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(WAIT_S)
            handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 64

    with served(Server(("127.0.0.1", 0), Handler)) as port:
        yield port


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def tunnel(proxy: EgressProxy, host: str, port: int) -> socket.socket:
    parts = urlsplit(proxy.url)
    opened = socket.create_connection((parts.hostname, parts.port), timeout=WAIT_S)
    opened.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += opened.recv(1)
    assert head.startswith(b"HTTP/1.1 200"), head
    return opened


@pytest.mark.parametrize("address", [PUBLIC_ADDRESS, "8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8"])
def test_a_public_address_is_vetted(address: str) -> None:
    assert is_public(address)
    assert vet("video.example", 80, allow_private=False, resolve=lambda *_: [address]) == [address]


def test_a_host_with_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(RefusedAddressError):
        vet("video.example", 80, allow_private=False, resolve=lambda *_: [PUBLIC_ADDRESS, "10.0.0.1"])


@pytest.mark.parametrize("host", ["nonexistent.invalid", "", "a" * 64 + ".example", "a b", "-.example"])
def test_a_host_without_an_address_is_unresolved(host: str) -> None:
    with pytest.raises(HostUnresolvedError):
        vet(host, 80, allow_private=False, resolve=lambda *_: []) if not host else vet(host, 80, allow_private=False)


def test_loopback_is_vetted_where_private_addresses_are_allowed() -> None:
    assert vet("127.0.0.1", 80, allow_private=True) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1", "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254",
    ],
)  # fmt: skip
def test_the_metadata_service_is_refused_even_where_private_addresses_are_allowed(address: str) -> None:
    with pytest.raises(RefusedAddressError):
        vet("video.example", 80, allow_private=True, resolve=lambda *_: [address])


def test_a_get_passes_with_its_query_and_the_hosts_own_name(site: Site, proxy: EgressProxy) -> None:
    answer, body = ask(proxy, site.serve("/a?b=c%20d", b"hello", content_type="text/plain"))
    assert (answer.status, body, answer.headers["Content-Type"]) == (200, b"hello", "text/plain")
    assert site.hits("/a?b=c%20d")[0].headers["host"] == f"127.0.0.1:{site.port}"


def test_a_post_passes_with_its_body(site: Site, proxy: EgressProxy) -> None:
    answer, _ = ask(proxy, site.serve("/form", b"thanks"), "POST", b"x" * 1_000_000)
    assert answer.status == 200
    assert site.hits("/form")[0].body == b"x" * 1_000_000


def test_a_head_request_passes(site: Site, proxy: EgressProxy) -> None:
    answer, body = ask(proxy, site.serve("/a", b"12345"), "HEAD")
    assert (answer.status, answer.headers["Content-Length"], body) == (200, "5", b"")


def test_errors_of_the_site_pass_as_they_are(site: Site, proxy: EgressProxy) -> None:
    answer, body = ask(proxy, site.fail("/busy", 503, Retry_After="7"))
    assert (answer.status, answer.headers["Retry-After"], body) == (503, "7", b"sorry")


def test_a_private_host_is_refused_with_a_mark_and_recorded(site: Site) -> None:
    with EgressProxy(allow_private=False) as proxy:
        answer, _ = ask(proxy, site.serve("/secret", b"secret"))
        assert (answer.status, answer.headers["X-MadVision-Refused"]) == (403, "non-public address")
        assert (proxy.refusals, site.hits("/secret")) == (["127.0.0.1"], [])


def test_a_tunnel_to_a_private_host_is_refused_and_recorded(site: Site) -> None:
    with EgressProxy(allow_private=False) as proxy, connection_to(proxy) as connection:
        connection.set_tunnel("localhost", site.port)
        with pytest.raises(OSError, match="403 MadVision refused"):
            connection.request("GET", "/")
        assert proxy.refusals == ["localhost"]


def test_a_host_that_does_not_resolve_gets_a_502_and_is_recorded(proxy: EgressProxy) -> None:
    answer, _ = ask(proxy, "http://nonexistent.invalid/")
    assert (answer.status, proxy.unresolved) == (502, ["nonexistent.invalid"])


def test_a_port_where_nobody_listens_gets_a_502(proxy: EgressProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ask(proxy, f"http://127.0.0.1:{port}/")[0].status == 502
    assert proxy.unresolved == []


def test_a_host_is_resolved_once_and_the_vetted_address_is_the_one_connected_to(site: Site) -> None:
    answers = iter([[PUBLIC_ADDRESS], ["127.0.0.1"]])  # a name server that rebinds
    reached: list[str] = []

    def connect(address: str, port: int) -> socket.socket:
        reached.append(address)
        return socket.create_connection(("127.0.0.1", port), WAIT_S)

    with EgressProxy(allow_private=False, resolve=lambda *_: next(answers), connect=connect) as proxy:
        site.serve("/a", b"hello")
        assert ask(proxy, f"http://rebind.example:{site.port}/a")[1] == b"hello"
        assert ask(proxy, f"http://rebind.example:{site.port}/a")[0].status == 403
    assert reached == [PUBLIC_ADDRESS]


def test_the_next_address_is_tried_where_the_first_does_not_answer(site: Site) -> None:
    def connect(address: str, port: int) -> socket.socket:
        if address == "127.0.0.2":
            raise ConnectionRefusedError
        return socket.create_connection((address, port), WAIT_S)

    site.serve("/a", b"hello")
    with EgressProxy(allow_private=True, resolve=lambda *_: ["127.0.0.2", "127.0.0.1"], connect=connect) as proxy:
        assert ask(proxy, f"http://two.example:{site.port}/a")[1] == b"hello"


def test_several_tunnels_carry_bytes_both_ways_at_once(proxy: EgressProxy) -> None:
    def talk(number: int) -> bool:
        sent = bytes([number]) * 300_000
        with tunnel(proxy, "127.0.0.1", port) as opened:
            sender = threading.Thread(target=opened.sendall, args=(sent,))
            sender.start()
            came = b""
            while len(came) < len(sent):
                came += opened.recv(65536)
            sender.join(WAIT_S)
            return came == sent

    with server(echo) as port, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(talk, range(8)))


def test_a_body_passes_while_it_is_still_being_sent(proxy: EgressProxy) -> None:
    seen = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        assert seen.wait(WAIT_S)
        connection.sendall(b"later")

    with server(drip) as port, connection_to(proxy) as connection:
        connection.request("GET", f"http://127.0.0.1:{port}/")
        answer = connection.getresponse()
        assert answer.read(5) == b"first"
        seen.set()
        assert answer.read() == b"later"


def test_an_answer_says_that_the_connection_closes_though_the_server_would_keep_it(proxy: EgressProxy) -> None:
    left = threading.Event()

    def keep_alive(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        assert connection.recv(1) == b""
        left.set()

    with server(keep_alive) as port:
        answer, body = ask(proxy, f"http://127.0.0.1:{port}/")
        assert (body, answer.headers.get_all("Connection")) == (b"ok", ["close"])
        assert left.wait(WAIT_S)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 what\r\n\r\n"])
def test_a_server_that_speaks_no_http_gets_the_client_a_502(proxy: EgressProxy, said: bytes) -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)

    with server(speak) as port:
        assert ask(proxy, f"http://127.0.0.1:{port}/")[0].status == 502


@pytest.mark.parametrize("target", ["/origin-form", "https://127.0.0.1/", "ftp://127.0.0.1/", "http://"])
def test_anything_but_connect_and_http_gets_a_400(proxy: EgressProxy, target: str) -> None:
    assert ask(proxy, target)[0].status == 400


def test_a_silent_connection_is_closed_after_the_idle_timeout() -> None:
    with (
        server(echo) as port,
        EgressProxy(allow_private=True, idle_timeout_s=0.2) as proxy,
        tunnel(proxy, "127.0.0.1", port) as opened,
    ):
        assert opened.recv(1) == b""


def test_closing_the_proxy_ends_open_tunnels_and_leaves_no_thread(site: Site) -> None:
    with server(echo) as port:
        before = set(threading.enumerate())
        with EgressProxy(allow_private=True) as proxy:
            opened = tunnel(proxy, "127.0.0.1", port)
            ours = [each for each in set(threading.enumerate()) - before if each.name.startswith("egress-")]
        assert opened.recv(1) == b""
        opened.close()
        assert len(ours) == 2
        assert not any(thread.is_alive() for thread in ours)
        with pytest.raises(ConnectionRefusedError):
            ask(proxy, site.add("/a", Page()))


def test_what_the_operator_refuses_is_refused_whatever_is_allowed(site: Site) -> None:
    refused = networks_of("8.8.8.0/24, 127.0.0.1 2606:4700::/32")
    for address in ("8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111"):
        with pytest.raises(RefusedAddressError):
            vet("video.example", 80, allow_private=False, refused=refused, resolve=lambda *_, a=address: [a])
    with EgressProxy(allow_private=True, refused=refused) as proxy:
        answer, _ = ask(proxy, site.url("/a"))

    assert answer.status == 403
    assert proxy.refusals == ["127.0.0.1"]


def test_the_provider_of_tokens_is_asked_without_a_host_and_by_no_other_way() -> None:
    with Provider().running() as provider, EgressProxy(allow_private=False, token_provider=provider.address) as proxy:
        assert ask(proxy, "/ping")[1] == b'{"version": "2.0.2"}'
        assert ask(proxy, f"{provider.address}/ping")[0].status == 403
        with EgressProxy(allow_private=True) as without:
            assert ask(without, "/ping")[0].status == 400


def test_a_provider_of_tokens_is_sent_no_endless_body() -> None:
    with Provider().running() as provider, EgressProxy(allow_private=False, token_provider=provider.address) as proxy:
        with connection_to(proxy) as connection:
            connection.putrequest("POST", "/get_pot")
            connection.putheader("Content-Length", str(1 << 40))
            connection.endheaders()
            assert connection.getresponse().status == 400
        assert provider.asked == []
