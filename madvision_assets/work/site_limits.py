"""How many videos of a site are downloaded at once, over all workers, where the operator's file of sites bounds it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from madvision_assets.domain.breakers import breaker_name
from madvision_assets.domain.failures import Resource, SiteBusyError
from madvision_assets.domain.sources import Site, Sources
from madvision_assets.domain.stages import FIRST_STEP
from madvision_assets.tools.database import Database

if TYPE_CHECKING:
    from madvision_assets.tools.database.queue import Queue
    from madvision_assets.tools.database.rows import QueueRow


@dataclass(frozen=True)
class SiteLimits:
    """The bounds of sites. Every method raises as ``Database`` does.

    Args:
        database: knows where videos come from.
        queue: which of them are under way.
        sources: the operator's file.
    """

    database: Database
    queue: "Queue"
    sources: Sources = field(default_factory=Sources)

    def full(self) -> frozenset[str]:
        """Names of the breakers of sites of which no more may be downloaded: their videos are not to be claimed."""
        found: set[str | None] = set()
        rows = self._downloading()
        for site in {site for _, site in rows if len([1 for _, other in rows if other == site]) >= _bound(site)}:
            sources = {row.source for row, other in rows if other == site} | set(site.hosts)
            found |= {breaker_name(Resource.HOST, source) for source in sources}
        return frozenset(name for name in found if name is not None)

    def check(self, video_id: str, undecided: Collection[str]) -> None:
        """Return where a claimed video may be downloaded now.

        Args:
            video_id: the video.
            undecided: others that were claimed with it, and come after it.

        Raises:
            SiteBusyError: as many of its site as may be are downloaded already.
        """
        site = self._site_of(video_id)
        if site is None:
            return
        others = [row for row, other in self._downloading() if other == site and row.video_id not in undecided]
        count = len([row for row in others if row.video_id != video_id])
        if count >= _bound(site):
            raise SiteBusyError(f"{count} of {site.hosts[0]}, at most {_bound(site)}")

    def _downloading(self) -> "list[tuple[QueueRow, Site]]":
        """The videos that are downloaded now from sites with a bound."""
        if not any(site.max_downloads for site in self.sources.site):
            return []
        rows = [row for row in self.queue.running() if row.pipeline_step is FIRST_STEP]
        sites = [self._site_of(row.video_id) for row in rows]
        return [(row, site) for row, site in zip(rows, sites, strict=True) if site is not None]

    def _site_of(self, video_id: str) -> Site | None:
        """Its site, where that has a bound."""
        if not any(site.max_downloads for site in self.sources.site):
            return None
        site = self.sources.of(urlsplit(self.database.get_video(video_id).address).hostname or "")
        return site if site is not None and site.max_downloads else None


def _bound(site: Site) -> int:
    return site.max_downloads or 0
