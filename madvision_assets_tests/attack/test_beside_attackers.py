"""While attackers are at work, another submitter's video goes through, and waits for one of their stages at most."""

from pathlib import Path

import pytest

from madvision_assets.connections import make_database
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.settings import Settings
from madvision_assets_tests import footage
from madvision_assets_tests.attack import pages
from madvision_assets_tests.databases import shut_breakers
from madvision_assets_tests.intake.serving import serving
from madvision_assets_tests.site import Page, Site
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.worker_pool import worker_pool

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

IN_FLIGHT = 2
STAGE_S = 20.0  # of a download, at most
SLACK_S = 30.0  # starts of processes and of runs, on a busy machine
LIMIT_S = 400.0
MB = 1_000_000


def hostile(site: Site) -> list[str]:
    """Every kind of theirs that holds a slot for long, or accuses what others share."""
    html = {"Content-Type": "text/html"}
    return [
        site.serve("/slow.mp4", b"x" * MB, content_type="video/mp4", bytes_per_s=20),
        site.add("/busy.html", Page(pages.HTML + b"</title>" + b"<meta \t\t\t" * 100_000, headers=html)),
        site.add("/bomb.html", Page(pages.gzipped(500), headers={**html, "Content-Encoding": "gzip"})),
        site.fail("/full.mp4", 418, reason="No space left on device"),
        site.redirect("/in.mp4", "http://169.254.169.254/latest/meta-data"),
        site.serve("/list.mp4", b"#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n", content_type="video/mp4"),
    ]


def test_a_video_of_another_submitter_waits_for_one_stage_and_goes_through(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, home=tmp_path / "home", allow_private=True, max_in_flight=IN_FLIGHT, max_retries=0,
        download_timeout_s=STAGE_S, sandbox_memory_bytes=400 * MB, requests_per_minute=0,
    )  # fmt: skip
    talk = footage.talking(tmp_path / "talk.mp4", 3.0).read_bytes()
    with (
        Site() as theirs, Site() as ours, serving(settings) as intake, worker_pool(settings, IN_FLIGHT) as workers,
    ):  # fmt: skip
        attacks = hostile(theirs)
        for address in attacks[:IN_FLIGHT]:
            intake.submit(address)
        wait_for(lambda: workers.step() and len(theirs.hits("/slow.mp4")) >= 1, LIMIT_S, "the attackers' first run")
        mine = intake.submit(ours.serve("/talk.mp4", talk, content_type="video/mp4"))
        for address in attacks[IN_FLIGHT:]:
            intake.submit(address)
        workers.work_off(LIMIT_S)
        told = intake.status(str(mine["token"]))
        began_s = min(hit.at_s for hit in ours.hits("/talk.mp4"))
        slow_s = theirs.hits("/slow.mp4")[0].at_s

    assert (told["status"], told["outcome"]) == (QueueStatus.DONE, "too_short")
    assert began_s - slow_s < STAGE_S + SLACK_S
    assert shut_breakers(make_database(settings)) == {}
