"""Downloads by yt-dlp: which video an address means, and its bytes in a folder.

Here belongs everything that knows yt-dlp. It runs in a child process (``child``) that sees no secret and reaches the
network only through ``tools.egress``; ``downloader`` starts and ends it, ``errors`` turns what it says into failures.
What does not: judging the file that came (``tools.media``), and keeping it (``tools.store``).
"""

from madvision_assets.tools.download.downloader import Download, Downloader, OnSize
from madvision_assets.tools.download.identify import identify
from madvision_assets.tools.download.manners import Etiquette
from madvision_assets.tools.download.wheels import Wheels

__all__ = ["Download", "Downloader", "Etiquette", "OnSize", "Wheels", "identify"]
