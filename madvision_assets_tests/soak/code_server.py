"""The code server of a soak: as the system's own, but over the soak's pipeline. Its arguments are host and port."""

import os
import sys

from parts import LOCATION
from system import python

from madvision_assets_tests.soak import pipeline

SERVER = ("-m", "dagster", "api", "grpc", "--max-workers", "16", "-m", pipeline.__name__, "--location-name", LOCATION)

if __name__ == "__main__":
    os.execv(sys.executable, python(*SERVER, *sys.argv[1:]))  # noqa: S606 - the same process, as the system has it
