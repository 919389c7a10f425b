"""Make the sample talk: slides, synthetic speech and one MP4 with its ground truth.

Reads ``talk.toml`` and writes ``sample_talk.mp4`` and ``sample_talk.json`` beside it. Every
pause comes from a seed in the data file, so the same tools give the same talk again.

Needs ``flite`` and ``espeak-ng`` on the path, and numpy, scipy, Pillow and imageio-ffmpeg. They
are needed only to remake the talk; the files in this folder are ready to use.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import tempfile
import tomllib
import wave
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.signal import resample_poly

HERE = Path(__file__).resolve().parent
SAMPLE_RATE = 48_000  # Hz; flite and espeak-ng speak at 16 and 22.05 kHz
FPS = 25
WIDTH, HEIGHT = 1280, 720
BAR_HEIGHT = 8  # pixels of the progress bar at the bottom edge
PEAK = 0.5  # of full scale: -6 dBFS
EDGE_LEVEL = 0.01  # of a sentence's peak: what counts as speech at its edges

INK, SOFT, PAPER, FAINT = "#1d2433", "#5d6779", "#f7f8fb", "#dde2ea"

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Section:
    """One slide and what is said over it."""

    title: str
    voice: str
    accent: str
    bullets: list[str]
    sentences: list[str]


@dataclass(frozen=True)
class Talk:
    """The whole talk as the data file gives it; pauses are (least, most) in seconds."""

    title: str
    subtitle: str
    seed: int
    lead_s: float
    tail_s: float
    sentence_pause_s: tuple[float, float]
    section_pause_s: tuple[float, float]
    sections: list[Section]


@dataclass(frozen=True)
class Track:
    """The spoken talk (mono, 48 kHz, -1 to 1) and where everything is in it, in seconds."""

    audio: Audio
    sections: list[dict[str, Any]]
    sentences: list[dict[str, Any]]

    @property
    def duration_s(self) -> float:
        """Length of the talk in seconds."""
        return len(self.audio) / SAMPLE_RATE


def load_talk(path: Path) -> Talk:
    """Read the talk's data file."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    sections = [Section(**section) for section in data.pop("section")]
    for key in ("sentence_pause_s", "section_pause_s"):
        data[key] = tuple(data[key])
    return Talk(sections=sections, **data)


def speak(text: str, voice: str) -> Audio:
    """Speak one sentence.

    Args:
        text: The sentence.
        voice: Engine and voice, such as ``flite:slt`` or ``espeak:en-us``.

    Returns:
        Mono samples at 48 kHz, silence trimmed off both ends, peak at -6 dBFS.
    """
    engine, name = voice.split(":")
    if engine == "flite":
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "speech.wav"
            command = ["flite", "-voice", name, "-t", text, "-o", str(out)]
            if name == "kal16":  # its own pitch is a child's
                command[3:3] = ["--setf", "int_f0_target_mean=105"]
            subprocess.run(command, check=True, capture_output=True)
            raw = out.read_bytes()
    else:
        command = ["espeak-ng", "-v", name, "-s", "165", "-p", "50", "--stdout", text]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(raw)) as reader:
        rate = reader.getframerate()
    # espeak-ng writes a length it does not know yet into the header, so skip the header instead
    samples = np.frombuffer(raw[44:], np.int16).astype(np.float32)
    step = gcd(rate, SAMPLE_RATE)
    samples = resample_poly(samples, SAMPLE_RATE // step, rate // step).astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) > EDGE_LEVEL * np.abs(samples).max())
    margin = SAMPLE_RATE // 100
    samples = samples[max(0, loud[0] - margin) : loud[-1] + 2 * margin]
    return samples * np.float32(PEAK / np.abs(samples).max())


def assemble(talk: Talk) -> Track:
    """Speak all sentences and lay them out; a slide changes in the middle of a section pause."""
    dice = random.Random(talk.seed)
    parts: list[Audio] = []
    position = 0  # samples so far
    sections: list[dict[str, Any]] = []
    sentences: list[dict[str, Any]] = []

    def silence(seconds: float) -> None:
        nonlocal position
        parts.append(np.zeros(round(seconds * SAMPLE_RATE), np.float32))
        position += len(parts[-1])

    silence(talk.lead_s)
    cut = 0.0
    for number, section in enumerate(talk.sections, 1):
        start = cut
        for index, text in enumerate(section.sentences):
            if index:
                silence(dice.uniform(*talk.sentence_pause_s))
            parts.append(speak(text, section.voice))
            times = {
                "start_s": round(position / SAMPLE_RATE, 3),
                "end_s": round((position + len(parts[-1])) / SAMPLE_RATE, 3),
            }
            position += len(parts[-1])
            sentences.append({"section": number, **times, "text": text})
        last = number == len(talk.sections)
        pause = talk.tail_s if last else dice.uniform(*talk.section_pause_s)
        cut = position / SAMPLE_RATE + pause / 2
        cut = round(cut * FPS) / FPS  # a slide can change only at a frame
        silence(pause)
        end = position / SAMPLE_RATE if last else cut
        sections.append(
            {
                "number": number,
                "title": section.title,
                "voice": section.voice,
                "start_s": round(start, 3),
                "end_s": round(end, 3),
            }
        )
    return Track(np.concatenate(parts), sections, sentences)


def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans in the given size (pixels)."""
    return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size)


def render_slide(talk: Talk, number: int) -> Image.Image:
    """Draw slide ``number`` (from 1) of the talk, 1280 x 720 pixels, RGB."""
    section, count = talk.sections[number - 1], len(talk.sections)
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 300, HEIGHT), fill=section.accent)
    draw.text((150, 300), str(number), font=font(220, bold=True), fill="white", anchor="mm")
    for dot in range(count):
        left = 150 + round((dot - (count - 1) / 2) * 34)
        box = (left - 9, 461, left + 9, 479)
        if dot < number:
            draw.ellipse(box, fill="white")
        else:
            draw.ellipse(box, outline="white", width=2)
    draw.text((360, 96), talk.title.upper(), font=font(20, bold=True), fill=section.accent)
    draw.text((358, 132), section.title, font=font(58, bold=True), fill=INK)
    draw.rectangle((360, 222, 480, 228), fill=section.accent)
    for row, bullet in enumerate(section.bullets):
        top = 282 + row * 82
        draw.rounded_rectangle((360, top + 10, 378, top + 28), 5, fill=section.accent)
        draw.text((404, top), bullet, font=font(34), fill=INK)
    draw.line((360, 646, WIDTH - 60, 646), fill=FAINT, width=2)
    draw.text((360, 658), talk.subtitle, font=font(20), fill=SOFT)
    page = f"{number} / {count}"
    draw.text((WIDTH - 60, 658), page, font=font(20, bold=True), fill=SOFT, anchor="ra")
    draw.rectangle((0, HEIGHT - BAR_HEIGHT, WIDTH, HEIGHT), fill=FAINT)
    return image


def write_wav(audio: Audio, path: Path) -> None:
    """Write mono 48 kHz samples (-1 to 1) as 16-bit PCM."""
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes((audio * 32767).round().astype("<i2").tobytes())


def write_slides(talk: Talk, track: Track, folder: Path) -> Path:
    """Write the slides as PNG and the list that tells ffmpeg how long to show each of them."""
    lines = ["ffconcat version 1.0"]
    for section in track.sections:
        name = f"slide{section['number']}.png"
        render_slide(talk, section["number"]).save(folder / name)
        lines += [f"file {name}", f"duration {section['end_s'] - section['start_s']:.3f}"]
    lines.append(f"file {name}")  # the concat reader ignores a last entry's duration
    listing = folder / "slides.ffconcat"
    listing.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return listing


def write_video(talk: Talk, track: Track, path: Path) -> None:
    """Encode slides, progress bar and speech into one MP4 (H.264 and AAC)."""
    duration = track.duration_s
    picture = (
        f"[0:v]fps={FPS},format=yuv444p[slides];"
        f"color=c={INK}:s={WIDTH}x{BAR_HEIGHT}:r={FPS}[bar];"
        f"[slides][bar]overlay=x='-w+w*t/{duration:.3f}':y={HEIGHT - BAR_HEIGHT}:shortest=1,"
        "format=yuv420p[v]"
    )
    video = [
        "-c:v",
        "libx264",
        "-preset",
        "slow",
        "-crf",
        "21",
        "-tune",
        "stillimage",
        "-g",
        "250",
        "-colorspace",
        "bt709",
    ]
    audio = ["-c:a", "aac", "-b:a", "96k", "-ac", "1"]
    plain = [
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
        "-flags:a",
        "+bitexact",
        "-movflags",
        "+faststart",
    ]
    with tempfile.TemporaryDirectory() as folder:
        listing = write_slides(talk, track, Path(folder))
        speech = Path(folder) / "speech.wav"
        write_wav(track.audio, speech)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error"]
        command += ["-f", "concat", "-i", str(listing), "-i", str(speech)]
        command += ["-filter_complex", picture, "-map", "[v]", "-map", "1:a"]
        command += [*video, *audio, *plain, "-t", f"{duration:.3f}"]
        command += ["-metadata", f"title={talk.title}", str(path)]
        subprocess.run(command, check=True)


def write_truth(talk: Talk, track: Track, path: Path) -> None:
    """Write the ground truth: sections and sentences with their times in seconds."""
    truth = {
        "title": talk.title,
        "duration_s": round(track.duration_s, 3),
        "sections": track.sections,
        "sentences": track.sentences,
    }
    path.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Make the talk."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--talk", type=Path, default=HERE / "talk.toml")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the MP4 and the JSON")
    options = parser.parse_args()
    talk = load_talk(options.talk)
    track = assemble(talk)
    write_truth(talk, track, options.out / "sample_talk.json")
    write_video(talk, track, options.out / "sample_talk.mp4")
    size = (options.out / "sample_talk.mp4").stat().st_size / 1e6
    print(f"{track.duration_s:.1f} s, {len(track.sentences)} sentences, {size:.2f} MB")


if __name__ == "__main__":
    main()
