"""Claims about the suite itself: how much it plays, what it counts, and that the quick families let nothing through."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from madvision_assets_tests.attack import addresses, door, files, report, suite
from madvision_assets_tests.attack.canaries import Canaries, Touched
from madvision_assets_tests.attack.measures import Measured, Meter
from madvision_assets_tests.attack.rows import Attack, End, Ended, Family

pytestmark = pytest.mark.whole

MB = 1_000_000


def test_there_are_150_addresses_and_80_files_and_no_two_rows_of_one_name() -> None:
    assert len(addresses.FAMILY.attacks) >= 150
    assert len(files.FAMILY.attacks) >= 80
    for family in suite.FAMILIES:
        assert Counter((each.kind, each.name) for each in family.attacks).most_common(1)[0][1] == 1


def test_the_short_form_has_some_of_every_kind() -> None:
    for family in suite.FAMILIES:
        assert {each.kind for each in suite.chosen(family, short=True, only="")} == {e.kind for e in family.attacks}


@pytest.mark.parametrize("family", [addresses.FAMILY, door.FAMILY], ids=lambda family: str(family.name))
def test_no_address_and_no_request_gets_through(family: Family, tmp_path: Path) -> None:
    with Canaries(tmp_path / "secrets") as canaries:
        played = list(suite.play(family, family.attacks, tmp_path / "played", canaries))

    assert [report.line(each) for each in played if each.troubles] == []
    assert len(played) == len(family.attacks)


def test_the_memory_of_children_and_their_time_are_measured() -> None:
    program = "x = b'x' * 80_000_000; import time; time.sleep(0.5); [0 for _ in range(3_000_000)]"
    other = "x = b'x' * 300_000_000; print('there', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", other], stdin=pipe, stdout=pipe) as server:  # of another test
        assert server.stdout is not None
        server.stdout.readline()
        with Meter() as meter:
            subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
        server.communicate(b"end\n")

    assert 80 * MB < meter.measured.peak_bytes < 120 * MB
    assert 0 < meter.measured.cpu_s < meter.measured.wall_s
    assert meter.measured.own_bytes < 80 * MB


def test_the_table_has_the_worst_of_each_kind_and_what_got_through() -> None:
    attack = Attack("a", "bombs", lambda *_: None)
    played = [
        suite.Played(
            files.FAMILY.name, attack, Ended(how, ""), Touched((), ()), Measured(peak * MB, 0, cpu_s, 1.0), troubles
        )
        for how, peak, cpu_s, troubles in ((End.FOR_GOOD, 30, 9.5, ()), (None, 700, 1.0, ("it opened secret.txt",)))
    ]

    table = report.table(played, suite.FAMILIES, 2.0, ("landlock",))

    [line] = [each for each in table.splitlines() if each.startswith("bombs")]
    assert line.split()[:7] == ["bombs", "2", "1", "700", "0", "9.5", "1.0"]
    assert "1 through" in table
    assert "stopped" not in report.line(played[1])


def test_the_program_ends_with_1_where_nothing_was_played() -> None:
    assert suite.main(["--only", "no such attack"]) == 1
