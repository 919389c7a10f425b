"""`make up`: the system on this machine, left running until Ctrl-C: code server, Dagster UI and daemon, on loopback."""

import json
import shlex
import signal
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from system import (
    ROOT,
    SAMPLE,
    START_LIMIT_S,
    Process,
    free_port,
    home_folder,
    listens,
    local_environment,
    process,
    python,
    wait_until,
)

LOCATION = "madvision"
# Of Dagster's GraphQL: which code locations it knows, and whether each could be loaded.
LOCATIONS = json.dumps(
    {"query": "{workspaceOrError{... on Workspace{locationEntries{locationOrLoadError{__typename}}}}}"}
).encode()
UI_PORT, CODE_PORT = 3000, 4266
SETUP_LIMIT_S = 180
WATCH_INTERVAL_S = 1.0


def main() -> int:
    """Start every part, print where it is, and stop all when asked or when one of them ends."""
    home = home_folder()
    environment = local_environment(home)
    asked_to_stop = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: asked_to_stop.set())

    print(f"== Preparing {home}", flush=True)
    submit = python("-m", "madvision_assets.cli", "submit", str(SAMPLE))
    subprocess.run(submit, cwd=ROOT, env=environment, check=True, timeout=SETUP_LIMIT_S)

    code_port, ui_port = free_port(CODE_PORT), free_port(UI_PORT)
    logs = home / "logs"
    where = ["-w", str(write_workspace(home, code_port))]
    server = ["dagster", "code-server", "start", "-m", "madvision_assets.definitions", "--location-name", LOCATION]
    with ExitStack() as stack:

        def start(name: str, arguments: list[str]) -> Process:
            return stack.enter_context(process(name, python("-m", *arguments), environment, logs))

        parts = [start("code-server", [*server, "--host", "127.0.0.1", "--port", str(code_port)])]
        wait_until(lambda: listens(code_port), "its port", parts[0])
        parts.append(start("webserver", ["dagster_webserver", "-h", "127.0.0.1", "-p", str(ui_port), *where]))
        parts.append(start("daemon", ["dagster._daemon", "run", *where]))
        address = f"http://127.0.0.1:{ui_port}"
        wait_until(lambda: has_loaded(address), "the page with our code location", parts[1])
        print(f"== Dagster UI: {address}/locations/{LOCATION}/asset-groups/madvision")
        print(f"== Whisper model: {environment['MADVISION_WHISPER_MODEL']} (MADVISION_WHISPER_MODEL)")
        command = shlex.quote(str(Path(sys.executable).parent / "madvision"))
        print(f"== More videos: MADVISION_HOME={shlex.quote(str(home))} {command} submit URL_OR_FILE")
        print(f"== Logs: {logs}\n== Ctrl-C stops everything", flush=True)
        return watch(parts, asked_to_stop)


def write_workspace(home: Path, code_port: int) -> Path:
    """A workspace that points at our code server, under the name that the root workspace.yaml has too."""
    workspace = home / "dagster" / "workspace.yaml"
    server = f"host: 127.0.0.1, port: {code_port}, location_name: {LOCATION}"
    workspace.write_text(f"load_from:\n  - grpc_server: {{{server}}}\n")
    return workspace


def has_loaded(address: str) -> bool:
    """Whether the UI shows our code location."""
    request = urllib.request.Request(f"{address}/graphql", LOCATIONS, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=START_LIMIT_S) as answer:  # noqa: S310 - loopback
            entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
    except OSError:
        return False
    return [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries] == ["RepositoryLocation"]


def watch(parts: list[Process], asked_to_stop: threading.Event) -> int:
    """Wait until asked to stop (0) or until a part ends by itself (1)."""
    while not asked_to_stop.wait(WATCH_INTERVAL_S):
        for part in parts:
            if part.popen.poll() is not None:
                print(f"== {part.name} ended with {part.popen.returncode}; its log: {part.log}", file=sys.stderr)
                return 1
    print("== Stopping", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
