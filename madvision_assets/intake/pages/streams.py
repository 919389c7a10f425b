"""Server-sent events of one video: each change of its state, until it is final."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Self, TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette

from madvision_assets.domain.failures import Failure
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.intake.problems import RETRY_AFTER_S, ProblemError
from madvision_assets.intake.schemas import VideoStatus
from madvision_assets.intake.services import Services
from madvision_assets.intake.status import require_tracked, status_of
from madvision_assets.tools.database.rows import TrackedVideo

POLL_S = 1.0
LOOKS_A_PLACE = 10  # between two looks at a place in the queue
MAX_STREAMS = 200
POLLING_THREADS = 4

T = TypeVar("T")


class Streams:
    """The streams that a process has open.

    They look at the database in a few threads of their own, so that any number of open pages leaves the other routes
    their threads.

    Args:
        limit: so many at once.
        poll_s: pause between two looks, seconds.
        each: so many at once for one client.
    """

    def __init__(self, limit: int = MAX_STREAMS, poll_s: float = POLL_S, each: int = MAX_STREAMS) -> None:
        self._limit = limit
        self._each = each
        self._of_client: Counter[str] = Counter()
        self._poll_s = poll_s
        self._open = 0
        self._closing = False
        self._threads = anyio.CapacityLimiter(POLLING_THREADS)

    @classmethod
    def of(cls, app: Starlette) -> Self:
        """Those of an application; they are made when they are first asked for."""
        if not hasattr(app.state, "streams"):
            app.state.streams = cls()
        streams: Self = app.state.streams
        return streams

    @property
    def open(self) -> int:
        """How many are open."""
        return self._open

    def close(self) -> None:
        """End every stream at its next look, since the server stops; the pages come back by themselves."""
        self._closing = True

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Hold one of the places, for a client.

        Raises:
            ProblemError: ``too_many_streams``; the page polls instead.
        """
        if self._open >= self._limit or self._of_client[client] >= self._each or self._closing:
            kind = (503, "There are too many open streams.")
            raise ProblemError("too_many_streams", headers={"Retry-After": str(RETRY_AFTER_S)}, kind=kind)
        self._open += 1
        self._of_client[client] += 1
        try:
            yield
        finally:
            self._open -= 1
            self._of_client[client] -= 1
            self._of_client += Counter()  # keeps those above zero

    async def check(self, services: Services, token: str) -> None:
        """Return where the token is known.

        Raises:
            ProblemError: ``unknown_token``.
            Failure: the database is away.
        """
        await self._look(lambda: require_tracked(services, token))

    async def follow(self, services: Services, token: str, base_url: str) -> AsyncIterator[VideoStatus]:
        """The state now, and after each change; ends with a final one.

        A database that is away is waited for. A video that is forgotten meanwhile ends it.
        """
        seen: TrackedVideo | None = None
        told: VideoStatus | None = None
        for look in count():
            if self._closing:
                return
            try:
                tracked = await self._look(lambda: _without_heartbeat(require_tracked(services, token)))
                # Its place in the queue moves with the videos before it.
                moved = tracked.row.status is QueueStatus.QUEUED and look % LOOKS_A_PLACE == 0
                stays = tracked == seen and not moved
                status = told if stays else await self._look(lambda: status_of(services, token, base_url))
                seen = tracked
            except ProblemError:
                return
            except Failure:
                status = told
            if status is not None and status != told:
                told = status
                yield status
                if status.status.is_final:
                    return
            await anyio.sleep(self._poll_s)

    async def _look(self, look: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(look, limiter=self._threads)


def _without_heartbeat(tracked: TrackedVideo) -> TrackedVideo:
    """As before, but for a sign of life, which is no news."""
    return tracked.model_copy(update={"row": tracked.row.model_copy(update={"heartbeat_at": None})})
