"""Puts the points at which a campaign can kill this process, or lie to it, around the functions that they name."""

from madvision_assets_tests.chaos import points

points.install()
