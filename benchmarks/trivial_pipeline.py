"""Our code location for ``row_to_finish``: the real definitions, whose tools do next to nothing.

The home holds the media of every video, ``media.mp4``.
"""

import dagster as dg

from madvision_assets.connections import make_store
from madvision_assets.definitions import build_defs
from madvision_assets.settings import load_settings
from madvision_assets_tests.harness import InstantTools

TOOLS = ("ingest", "transcriber", "analyst", "renderer")


@dg.definitions
def defs() -> dg.Definitions:
    """The code location."""
    settings = load_settings()
    instant = InstantTools(make_store(settings), settings.home_folder / "media.mp4")
    return build_defs(settings, dict.fromkeys(TOOLS, instant))
