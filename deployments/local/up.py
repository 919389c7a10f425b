"""`make up`: the system on this machine, left running until Ctrl-C: intake and its page, Dagster UI, daemon."""

import shlex
import signal
import sys
import threading
from pathlib import Path

from parts import LOCATION, site, whole_system
from system import SAMPLE, Process, home_folder, local_environment

WATCH_INTERVAL_S = 1.0


def main() -> int:
    """Start every part, print where it is, and stop all when asked or when one of them ends."""
    home = home_folder()
    environment = {"MADVISION_ALLOW_PRIVATE": "1", **local_environment(home)}
    asked_to_stop = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: asked_to_stop.set())

    print(f"== Starting; state in {home}", flush=True)
    with site(SAMPLE.parent) as sample, whole_system(home, environment, with_ui=True) as system:
        print(f"== Submit a video: {system.intake}")
        print(f"== A sample to submit there: {sample}/{SAMPLE.name}")
        print(f"== Dagster UI: {system.ui}/locations/{LOCATION}/asset-groups/madvision")
        print(f"== Whisper model: {environment['MADVISION_WHISPER_MODEL']} (MADVISION_WHISPER_MODEL)")
        if environment["MADVISION_ALLOW_PRIVATE"] == "1":
            print("== Addresses of this machine and its network may be submitted too (MADVISION_ALLOW_PRIVATE=1)")
        command = shlex.quote(str(Path(sys.executable).parent / "madvision"))
        print(f"== The queue: MADVISION_HOME={shlex.quote(str(home))} {command} status")
        print(f"== Logs: {home / 'logs'}\n== Ctrl-C stops everything", flush=True)
        return watch(system.parts, asked_to_stop)


def watch(parts: tuple[Process, ...], asked_to_stop: threading.Event) -> int:
    """Wait until asked to stop (0) or until a part ends by itself (1)."""
    while not asked_to_stop.wait(WATCH_INTERVAL_S):
        for part in parts:
            if part.popen.poll() is not None:
                print(f"== {part.name} ended with {part.popen.returncode}; its log: {part.log}", file=sys.stderr)
                return 1
    print("== Stopping; what is finished is kept, and goes on at the next start", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
