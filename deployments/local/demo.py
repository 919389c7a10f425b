"""`make demo`: the sample talk, from an HTTP address to its clips. No key, no GPU, no network."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from system import DEMO_MODEL, ROOT, SAMPLE, demo_environment, free_port, home_folder, python

PREFERRED_PORT = 8321  # the same address each time is the same video each time
TIME_LIMIT_S = 900


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps silent."""

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is for the pipeline."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A web site on loopback that holds a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", free_port(PREFERRED_PORT)), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> int:
    """Process the sample talk from its first stage on; the exit status of the command."""
    home = home_folder()
    environment = demo_environment(home)
    print(f"== The sample talk, transcribed by {DEMO_MODEL.name} (a model for synthetic voices only); state in {home}")
    with site(SAMPLE.parent) as address:
        command = ["-m", "madvision_assets.cli", "process", f"{address}/{SAMPLE.name}", "--from", "raw_video"]
        done = subprocess.run(python(*command), cwd=ROOT, env=environment, check=False, timeout=TIME_LIMIT_S)
    if done.returncode == 0:
        madvision = Path(sys.executable).parent / "madvision"
        print(f"== Each stage's origin: MADVISION_HOME={home} {madvision} lineage VIDEO_ID")
        print("== The same system, left running: make up")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
