"""A container: a process group of this machine, its log, and its state as the API shows it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from madvision_assets_tests.cluster.objects import Object, now

BACK_OFF_S = 0.5  # before the first restart; each further one waits twice as long (Kubernetes begins with 10 s)
BACK_OFF_LIMIT_S = 10.0
START_ERROR = 128  # exit code of what could not be started


class Container:
    """A container of a pod.

    Args:
        spec: as the pod's.
        log: file that its output is added to.

    Attributes:
        ready: whether it may be sent requests.
        restarts: how often it was started again.
        restart_at: when it starts again, by the monotonic clock; None while it is not waiting for that.
        environment: of its process.
    """

    def __init__(self, spec: Object, log: Path) -> None:
        self.spec = spec
        self.log = log
        self.ready = False
        self.restarts = 0
        self.restart_at: float | None = None
        self.environment: Mapping[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = ""
        self._last_ended: Object | None = None
        self._state: Object = {"waiting": {"reason": "PodInitializing"}}

    @property
    def name(self) -> str:
        """Its name in the pod."""
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        """Whether its process runs, as far as was seen."""
        return "running" in self._state

    @property
    def ended(self) -> Object | None:
        """How it ended; None while it runs or waits."""
        return self._state.get("terminated")

    def wait_because(self, reason: str, message: str = "") -> None:
        """Show why it does not run."""
        self._state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}

    def start(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start its process, with the leading of a process group of its own."""
        self.environment, self._started_at, self.restart_at = environment, now(), None
        with self.log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                self._end(START_ERROR, "StartError", f'exec: "{command[0]}": {error.strerror}')
                return
        self._state = {"running": {"startedAt": self._started_at}}

    def poll(self) -> bool:
        """Look whether its process ended; true if it did since the last look. What it left running is killed."""
        if self._process is None or not self.running or (code := self._process.poll()) is None:
            return False
        self._kill_group()
        code = 128 - code if code < 0 else code
        self._end(code, "Error" if code else "Completed")
        return True

    def terminate(self) -> None:
        """Send SIGTERM to its first process only, as container runtimes do."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill all its processes, and wait for the first."""
        if self._process is not None and self.running:
            self._kill_group()
            self._process.wait()

    def back_off(self) -> None:
        """Wait before it starts again, longer each time."""
        self._last_ended = self.ended
        delay_s = min(BACK_OFF_S * 2**self.restarts, BACK_OFF_LIMIT_S)
        self.restarts += 1
        self.restart_at = time.monotonic() + delay_s
        self.wait_because("CrashLoopBackOff", f"back-off {delay_s:g}s restarting failed container={self.name}")

    def status(self) -> Object:
        """It as an entry of ``containerStatuses``."""
        last = {"terminated": self._last_ended} if self._last_ended else {}
        image = self.spec["image"]
        head = {"name": self.name, "image": image, "imageID": image if self._started_at else ""}
        counts = {"ready": self.ready, "started": self.running, "restartCount": self.restarts}
        return {**head, **counts, "state": self._state, "lastState": last}

    def _end(self, code: int, reason: str, message: str = "") -> None:
        ended = {"exitCode": code, "reason": reason, "startedAt": self._started_at, "finishedAt": now()}
        self._state = {"terminated": ended | ({"message": message} if message else {})}
        self.ready = False

    def _kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # the last of them has ended
                os.killpg(self._process.pid, signal.SIGKILL)
