"""Small videos made for tests, each with something that goes wrong elsewhere.

The frame number is in the picture, as sixteen black or white blocks, so that a cut can be checked to the frame. At each
time of ``beeps_s`` the lower half is white and a tone sounds, for 0.12 s, so that sound and picture can be compared.
Each maker takes the path of the file to make and gives it back; ``of`` is a video that another maker made.
"""

import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180
BITS = 16
FLASH_S = 0.12
RATE_HZ = 48_000
TIMEOUT_S = 120


def free_box(text: str) -> bytes:
    """A box that players of MP4 pass over: at the end of a film it makes other bytes of the same film."""
    said = text.encode()
    return (8 + len(said)).to_bytes(4, "big") + b"free" + said


@dataclass(frozen=True)
class Shown:
    """A decoded frame: when it is shown, the number in it, and whether its lower half is white."""

    time_s: float
    number: int
    flash: bool


def ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> None:
    """Runs the ffmpeg of imageio-ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, input=stdin, check=True, timeout=TIMEOUT_S)


def numbered(
    out: Path,
    seconds: float = 8.0,
    fps: Fraction = Fraction(25),
    *,
    beeps_s: Sequence[float] = (2.0, 5.0),
    video: Sequence[str] = ("-c:v", "libx264", "-preset", "veryfast", "-g", "250", "-bf", "3"),
    audio: Sequence[str] = ("-c:a", "aac"),
    times: str = "",
    mux: Sequence[str] = (),
) -> Path:
    """A video with numbered frames, flashes and beeps; 320x180.

    Args:
        out: the file; its suffix chooses the container.
        seconds: length of the sound, and of the picture at a steady rate.
        fps: rate of the frames.
        beeps_s: when it flashes and beeps.
        video: options of the video encoder.
        audio: options of the audio encoder.
        times: expression of N, in seconds, for a variable rate; see ffmpeg's ``setpts``.
        mux: options of the container.
    """
    frames = picture_frames(round(seconds * fps), fps, beeps_s)
    sound = write_wav(out.with_suffix(".source.wav"), seconds, beeps_s)
    shape = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(fps), "-i", "pipe:0")
    filters = (
        ("-vf", f"settb=1/90000,setpts=({times})/TB", "-fps_mode", "passthrough", "-enc_time_base", "1/90000")
        if times
        else ()
    )
    pixels = ("-pix_fmt", "yuv420p")
    ffmpeg(*shape, "-i", sound, *filters, *pixels, *video, *audio, *mux, out, stdin=frames.tobytes())
    sound.unlink()
    return out


def picture_frames(count: int, fps: Fraction, beeps_s: Sequence[float]) -> NDArray[np.uint8]:
    """Grey frames (count, height, width), numbered from 0."""
    frames = np.full((count, HEIGHT, WIDTH), 16, np.uint8)
    block = WIDTH // BITS
    for number in range(count):
        for bit in range(BITS):
            if number >> bit & 1:
                frames[number, : HEIGHT // 2, bit * block : (bit + 1) * block] = 235
        if any(beep_s <= number / fps < beep_s + FLASH_S for beep_s in beeps_s):
            frames[number, HEIGHT // 2 :] = 235
    return frames


def write_wav(out: Path, seconds: float, beeps_s: Sequence[float]) -> Path:
    """Mono 48 kHz WAV: a 1 kHz tone for 0.12 s at each time, else digital silence."""
    clock = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sounding = np.zeros(len(clock), bool)
    for beep_s in beeps_s:
        sounding |= (clock >= beep_s) & (clock < beep_s + FLASH_S)
    samples = (np.sin(2 * np.pi * 1000 * clock) * sounding * 16000).astype("<i2")
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return out


def shown_frames(path: Path, *, ignore_edit_list: bool = False) -> list[Shown]:
    """Every frame of a numbered video, in the order shown."""
    options = {"ignore_editlist": "1"} if ignore_edit_list else {}
    with av.open(str(path), options=options) as container:
        return [_read(frame) for frame in container.decode(container.streams.video[0])]


def _read(frame: av.VideoFrame) -> Shown:
    grey = frame.reformat(width=WIDTH, height=HEIGHT, format="gray").to_ndarray()
    block = WIDTH // BITS
    row = [grey[20:70, bit * block + 5 : (bit + 1) * block - 5].mean() > 128 for bit in range(BITS)]
    number = sum(1 << bit for bit, white in enumerate(row) if white)
    return Shown(frame.time or 0.0, number, bool(grey[HEIGHT // 2 + 10 :].mean() > 128))


def beep_starts(path: Path) -> list[float]:
    """Times, in seconds of the file, at which a tone begins; to a millisecond or two."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono")
        frames = list(container.decode(track))
        start_s = frames[0].time or 0.0
        blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
        blocks += [block.to_ndarray()[0] for block in resampler.resample(None)]
        rate = track.rate
    loud = np.abs(np.concatenate(blocks)) > 0.1
    starts = np.flatnonzero(loud[1:] & ~loud[:-1])
    first = [at for index, at in enumerate(starts) if index == 0 or at - starts[index - 1] > 0.05 * rate]
    return [start_s + float(at) / rate for at in first]


def talking(out: Path, seconds: float = 6.0) -> Path:
    """Moving picture, bursts of tone with pauses: H.264 and AAC in MP4, index at the front, telling metadata."""
    tone = "0.4*sin(2*PI*(180+40*sin(3*t))*t)*lt(mod(t\\,1.2)\\,0.8)"
    return _made(
        out, "-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r=25:d={seconds}", "-f", "lavfi", "-i",
        f"aevalsrc={tone}:s=44100:d={seconds}", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
        "-c:a", "aac", "-movflags", "+faststart", "-metadata", "title=secret title", "-metadata", "location=+1+2/",
    )  # fmt: skip


def slides(out: Path) -> Path:
    """16 s of numbered frames, one every 2 s and every other one 0.3 s late: a variable frame rate."""
    return numbered(out, 16.0, Fraction(1, 2), times="N*2+0.3*mod(N\\,2)", beeps_s=(5.0,))


def rotated(out: Path, of: Path) -> Path:
    """The video as a phone held upright writes it: a display matrix turns it a quarter clockwise."""
    return _made(out, "-display_rotation", "-90", "-i", of, "-c", "copy", "-movflags", "+faststart")


def odd(out: Path) -> Path:
    """319x179, which 4:2:0 cannot have."""
    return _made(
        out, "-f", "lavfi", "-i", "testsrc2=s=319x179:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2",
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p", "-c:a", "aac",
    )  # fmt: skip


def tiny(out: Path) -> Path:
    """0.2 seconds."""
    return talking(out, 0.2)


def one_sound_frame(out: Path) -> Path:
    """A second of picture with a beep of one AAC frame."""
    return _made(
        out, "-f", "lavfi", "-i", "testsrc=s=320x180:d=1:r=25", "-f", "lavfi", "-i",
        "sine=r=48000:d=0.02", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac",
    )  # fmt: skip


def silence(out: Path, seconds: float = 3.0) -> Path:
    """Digital silence beside a moving picture."""
    return _made(
        out, "-f", "lavfi", "-i", f"testsrc2=s=160x90:r=25:d={seconds}", "-f", "lavfi", "-i",
        f"anullsrc=r=44100:cl=stereo:d={seconds}", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
        "-c:a", "aac",
    )  # fmt: skip


def mute(out: Path, of: Path) -> Path:
    """The video without its audio track."""
    return _made(out, "-i", of, "-c", "copy", "-an")


def audio_only(out: Path) -> Path:
    """Sound alone; the suffix (.mp3, .m4a, .wav) chooses the format."""
    return _made(out, "-f", "lavfi", "-i", "sine=d=2")


def audio_with_cover(out: Path) -> Path:
    """An MP3 with a cover picture, which demuxers show as a video track."""
    return _made(
        out, "-f", "lavfi", "-i", "sine=d=2", "-f", "lavfi", "-i", "color=red:s=64x64:d=0.04:r=25",
        "-map", "0:a", "-map", "1:v", "-c:v", "mjpeg", "-disposition:v", "attached_pic",
    )  # fmt: skip


def truncated_index(out: Path, of: Path) -> Path:
    """An MP4 whose index stood at the end, which is missing."""
    whole = _made(out.with_suffix(".whole.mp4"), "-i", of, "-c", "copy")
    content = whole.read_bytes()
    whole.unlink()
    return _written(out, content[: len(content) * 2 // 3])


def truncated_media(out: Path, of: Path) -> Path:
    """An MP4 with its index at the front that promises twice what there is."""
    content = of.read_bytes()
    return _written(out, content[: len(content) // 2])


def garbled(out: Path, of: Path) -> Path:
    """An MP4 with a good index, and zeros where picture and sound should be."""
    content = of.read_bytes()
    begin = content.index(b"mdat") + 4
    return _written(out, content[:begin] + bytes(len(content) - begin))


def empty(out: Path) -> Path:
    """Zero bytes."""
    return _written(out, b"")


def text(out: Path) -> Path:
    """A text file, whatever its name says."""
    return _written(out, b"This is not a video.\n" * 200)


def playlist(out: Path, of: Path) -> Path:
    """An HLS playlist, whatever its name says, of a local file."""
    lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:6", "#EXTINF:6,", str(of.absolute()), "#EXT-X-ENDLIST", "")
    return _written(out, "\n".join(lines).encode())


def concat_list(out: Path, of: Path) -> Path:
    """An ffconcat list, whatever its name says, of a local file."""
    return _written(out, f"ffconcat version 1.0\nfile '{of.absolute()}'\n".encode())


def subtitles(out: Path) -> Path:
    """SubRip, whatever its name says."""
    return _written(out, b"1\n00:00:00,000 --> 00:00:02,000\nHello\n\n" * 20)


def picture(out: Path) -> Path:
    """A still picture; the suffix (.png, .jpg, .gif, .avif) chooses the format."""
    return _made(out, "-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}", "-frames:v", "1")


def mov_pcm(out: Path, of: Path) -> Path:
    """QuickTime (.mov) with uncompressed sound, as cameras write it."""
    return _made(out, "-i", of, "-c:v", "copy", "-c:a", "pcm_s16le")


def transport_stream(out: Path, of: Path) -> Path:
    """The video as MPEG-TS whose time stamps begin near 5 s, as broadcasts begin anywhere."""
    return _made(out, "-i", of, "-c", "copy", "-muxdelay", "0", "-muxpreload", "0", "-output_ts_offset", "5")


def spliced_stream(out: Path, of: Path, seconds: float, *changes: str) -> Path:
    """MPEG-TS: the video, which lasts ``seconds``, and then again in another shape, as where a broadcast is spliced."""
    second = _made(out.with_suffix(".second.mp4"), "-i", of, *changes)
    parts = [
        _made(out.with_suffix(f".{at_s}.ts"), "-i", part, "-c", "copy", "-output_ts_offset", str(at_s))
        for part, at_s in ((of, 0.0), (second, seconds))
    ]
    _written(out, b"".join(part.read_bytes() for part in parts))
    for made in (second, *parts):
        made.unlink()
    return out


def late_audio(out: Path, of: Path, late_s: float) -> Path:
    """The video with its audio track moved back, so that it starts after the picture."""
    return _made(out, "-i", of, "-itsoffset", str(late_s), "-i", of, "-map", "0:v", "-map", "1:a", "-c", "copy")


def big(out: Path, size_bytes: int) -> Path:
    """A file of at least so many bytes: noise at a high bit rate, repeated by copying."""
    seed = _made(
        out.with_suffix(".seed.mp4"), "-f", "lavfi", "-i", "nullsrc=s=640x360:r=25:d=4,noise=alls=100:allf=t", "-f",
        "lavfi", "-i", "sine=d=4", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "8", "-pix_fmt", "yuv420p",
        "-c:a", "aac",
    )  # fmt: skip
    times = size_bytes // seed.stat().st_size + 1
    _made(out, "-stream_loop", str(times), "-i", seed, "-c", "copy", "-movflags", "+faststart")
    seed.unlink()
    return out


def _made(out: Path, *arguments: str | Path) -> Path:
    ffmpeg(*arguments, out)
    return out


def _written(out: Path, content: bytes) -> Path:
    out.write_bytes(content)
    return out
