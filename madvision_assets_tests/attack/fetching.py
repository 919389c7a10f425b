"""What ``ways`` and ``pages`` share: the real downloader, for which a site on loopback is on the public internet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from madvision_assets.tools.download import Downloader
from madvision_assets.tools.egress import EgressProxy
from madvision_assets_tests.attack.addresses import Inside
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.attack.rows import Attack, End, Ended, Play
from madvision_assets_tests.downloads import DOWNLOADER
from madvision_assets_tests.site import Site

PUBLIC_HOST, OTHER_HOST = "site.example", "other.example"
TIME_LIMIT_S, STALL_LIMIT_S = 60.0, 15.0
ALLOW_PRIVATE = False


def downloader(inside: Inside) -> Downloader:
    """As the pipeline has it, with less patience."""
    return replace(
        DOWNLOADER,
        allow_private=ALLOW_PRIVATE,
        time_limit_s=TIME_LIMIT_S,
        stall_limit_s=STALL_LIMIT_S,
        open_proxy=partial(EgressProxy, resolve=inside.resolve, connect=inside.connect),
    )


@contextmanager
def opened(folder: Path, canaries: Canaries) -> Iterator[Play]:
    """A site of the attacker's, and who fetches from it."""
    folder.mkdir(parents=True)
    with Site() as site:
        inside = Inside(canaries, {PUBLIC_HOST: site.port, OTHER_HOST: site.port})

        def play(attack: Attack, own: Path, ready: Callable[[], None]) -> Ended:
            path = attack.make(site, canaries)
            ready()
            address = path if "://" in path else f"http://{PUBLIC_HOST}:{site.port}{path}"
            got = downloader(inside).fetch(address, own, lambda *_: None)
            return Ended(End.HARMLESS, f"{got.path.name} {got.source.model_dump_json()}", (own,))

        yield play
