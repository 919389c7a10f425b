"""How many files come at once, and how slowly."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress

from starlette.types import Receive

from madvision_assets.intake.limits import ClientGoneError
from madvision_assets.intake.problems import ProblemError

AT_ONCE = 16  # in one process; each has two or three blocks in memory
PATIENCE_S = 30.0
# So long, and no longer, whoever asks how much has come waits for a request that may be hanging.
SETTLES_S = 3.0


class Senders:
    """Requests under way that bring bytes of files; kept in this process.

    Half of the places are for clients that hold none: few clients that send slowly keep nobody else out.

    Args:
        each: of one client.
        limit: of all.
    """

    def __init__(self, each: int, limit: int = AT_ONCE) -> None:
        self._each = each
        self._limit = limit
        self._under_way: Counter[str] = Counter()
        self._ends: dict[str, asyncio.Event] = {}

    @contextmanager
    def place(self, client: str, upload: str) -> Iterator[None]:
        """Hold one more, for this upload, until the end of the block.

        Raises:
            ProblemError: ``too_many_uploads``.
        """
        held, of_all = self._under_way[client], self._under_way.total()
        if held >= self._each or of_all >= (self._limit // 2 if held else self._limit):
            detail = "So many files are coming just now. Go on in 5 s where this one stopped."
            raise ProblemError("too_many_uploads", detail, headers={"Retry-After": "5"})
        self._under_way[client] += 1
        end = self._ends[upload] = asyncio.Event()
        try:
            yield
        finally:
            end.set()
            if self._ends.get(upload) is end:
                del self._ends[upload]
            self._under_way[client] -= 1
            self._under_way += Counter()  # those that hold none are let go

    async def settled(self, upload: str) -> None:
        """Return once the last request that brings bytes of an upload has kept them, or soon.

        A connection that was cut is gone before what came by it is in the store.
        """
        if (end := self._ends.get(upload)) is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), SETTLES_S)


async def pieces(receive: Receive, least_bytes_per_s: int) -> AsyncGenerator[bytes, None]:
    """A body as it comes, a few kB at a time; what the store takes of the time does not count.

    Args:
        receive: of the request.
        least_bytes_per_s: fewer, over half a minute, are too few.

    Raises:
        ProblemError: ``body_timeout``.
        ClientGoneError: the client hung up.
    """
    clock = asyncio.get_running_loop()
    waited_s, came_bytes = 0.0, 0
    while True:
        began_s = clock.time()
        try:
            async with asyncio.timeout(PATIENCE_S - waited_s):
                message = await receive()
        except TimeoutError as error:
            detail = (
                f"Fewer than {least_bytes_per_s} bytes a second came. Go on where it stopped, when the line is better."
            )
            raise ProblemError("body_timeout", detail) from error
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        waited_s += clock.time() - began_s
        piece = message.get("body", b"")
        came_bytes += len(piece)
        if came_bytes >= PATIENCE_S * least_bytes_per_s:
            waited_s, came_bytes = 0.0, 0
        if piece:
            yield piece
        if not message.get("more_body", False):
            return
