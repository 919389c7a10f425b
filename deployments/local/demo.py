"""`make demo`: the sample talk through the whole system, by HTTP as a submitter would. No key, no GPU, no network."""

import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from parts import site, whole_system
from system import MODEL, SAMPLE, Process, demo_environment, home_folder

from madvision_assets.command.display import StageDisplay, make_console, show_clips
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import load_settings

TIME_LIMIT_S = 900
POLL_S = 0.5


def main() -> int:
    """Submit the sample, follow it to its clips; 0 when there are any."""
    home = home_folder()
    key = secrets.token_urlsafe(16)
    environment = {**demo_environment(home), "MADVISION_INTERNAL_KEY": key}
    print(f"== The sample talk, transcribed by Whisper {MODEL}; state in {home}")
    print("== Starting code server, daemon and intake", flush=True)
    with site(SAMPLE.parent) as address, whole_system(home, environment, with_ui=False) as system:
        with httpx.Client(base_url=system.intake, timeout=30) as intake:
            receipt = submit(intake, f"{address}/{SAMPLE.name}", key)
            print(f"== POST /public/video: {receipt['video_id']} is {receipt['status']}")
            print(f"== Its page: {receipt['page_url']}", flush=True)
            ended = follow(intake, receipt["token"], system.parts)
        if ended["status"] != "done":
            print(f"== {ended['status']}: {ended['failure_cause']}: {ended['failure_details']}", file=sys.stderr)
            return 1
        os.environ.update(environment)
        workplace = Workplace(load_settings())
        made = workplace.clips(receipt["video_id"])
        show_clips(make_console(), made, workplace.store)
    madvision = Path(sys.executable).parent / "madvision"
    print(f"== Each stage's origin: MADVISION_HOME={home} {madvision} lineage {receipt['video_id']}")
    print("== The same system, left running: make up")
    return 0 if made.clips else 1


def submit(intake: httpx.Client, address: str, key: str) -> dict[str, Any]:
    """Hand the address in; what an earlier demo made is made anew."""
    receipt: dict[str, Any] = intake.post("/public/video", json={"url": address}).raise_for_status().json()
    if receipt["status"] != "queued":
        again = {"video_id": receipt["video_id"], "from_step": PipelineStep.RAW_VIDEO.value}
        bearer = {"Authorization": f"Bearer {key}"}
        answer = intake.post("/internal/perform-video-processing", json=again, headers=bearer).raise_for_status()
        receipt["status"] = answer.json()["status"]
    return receipt


def follow(intake: httpx.Client, token: str, parts: tuple[Process, ...]) -> dict[str, Any]:
    """Show how far it is until it ends; gives the last status.

    Raises:
        RuntimeError: a part of the system ended, or it took too long.
    """
    display = StageDisplay(make_console(), tuple(PipelineStep))
    deadline_s = time.monotonic() + TIME_LIMIT_S
    with display.shown() as report:
        while time.monotonic() < deadline_s and all(part.popen.poll() is None for part in parts):
            bearer = {"Authorization": f"Bearer {token}"}
            status: dict[str, Any] = intake.get("/public/video/status", headers=bearer).raise_for_status().json()
            for step in status["steps"]:
                if step["status"] in {"running", "done"}:
                    report(status["video_id"], PipelineStep(step["step"]), step["progress"], status["message"])
            if status["status"] in {"done", "failed", "parked"}:
                return status
            time.sleep(POLL_S)
    raise RuntimeError("The demo did not end; the logs are below the folder of its state.")


if __name__ == "__main__":
    sys.exit(main())
