"""CPU seconds of a vertical rendition with captions, beside bare ffmpeg with the same filters; faces beside real time.

The clip has a face that moves, at 1920x1080 and 30 frames a second. Bare ffmpeg is given the same graph, with the crop
path and captions that ours came to, and the gain that ours measured: what is beyond it is looking, measuring and laying
out. Both write a clean picture and one with captions, in a single run.
"""

import sys
import tempfile
from pathlib import Path

from measure import Figure, at_most, cost_of, medians, python, show

from madvision_assets_tests import footage
from madvision_assets_tests.speakers import PORTRAIT

SECONDS = 45
ROUNDS = 3
LIMIT = 1.15
REAL_TIMES = 4.0
OURS = """
import json, sys
from fractions import Fraction
from pathlib import Path
from madvision_assets.domain.transcript import Word
from madvision_assets.domain.video import Options
from madvision_assets.tools.media import reframe
from madvision_assets.work import shaping
clip, folder, bare = Path(sys.argv[1]), Path(sys.argv[2]), {bare!r}
said = "measure it first, then go on.".split() * 20
words = [Word(text=text, start_s=0.35 * at, end_s=0.35 * at + 0.3) for at, text in enumerate(said)]
if bare:
    import subprocess
    subprocess.run(json.loads(Path(folder, "command.json").read_text()), check=True)
    sys.exit()
from madvision_assets.tools.media import ffmpeg
run = ffmpeg._run
def noted(command, *others):
    if any(argument.endswith(".captions.mp4") for argument in command):
        Path(folder, "command.json").write_text(json.dumps(command))
    return run(command, *others)
ffmpeg._run = noted
asked = Options.model_validate({{"renditions": ["vertical"], "captions": "bold"}})
made = shaping.shape(shaping.Finished("clip", clip, Fraction(30), words), asked, folder, lambda share: None)
assert not made.failed, made.failed
"""
LOOK = """
import sys
from pathlib import Path
from madvision_assets.tools.media import looking
with Path(sys.argv[1]).open("rb") as clip:
    told = looking.looked_at(clip)
assert sum(map(bool, (look["faces"] for look in told["looks"]))) > 0.9 * len(told["looks"])
"""


def figures() -> list[Figure]:
    """The whole beside bare ffmpeg, and how many times faster than real time faces are found."""
    with tempfile.TemporaryDirectory(prefix="mv-bench-") as name:
        folder = Path(name)
        clip = moving(folder / "clip.mp4")
        ours, bare, look = (
            [*python(code), str(clip), str(folder)] for code in (OURS.format(bare=False), OURS.format(bare=True), LOOK)
        )
        cost_of(ours)  # writes down what bare ffmpeg is to do
        taken = medians({"ours": ours, "bare": bare, "look": look}, ROUNDS)
    speed = SECONDS / taken["look"]
    return [
        at_most(
            f"CPU s of {SECONDS} s vertical with captions and without / bare ffmpeg, same filters",
            taken["ours"], taken["bare"], LIMIT, "{:.1f} s",
        ),
        Figure(
            "looking for shots and faces on one core, times real time", f"{speed:.1f}", f"{REAL_TIMES:.0f}",
            f"{speed / REAL_TIMES:.2f}", f"at least {REAL_TIMES:.0f}", speed >= REAL_TIMES,
        ),
    ]  # fmt: skip


def moving(out: Path) -> Path:
    """A face that walks to and fro before a plain wall."""
    back = f"color=c=0x445566:s=1920x1080:r=30:d={SECONDS}"
    over = "[1]scale=720:720[face];[0][face]overlay=x='600+500*sin(t/3)':y=200:shortest=1"
    footage.ffmpeg(
        "-f", "lavfi", "-i", back, "-loop", "1", "-i", PORTRAIT, "-f", "lavfi", "-i", f"sine=f=220:d={SECONDS}",
        "-filter_complex", over, "-t", str(SECONDS), "-c:v", "libx264", "-preset", "veryfast", "-crf", "20",
        "-pix_fmt", "yuv420p", "-c:a", "aac", out,
    )  # fmt: skip
    return out


if __name__ == "__main__":
    sys.exit(not show(figures()))
