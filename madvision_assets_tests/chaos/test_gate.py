"""Claims about the gate: each of its modes does to a client what it says."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from madvision_assets_tests.chaos.gate import CUT_AFTER_BYTES, SLOW_S, Gate, Mode
from madvision_assets_tests.site import Site

LARGE = bytes(range(256)) * 2000  # half a megabyte
LIMIT_S = 20.0


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        running.serve("/small", b"small")
        running.serve("/large", LARGE)
        yield running


@pytest.fixture
def gate(site: Site) -> Iterator[Gate]:
    with Gate(site.port) as running:
        yield running


def get(gate: Gate, path: str) -> httpx.Response:
    return httpx.get(gate.url + path, timeout=LIMIT_S)


def test_open_it_passes_everything(gate: Gate) -> None:
    assert get(gate, "/large").content == LARGE


def test_away_it_refuses_connections_and_is_back_at_the_same_port(gate: Gate) -> None:
    gate.mode = Mode.AWAY
    with pytest.raises(httpx.ConnectError):
        get(gate, "/small")

    gate.mode = Mode.OPEN
    assert get(gate, "/small").content == b"small"


def test_away_it_resets_what_is_open(gate: Gate, site: Site) -> None:
    site.serve("/slow", LARGE, bytes_per_s=1000)
    with httpx.stream("GET", gate.url + "/slow", timeout=LIMIT_S) as answer:
        threading.Timer(0.2, setattr, (gate, "mode", Mode.AWAY)).start()
        with pytest.raises(httpx.HTTPError):
            answer.read()


def test_503_is_answered_in_the_place_of_the_server(gate: Gate, site: Site) -> None:
    gate.mode = Mode.REFUSES

    assert get(gate, "/small").status_code == 503
    assert httpx.put(gate.url + "/small", content=LARGE, timeout=LIMIT_S).status_code == 503
    assert site.hits("/small") == []


def test_what_is_cut_ends_in_the_middle(gate: Gate) -> None:
    gate.mode = Mode.CUT
    got: list[bytes] = []
    with httpx.stream("GET", gate.url + "/large", timeout=LIMIT_S) as answer, pytest.raises(httpx.HTTPError):
        got.extend(answer.iter_raw())

    assert 0 < sum(map(len, got)) <= CUT_AFTER_BYTES
    assert get(gate, "/small").content == b"small", "what is short passes"


def test_slow_it_passes_everything_late(gate: Gate) -> None:
    gate.mode = Mode.SLOW
    began_s = time.monotonic()

    assert get(gate, "/small").content == b"small"
    assert time.monotonic() - began_s >= SLOW_S


def test_hanging_it_takes_connections_and_answers_nothing_until_it_is_over(gate: Gate) -> None:
    gate.mode = Mode.HANGS
    with socket.create_connection(("127.0.0.1", gate.port), timeout=LIMIT_S) as client:
        client.sendall(b"GET /small HTTP/1.0\r\n\r\n")
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
        gate.mode = Mode.OPEN
        client.settimeout(LIMIT_S)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
