"""What tests of downloads share: a downloader with small limits."""

from collections.abc import Callable

from madvision_assets.tools.download import Download, Downloader
from madvision_assets.tools.egress import EgressProxy

MAX_BYTES, MAX_DURATION_S = 50_000_000, 600.0
DOWNLOADER = Downloader(
    allow_private=True,
    max_height=1080,
    max_bytes=MAX_BYTES,
    max_duration_s=MAX_DURATION_S,
    time_limit_s=60.0,
    open_proxy=EgressProxy,
)
Fetch = Callable[..., Download]
