"""Ten clips of 45 s out of 30 minutes: ours beside ffmpeg's re-encoding, and beside the ``smartcut`` package.

The source is two minutes of 1080p that are repeated, each frame with its number painted into it (16 blocks), key
frames 3 s apart in the mean. Ours reads it by ranges, as from S3. ``MADVISION_BENCH_MINUTES`` makes it shorter for a
trial; ``smartcut`` (not one of our dependencies) goes into a throw-away environment, and is left out where it cannot be
had.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import av
import imageio_ffmpeg
from measure import Cost, Figure, at_least, at_most, cost_of, python, show

MINUTES = float(os.environ.get("MADVISION_BENCH_MINUTES", "30"))
UNIT_S = 120
CLIPS, CLIP_S, FPS = 10, 45.0, 30
RATE_HZ, AAC_SAMPLES = 48_000, 1024
BITS, BLOCK_PX, TOP_PX = 16, 100, 40
SMARTCUT = "smartcut==1.7"
GAPS_S = (1.2, 2.0, 2.4, 3.0, 3.3, 4.1, 5.7)
AGAINST_FULL, AGAINST_SMARTCUT, BYTES, MEMORY, PSNR_DB = 12.0, 4.0, 1.3, 1.2, 40.0

OURS = """
import json, sys
from pathlib import Path
import obstore.store
from madvision_assets.domain.cutting import plan_cut
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.video import MediaInfo, RawVideo, SourceMetadata
from madvision_assets.tools.media import apart, cut
from madvision_assets.tools.store.partial import PartialCopy
from madvision_assets.work.clip_source import CutSource
order = json.loads(sys.argv[1])
source, folder = Path(order["source"]), Path(order["folder"])
info, told = MediaInfo.model_validate(order["info"]), []
ref = ObjectRef(key=source.name, sha256="0", size_bytes=source.stat().st_size, media_type="video/mp4")
raw = RawVideo(video_id="web-1", address="", media=ref, audio=ref, info=info, source=SourceMetadata(extractor=""))
plans = [plan_cut(start_s, start_s + order["clip_s"], info) for start_s in order["starts_s"]]
copy = PartialCopy(obstore.store.LocalStore(source.parent), source.name, ref.size_bytes, folder / "copy.mp4")
with apart.one_child(), copy:
    reached = CutSource(copy.path, raw, copy)
    reached.look(plans)
    index_bytes = copy.fetched_bytes
    for number, plan in enumerate(plans):
        reached.reach(plan)
        out = folder / f"ours{number}.mp4"
        made = cut.make_clip(copy.path, plan, out, info, more=lambda: reached.reach(plan, whole=True))
        told.append([made.copied_frames, made.reason, made.psnr_db or 0.0, plan.start_s, plan.frames])
    Path(order["told"]).write_text(json.dumps([told, index_bytes, copy.fetched_bytes]))
"""
RUN_ALL = "import json, subprocess, sys\nfor command in json.loads(sys.argv[1]): subprocess.run(command, check=True)"


def make_source(folder: Path) -> Path:
    """The video, and in it frame numbers that begin anew with each repetition."""
    unit, out = folder / "unit.mp4", folder / "source.mp4"
    chance, at_s, keys = random.Random(7), 0.0, []
    while (at_s := at_s + chance.choice(GAPS_S)) < UNIT_S:
        keys.append(f"{at_s:.3f}")
    blocks = ",".join(
        f"drawbox={k * BLOCK_PX}:{TOP_PX}:{BLOCK_PX}:{BLOCK_PX}:white:fill:enable='gt(mod(floor(n/{2**k}),2),0.5)'"
        for k in range(BITS)
    )
    picture = f"testsrc2=s=1920x1080:r={FPS}:d={UNIT_S},noise=c0s=3:c0f=t"
    sound = f"aevalsrc='0.3*sin(2*PI*220*t)*lt(mod(t,1.2),0.8)':s={RATE_HZ}:c=stereo:d={UNIT_S}"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound,
        "-vf", f"drawbox=0:{TOP_PX}:{BITS * BLOCK_PX}:{BLOCK_PX}:black:fill,{blocks}", "-c:v", "libx264",
        "-preset", "veryfast", "-pix_fmt", "yuv420p", "-force_key_frames", ",".join(keys), "-c:a", "aac", unit,
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True)
    _repeat(unit, out)
    return out


def _repeat(unit: Path, out: Path) -> None:
    with av.open(str(out), "w", options={"movflags": "faststart"}) as made, av.open(str(unit)) as first:
        streams = [made.add_stream_from_template(each) for each in first.streams]
        for number in range(round(MINUTES * 60 / UNIT_S)):
            with av.open(str(unit)) as again:
                for packet in again.demux():
                    ticks = round(UNIT_S / packet.time_base)
                    if packet.dts is None or packet.pts >= ticks or (packet.pts < 0 and number):
                        continue
                    packet.pts, packet.dts = packet.pts + number * ticks, packet.dts + number * ticks
                    packet.stream = streams[packet.stream_index]
                    made.mux(packet)


def numbers(path: Path) -> list[int]:
    """The number in each frame, as players show them that ignore edit lists."""
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        return [_number(frame) for frame in container.decode(video=0)]


def _number(frame: av.VideoFrame) -> int:
    plane = frame.planes[0]
    row = bytes(memoryview(plane)[(TOP_PX + BLOCK_PX // 2) * plane.line_size :][: plane.width])
    return sum(1 << bit for bit in range(BITS) if row[bit * BLOCK_PX + BLOCK_PX // 2] > 127)


def _exact(path: Path, first: int, frames: int) -> bool:
    period = UNIT_S * FPS
    return numbers(path) == [(first + n) % period for n in range(frames)]


def _smartcut(folder: Path) -> Path | None:
    place = folder / "smartcut"
    try:
        venv.create(place, with_pip=True)
        subprocess.run([place / "bin" / "pip", "install", "-q", SMARTCUT], check=True, timeout=600)
    except (OSError, subprocess.SubprocessError):
        return None
    return place / "bin" / "smartcut"


def _ours(source: Path, folder: Path, info: dict[str, object], starts_s: list[float]) -> tuple[Cost, list[object]]:
    told = folder / "told.json"
    order = {
        "source": str(source), "folder": str(folder), "info": info, "starts_s": starts_s, "clip_s": CLIP_S,
        "told": str(told),
    }  # fmt: skip
    cost = cost_of([*python(OURS), json.dumps(order)])
    return cost, json.loads(told.read_text())


def figures() -> list[Figure]:
    """All of it."""
    from madvision_assets.tools.media.probe import probe

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = make_source(folder)
        info = probe(source).model_dump(mode="json")
        chance = random.Random(11)
        span_s = (MINUTES * 60 - CLIP_S) / CLIPS
        starts_s = [n * span_s + chance.uniform(0, max(0.1, span_s - CLIP_S)) for n in range(CLIPS)]
        one, _ = _ours(source, folder, info, starts_s[:1])
        ten, (told, index_bytes, read_bytes) = _ours(source, folder, info, starts_s)
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        full = [
            [ffmpeg, "-v", "error", "-y", "-ss", f"{at:.6f}", "-i", str(source), "-t", str(CLIP_S), "-c:v", "libx264",
             "-preset", "veryfast", "-crf", "20", "-c:a", "aac", str(folder / f"full{n}.mp4")]
            for n, at in enumerate(starts_s)
        ]  # fmt: skip
        anew = cost_of([*python(RUN_ALL), json.dumps(full)])
        clips = [folder / f"ours{n}.mp4" for n in range(CLIPS)]
        right = [
            _exact(clip, round(start_s * FPS), frames)
            for clip, (_, _, _, start_s, frames) in zip(clips, told, strict=True)
        ]
        clips_bytes = sum(clip.stat().st_size for clip in clips)
        worst_db = min(each[2] for each in told)
        made = [
            at_least(
                "ten clips of 45 s: CPU of x264 veryfast over ours", anew.cpu_s, ten.cpu_s, AGAINST_FULL, "{:.1f} s"
            ),
            Figure(
                "clips whose every frame is right, edit list ignored",
                f"{sum(right)}",
                f"{CLIPS}",
                "",
                "all",
                all(right),
            ),
            Figure("clips that were copied", f"{sum(not t[1] for t in told)}", f"{CLIPS}", "", "none", holds=True),
            Figure(
                "seams beside the source's frames",
                f"{worst_db:.1f} dB",
                "",
                "",
                f">= {PSNR_DB:.0f}",
                worst_db >= PSNR_DB,
            ),
            at_most(
                "bytes read without the index, beside the clips'",
                read_bytes - index_bytes,
                clips_bytes,
                BYTES,
                "{:,.0f}",
            ),
            at_most("peak memory of ten clips beside one", ten.peak_mib, one.peak_mib, MEMORY, "{:.0f} MiB"),
        ]
        program = _smartcut(folder)
        if program:
            theirs = [
                [str(program), str(source), str(folder / f"theirs{n}.mp4"), "--keep", f"{at:.6f},{at + CLIP_S:.6f}"]
                for n, at in enumerate(starts_s)
            ]
            peer = cost_of([*python(RUN_ALL), json.dumps(theirs)])
            claim = "the same: CPU of smartcut over ours"
            made.append(at_least(claim, peer.cpu_s, ten.cpu_s, AGAINST_SMARTCUT, "{:.1f} s"))
            near = [
                abs(numbers(folder / f"theirs{n}.mp4")[0] - t[3] * FPS % (UNIT_S * FPS)) for n, t in enumerate(told)
            ]
            made.append(Figure("smartcut: worst first frame", f"{max(near):.1f} frames", "", "", "none", holds=True))
        return made


if __name__ == "__main__":
    sys.exit(not show(figures()))
