"""Connections: how many a client may hold, and how long one may say nothing.

uvicorn waits for ever for the head of a request, and for a client that does not read what it asked for.
"""

import asyncio
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from madvision_assets.intake.limits import client_of

HEAD_LIMIT_S = 15.0
UNREAD_LIMIT_S = 60.0


class Held:
    """Connections that the clients of a server hold.

    Args:
        limit: for each client; 0 is no limit.
        trusted: proxies, comma-separated, as uvicorn takes them: whoever is behind one is not counted here.
        head_limit_s: for the head of a request, and for the connection's first byte.
        unread_limit_s: for a client to go on reading.
    """

    def __init__(
        self,
        limit: int,
        trusted: str,
        head_limit_s: float = HEAD_LIMIT_S,
        unread_limit_s: float = UNREAD_LIMIT_S,
    ) -> None:
        self.head_limit_s = head_limit_s
        self.unread_limit_s = unread_limit_s
        self._limit = limit
        self._trusted = [each.strip() for each in trusted.split(",") if each.strip()]
        self._held: Counter[str] = Counter()

    def takes(self, client: str) -> bool:
        """Count one more; False where the client has as many as it may."""
        self._held[client] += 1
        return not self._limit or self._is_trusted(client) or self._held[client] <= self._limit

    def lets_go(self, client: str) -> None:
        """Count one less."""
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]

    def _is_trusted(self, client: str) -> bool:
        try:
            address = ip_address(client)
        except ValueError:
            return "*" in self._trusted or client in self._trusted
        return any(each == "*" or _holds(each, address) for each in self._trusted)


class Bounded(H11Protocol):
    """HTTP/1.1 as uvicorn has it, within the bounds of ``held``."""

    held: Held
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _who: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base has it
        """A client connected."""
        super().connection_made(transport)
        self._who = client_of({"client": self.client})
        if not self.held.takes(self._who):
            transport.abort()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        _stop(self._late)
        self._late = None
        _stop(self._unread)
        self._unread = None
        if self._who is not None:
            self.held.lets_go(self._who)
            self._who = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._expect_head()
        else:
            _stop(self._late)
            self._late = None

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(self.held.unread_limit_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read on."""
        super().resume_writing()
        _stop(self._unread)
        self._unread = None

    def _expect_head(self) -> None:
        # Not begun anew by each byte that comes.
        self._late = self._late or self.loop.call_later(self.held.head_limit_s, self.transport.abort)


def bounded(held: Held) -> type[Bounded]:
    """The protocol for one server."""
    return type("BoundedHere", (Bounded,), {"held": held})


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _holds(network: str, address: Any) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False
