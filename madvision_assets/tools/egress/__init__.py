"""The way out: everything a downloader fetches passes here, and only public addresses are let through.

Here belongs the vetting of addresses and the small proxy that enforces it for a process that is not ours to trust.
What does not: knowledge of videos, sites or yt-dlp (``tools.download``).
"""

from madvision_assets.tools.egress.proxy import EgressProxy
from madvision_assets.tools.egress.vetting import resolve_host, vet

__all__ = ["EgressProxy", "resolve_host", "vet"]
