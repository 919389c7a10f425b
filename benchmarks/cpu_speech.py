"""Speech on a CPU: our default engine beside the ``whisper`` command at its defaults, and beside the bare engine.

The same weights (``tiny.en``) hear the same quarter of an hour of real voices, two thirds clean and one third over a
telephone with noise; each in a process of its own, on one processor and on two. Word errors stand beside the CPU
seconds. Where the recordings are not, there are no figures.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from measure import Cost, Figure, at_least, at_most, cost_of, python, show

from madvision_assets_tests import footage, real_speech

MODEL = "tiny.en"
FASTER, NO_MORE_ERRORS, BARE = 4.0, 1.0, 1.05
PROCESSORS = (1, 2)

# Each writes what it heard to the path that it is given; the processors are taken before any library counts them.
HEAD = "import os, sys; os.sched_setaffinity(0, range({processors})); audio, models, out = {paths}\n"
OURS = """
from pathlib import Path
from madvision_assets_tests.transcribing import transcribed
from madvision_assets.tools.speech import EngineOptions
from madvision_assets.tools.speech.registry import ON_CPU, find_engine
engine = find_engine(ON_CPU).make(EngineOptions({model!r}, Path(models)))
Path(out).write_text(transcribed(Path(out).parent / "ours", Path(audio), engine).document.text)
"""
BARE_ENGINE = """
from pathlib import Path
import ctranslate2
from faster_whisper import WhisperModel
from madvision_assets.tools.media.audio import read_windows
from madvision_assets.tools.speech.faster_whisper import BEAM, COMPUTE_TYPES, Device, SEED
from madvision_assets.tools.speech.weights import Form, find_weights
folder = find_weights({model!r}, Path(models), Form.CTRANSLATE2).path
model = WhisperModel(str(folder), "cpu", compute_type=COMPUTE_TYPES[Device.CPU][0], cpu_threads={processors})
(window,) = read_windows(Path(audio), 3600.0)
ctranslate2.set_random_seed(SEED)
heard, _ = model.transcribe(
    window.samples, language="en", beam_size=BEAM, word_timestamps=True, condition_on_previous_text=False
)
Path(out).write_text("".join(segment.text for segment in heard))
"""
COMMAND = """
from pathlib import Path
from whisper.transcribe import cli
sys.argv = ["whisper", audio, "--model", {checkpoint!r}, "--language", "en", "--fp16", "False", "--threads",
            "{processors}", "--output_dir", str(Path(out).parent), "--output_format", "json", "--verbose", "False"]
cli()
"""


def figures() -> list[Figure]:
    """Ours beside the command and beside the bare engine, for one processor and for two; none without recordings."""
    if not real_speech.FOLDER.is_dir():
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = _write_talk(folder / "talk.flac")
        return [figure for processors in PROCESSORS for figure in _figures(folder, said, processors)]


def _figures(folder: Path, said: str, processors: int) -> list[Figure]:
    from madvision_assets.tools.speech.weights import Form, find_weights

    checkpoint = str(find_weights(MODEL, folder / "models", Form.CHECKPOINT).path)
    out = folder / "talk.json"
    heard: dict[str, tuple[Cost, float]] = {}
    for name, code, read in (("ours", OURS, _text), ("bare", BARE_ENGINE, _text), ("command", COMMAND, _json)):
        paths = str(folder / "talk.flac"), str(folder / "models"), str(out)
        filled = (HEAD + code).format(processors=processors, paths=paths, model=MODEL, checkpoint=checkpoint)
        heard[name] = cost_of(python(filled), _environment(folder)), real_speech.word_errors(said, read(out))
    (ours, errors), (bare, bare_errors), (command, theirs) = heard["ours"], heard["bare"], heard["command"]
    on = f"{processors} processor{'s' * (processors > 1)}"
    words = f"{errors:.1%} word errors, bare {bare_errors:.1%}, command {theirs:.1%}"
    return [
        at_least(f"audio seconds per CPU second, {on}, beside the whisper command ({words})",
                 1 / ours.cpu_s, 1 / command.cpu_s, FASTER, "{:.4f} / CPU s"),
        at_most(f"word errors, {on}, beside the whisper command", errors, theirs, NO_MORE_ERRORS, "{:.3f}"),
        at_most(f"CPU s, {on}, beside the bare engine", ours.cpu_s, bare.cpu_s, BARE, "{:.1f} s"),
    ]  # fmt: skip


def _write_talk(flac: Path) -> str:
    """A quarter of an hour: everybody, everybody backwards, everybody by telephone; gives what is said."""
    import numpy as np

    everybody = real_speech.recordings()
    parts = [real_speech.talk(), real_speech.talk(everybody[::-1]), real_speech.talk(seed=1)]
    raw = flac.with_suffix(".f32")
    np.concatenate([part.samples for part in parts]).tofile(raw)
    footage.ffmpeg("-f", "f32le", "-ar", "16000", "-ac", "1", "-i", raw, "-sample_fmt", "s16", flac)
    return " ".join(part.text for part in parts)


def _environment(folder: Path) -> dict[str, str]:
    """Ours, with an ``ffmpeg`` on the path, which the command wants, and threads that do not burn while they wait."""
    import imageio_ffmpeg

    link = folder / "bin" / "ffmpeg"
    if not link.exists():
        link.parent.mkdir()
        link.symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    return {**os.environ, **quiet, "PATH": f"{link.parent}{os.pathsep}{os.environ['PATH']}"}


def _text(out: Path) -> str:
    return out.read_text()


def _json(out: Path) -> str:
    return str(json.loads(out.read_text())["text"])


if __name__ == "__main__":
    sys.exit(not show(figures()))
