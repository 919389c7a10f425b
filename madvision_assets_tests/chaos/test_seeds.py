"""Each campaign that once found something is played again: nothing breaks in it any more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from madvision_assets_tests.chaos.plan import VERSION

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT_S = 2400.0


def seeds() -> list[list[str]]:
    """Version, seed, number of faults and kinds of each."""
    lines = (HERE / "seeds.txt").read_text().splitlines()
    return [[part.strip() for part in line.split("|")[:4]] for line in lines if line and not line.startswith("#")]


def test_the_seeds_that_are_kept_are_of_this_version_of_the_plan() -> None:
    """Raised, ``VERSION`` makes other plans of them: look for seeds that have the same faults, and keep those."""
    assert {int(version) for version, *_ in seeds()} <= {VERSION}


@pytest.mark.long
@pytest.mark.campaign
@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize(("seed", "faults", "kinds"), [each[1:] for each in seeds()])
def test_a_campaign_that_once_found_something_finds_nothing(seed: str, faults: str, kinds: str) -> None:
    command = [sys.executable, "-m", "madvision_assets_tests.chaos.campaign", "--seed", seed, "--faults", faults]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "deployments" / "local")))}
    named = [] if kinds == "-" else ["--kinds", kinds]

    played = subprocess.run(
        [*command, *named], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )

    assert played.returncode == 0, played.stdout[-5000:] + played.stderr[-2000:]
