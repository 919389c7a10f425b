"""Claims about the intake's edge: who may connect, for how long, under which name, and whom he may have called."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from madvision_assets.intake import connections
from madvision_assets_tests.intake.serving import ADDRESS, Intake, serving, settings_in

HEAD_LIMIT_S = 0.5
WAIT_S = 30.0
HOOK = "https://hooks.example.org/done"


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Intake]:
    """An intake that trusts no proxy, lets a client hold three connections, and waits half a second for a head."""
    monkeypatch.setattr(connections.Held.__init__, "__defaults__", (HEAD_LIMIT_S, WAIT_S))
    settings = settings_in(
        tmp_path, connections_per_client=3, trusted_proxies="", public_url="https://clips.example.org"
    )
    with serving(settings) as running:
        running.client.close()  # its own connection counts
        yield running


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_connection_that_does_not_come_to_the_point_is_closed(hasty: Intake, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=WAIT_S) as connection:
        connection.sendall(said)

        assert _rest_of(connection) == b""


def test_a_head_that_comes_byte_by_byte_gains_no_time(hasty: Intake) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=HEAD_LIMIT_S / 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(1000):
            try:
                connection.sendall(b"x")
                assert connection.recv(1) == b""
                break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it went on for ever")


def test_a_client_holds_so_many_connections_and_can_come_again(hasty: Intake) -> None:
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as held:
        opened = [
            held.enter_context(socket.create_connection(("127.0.0.1", hasty.port), timeout=WAIT_S)) for _ in range(3)
        ]
        for each in opened:
            each.sendall(ask)
            assert each.recv(12) == b"HTTP/1.1 200"
        one_more = held.enter_context(socket.create_connection(("127.0.0.1", hasty.port), timeout=WAIT_S))
        with suppress(OSError):
            one_more.sendall(ask)
        assert _rest_of(one_more) == b""  # not even an answer
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=WAIT_S) as again:
        again.sendall(ask)
        assert again.recv(12) in {b"HTTP/1.1 200", b""}


@pytest.mark.parametrize(
    "host",
    [
        *("clips.example.org", "CLIPS.example.org:443", "127.0.0.1:8000", "[::1]:8000"),
        *("localhost", "intake.ns.svc", "intake"),
    ],
)
def test_this_server_answers_to_its_own_names(tmp_path: Path, host: str) -> None:
    with serving(settings_in(tmp_path, public_url="https://clips.example.org")) as running:
        assert running.client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "clips.example.org.evil.example", "clips.example.org@evil.example"])
def test_and_to_no_other(intake: Intake, host: str) -> None:
    refused = intake.client.get("/public/video/status?token=x", headers={"Host": host})

    assert (refused.status_code, refused.json()["code"]) == (421, "unknown_host")
    assert intake.client.get("/healthz", headers={"Host": host}).status_code == 200  # probes ask by any name


def test_a_batch_has_nobody_called_a_thousand_times(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, callbacks_per_minute=3)
    with serving(settings) as running:
        many = [{"url": f"{ADDRESS}?n={n}", "callback_url": HOOK} for n in range(4)]
        refused = running.client.post("/public/videos", json={"videos": many})
        taken = running.client.post("/public/videos", json={"videos": many[:3]})
        once_more = running.client.post("/public/video", json=many[3])
        without = running.client.post("/public/video", json={"url": ADDRESS})

    assert [refused.status_code, taken.status_code, once_more.status_code, without.status_code] == [429, 202, 429, 202]
    assert refused.headers["retry-after"]


def test_a_client_has_one_host_called_in_a_minute(tmp_path: Path) -> None:
    with serving(settings_in(tmp_path, callbacks_per_minute=100)) as running:
        statuses = [
            running.client.post("/public/video", json={"url": ADDRESS, "callback_url": url}).status_code
            for url in (HOOK, "https://HOOKS.example.org/other", "https://victim.example.net/")
        ]

    assert statuses == [202, 202, 429]


def _rest_of(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""
