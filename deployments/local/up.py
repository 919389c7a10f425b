"""`make up`: the system on this machine, left running until Ctrl-C: intake and its page, Dagster UI, daemon."""

import secrets
import shlex
import signal
import sys
import time
from pathlib import Path

from parts import LOCATION, prepare, site
from system import MODEL, SAMPLE, home_folder, local_environment, unless_set

from madvision_assets.settings import read_variable

KEY = "MADVISION_INTERNAL_KEY"
DEFAULTS = {"MADVISION_ALLOW_PRIVATE": "1", "MADVISION_WHISPER_MODEL": MODEL}
POLL_S = 0.2


def main() -> int:
    """Start every part, print where it is, start again what dies or does not work, and stop all when asked."""
    home = home_folder()
    own_key = new_key()
    environment = {**environment_at(home), **({KEY: own_key} if own_key else {})}
    signals: list[int] = []
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda number, _: signals.append(number))

    print(f"== Starting; state in {home}", flush=True)
    system = prepare(home, environment, with_ui=True)
    with site(SAMPLE.parent) as sample, system.kept(tell):
        print(f"== Submit a video: {system.intake}")
        print(f"== A sample to submit there: {sample}/{SAMPLE.name}")
        print(f"== Dagster UI: {system.ui}/locations/{LOCATION}/asset-groups/madvision")
        print(f"== Its links to videos and clips ask for a password, with any name: {own_key or f'that of {KEY}'}")
        print(f"== Whisper model: {environment['MADVISION_WHISPER_MODEL']} (MADVISION_WHISPER_MODEL)")
        if environment["MADVISION_ALLOW_PRIVATE"] == "1":
            print("== Addresses of this machine and its network may be submitted too (MADVISION_ALLOW_PRIVATE=1)")
        command = shlex.quote(str(Path(sys.executable).parent / "madvision"))
        print(f"== The queue: MADVISION_HOME={shlex.quote(str(home))} {command} status")
        print(f"== Logs: {home / 'logs'}\n== Ctrl-C stops everything", flush=True)
        while not signals:
            time.sleep(POLL_S)
        print("== Stopping; what is finished is kept, and goes on at the next start", flush=True)
    return 0


def environment_at(home: Path) -> dict[str, str]:
    """What every part has in its environment, but for the key."""
    return {**local_environment(home), **unless_set(DEFAULTS)}


def new_key() -> str | None:
    """A key of the internal routes until Ctrl-C, for the links of Dagster's UI; None where somebody has set one."""
    return None if read_variable(KEY) else secrets.token_urlsafe(12)


def tell(sentence: str) -> None:
    """What happens to a part."""
    print(f"== {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
