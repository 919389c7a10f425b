"""The code server of a soak: as the system's own, but over the soak's pipeline. Its arguments are host and port."""

import sys

from parts import LOCATION

from madvision_assets.defs.code_server import run
from madvision_assets_tests.soak import pipeline

if __name__ == "__main__":
    run(["--max-workers", "16", "-m", pipeline.__name__, "--location-name", LOCATION, *sys.argv[1:]])
