"""The store adapter up and down, beside bare boto3 on the same S3 server, and beside a bare copy on the same disk.

Every transfer is a fresh process; they take turns. ``MADVISION_BENCH_BYTES`` makes the file smaller for a trial.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT, Figure, at_least, show, told

from madvision_assets_tests.real_servers import S3_BUCKET, swift_s3

FILE_BYTES = int(os.environ.get("MADVISION_BENCH_BYTES", "2000000000"))
ROUNDS = 5
LIMIT = 0.95
MEMORY_LIMIT_MIB = 200.0
LIMIT_S = 600

# What each child does between the two clocks; `here` and `there` are files on this disk.
OURS = """
from pathlib import Path
from madvision_assets.connections import make_store
from madvision_assets.settings import Settings
store = make_store(Settings(_env_file=None))
store.exists("warm")
up = lambda: store.put_file(Path(here), key, "video/mp4")
down = lambda: store.download(key, Path(there))
"""
BOTO3 = """
import boto3
client = boto3.client("s3")
client.list_objects_v2(Bucket=bucket, Prefix="warm")
up = lambda: client.upload_file(here, bucket, key)
down = lambda: client.download_file(bucket, key, there)
"""
# Whole or not at all, as ours: beside its place, then renamed. Neither waits for the disk.
COPY = """
import os, shutil
def copy(source, target):
    shutil.copyfile(source, target + ".part")
    os.replace(target + ".part", target)
kept = os.path.join(folder, key)
os.makedirs(os.path.dirname(kept), exist_ok=True)
up = lambda: copy(here, kept)
down = lambda: copy(kept, there)
"""
CHILD = """
import json, resource, sys, time
here, there, bucket, key, folder, direction = sys.argv[1:]
{client}
def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
began_s, began_cpu_s = time.perf_counter(), cpu_s()
(up if direction == "up" else down)()
wall_s, used_cpu_s = time.perf_counter() - began_s, cpu_s() - began_cpu_s
# Not ru_maxrss, which begins with the peak of the process that started this one.
with open("/proc/self/status") as lines:
    peak_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps([wall_s, used_cpu_s, peak_kib / 1024]))
"""


@dataclass(frozen=True)
class Transfer:
    """What one file up or down took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def figures() -> list[Figure]:
    """S3, then the disk."""
    with tempfile.TemporaryDirectory(prefix="mv-bench-", dir=ROOT) as name:
        folder = Path(name)
        (folder / "swift").mkdir()
        _write(folder / "big.bin")
        with swift_s3(folder / "swift") as server:
            server.create_bucket(S3_BUCKET)
            there = {**server.environment(), "AWS_DEFAULT_REGION": server.region}
            found = _compare("S3", {"ours": OURS, "peer": BOTO3}, folder, there)
        there = {"MADVISION_STORE_URL": (folder / "store").as_uri()}
        # A copy within memory is as fast as the memory that is free just then, so each comes right after its own like.
        return found + _compare("a folder", {"ours": OURS, "peer": COPY}, folder, there, rehearsals=1)


def _write(path: Path) -> None:
    block = os.urandom(1024 * 1024)
    with path.open("wb") as file:
        for start in range(0, FILE_BYTES, len(block)):
            file.write(block[: FILE_BYTES - start])


def _compare(
    where: str, clients: Mapping[str, str], folder: Path, environment: Mapping[str, str], rehearsals: int = 0
) -> list[Figure]:
    taken: defaultdict[tuple[str, str], list[Transfer]] = defaultdict(list)
    for n in range(ROUNDS + 1):
        for direction in ("up", "down"):
            for name in sorted(clients, reverse=bool(n % 2)):
                for _ in range(rehearsals):
                    _transfer(clients[name], folder, environment, name, direction)
                transfer = _transfer(clients[name], folder, environment, name, direction)
                if n:  # the first round warms up
                    taken[name, direction].append(transfer)
    found = []
    for direction in ("up", "down"):
        ours, peer = (_median(taken[name, direction]) for name in ("ours", "peer"))
        claim = f"{FILE_BYTES / 1e9:g} GB {direction}, {where}"
        speeds = (FILE_BYTES / 1e6 / ours.wall_s, FILE_BYTES / 1e6 / peer.wall_s)
        found += [
            at_least(f"{claim}: speed", *speeds, LIMIT, "{:.0f} MB/s"),
            told(f"{claim}: CPU", ours.cpu_s, peer.cpu_s, "{:.2f} s"),
            _memory(f"{claim}: peak memory", ours.peak_mib, peer.peak_mib),
        ]
    return found


def _transfer(client: str, folder: Path, there: Mapping[str, str], name: str, direction: str) -> Transfer:
    """One file up or down, in a process of its own."""
    os.sync()  # what the one before left to write must not slow this one down
    fetched = folder / "fetched.bin"
    given = [folder / "big.bin", fetched, S3_BUCKET, f"{name}/big.bin", folder / "copies", direction]
    result = subprocess.run(
        [sys.executable, "-c", CHILD.format(client=client), *map(str, given)],
        check=True, capture_output=True, text=True, timeout=LIMIT_S, cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **there},
    )  # fmt: skip
    if direction == "down":
        if fetched.stat().st_size != FILE_BYTES:
            raise RuntimeError(f"{name}: {fetched.stat().st_size} of {FILE_BYTES} bytes came back")
        fetched.unlink()
    return Transfer(*json.loads(result.stdout))


def _median(taken: list[Transfer]) -> Transfer:
    return Transfer(
        statistics.median(t.wall_s for t in taken),
        statistics.median(t.cpu_s for t in taken),
        max(t.peak_mib for t in taken),
    )


def _memory(claim: str, ours: float, peer: float) -> Figure:
    limit = f"< {MEMORY_LIMIT_MIB:.0f} MiB"
    return Figure(claim, f"{ours:.0f} MiB", f"{peer:.0f} MiB", f"{ours / peer:.2f}", limit, ours < MEMORY_LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(not show(figures()))
