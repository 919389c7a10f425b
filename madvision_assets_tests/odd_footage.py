"""Small videos as they come from cameras, recorders and editors, each of a kind that is easily taken for another.

Each maker takes the path of the file to make and gives it back. What is to be heard is a tone in bursts (``HEARD_HZ``).
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from madvision_assets.tools.media import mp4
from madvision_assets_tests.footage import HEIGHT, WIDTH, ffmpeg, picture_frames

SIZE = "320x240"
HEARD_HZ = 440
X264 = ("-c:v", "libx264", "-preset", "ultrafast")


def bursts(seconds: float, level: float = 0.4) -> tuple[str, ...]:
    """An input: the tone, 0.8 s of each 1.2 s."""
    tone = f"{level}*sin({HEARD_HZ}*2*PI*t)*lt(mod(t\\,1.2)\\,0.8)"
    return "-f", "lavfi", "-i", f"aevalsrc={tone}:s=48000:d={seconds}"


def moving(seconds: float, rate: int = 25, size: str = SIZE) -> tuple[str, ...]:
    """An input: a picture that moves."""
    return "-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"


def interlaced(out: Path, seconds: float = 3.0, *, first: str = "tff", codec: Sequence[str] = ()) -> Path:
    """Two fields in each frame, as cameras and broadcasts have them; ``first`` is the upper or the lower one."""
    h264 = (*X264, "-flags", "+ildct+ilme", "-x264-params", f"{first}=1", "-pix_fmt", "yuv420p")
    woven = f"interlace=scan={first}:lowpass=0"
    ffmpeg(*moving(seconds, 50), *bursts(seconds), "-vf", woven, *(codec or h264), "-c:a", "aac", out)
    return out


def antiphase(out: Path, seconds: float = 4.0, from_s: float = 0.0) -> Path:
    """Stereo whose right side is, from a time on, the left one upside down, so that their sum is silent."""
    sides = f"[1:a]aeval='val(0)|val(0)*(1-2*gte(t,{from_s}))',aformat=channel_layouts=stereo[a]"
    ffmpeg(*moving(seconds), *bursts(seconds), "-filter_complex", sides, "-map", "0:v", "-map", "[a]", *X264, out)
    return out


def two_sounds(out: Path, seconds: float = 4.0, *, first: str = "anullsrc=r=48000:cl=stereo") -> Path:
    """A recorder's file: by default a sound without any, and one with the tone."""
    ffmpeg(
        *moving(seconds), "-f", "lavfi", "-t", str(seconds), "-i", first, *bursts(seconds), "-map", "0:v",
        "-map", "1:a", "-map", "2:a", *X264, "-c:a", "aac", "-disposition:a:0", "default", "-disposition:a:1", "0", out,
    )  # fmt: skip
    return out


def preview_first(out: Path, seconds: float = 3.0, *, preview_s: float = 1.0, codec: str = "mjpeg") -> Path:
    """A small red picture as the first track, which nothing flags as a preview, and then the real one."""
    ffmpeg(
        "-f", "lavfi", "-i", f"color=red:s=160x120:r=1:d={preview_s}", *moving(seconds), *bursts(seconds),
        "-map", "0:v", "-map", "1:v", "-map", "2:a", "-c:v:0", codec, "-c:v:1", "libx264", "-c:a", "aac", out,
    )  # fmt: skip
    return out


def still_beside_sound(out: Path) -> Path:
    """A sound with one JPEG, which nothing flags as its cover."""
    ffmpeg(
        "-f", "lavfi", "-i", "color=red:s=160x120:r=1:d=1", *bursts(3.0), "-map", "0:v", "-map", "1:a",
        "-c:v", "mjpeg", "-c:a", "aac", out,
    )  # fmt: skip
    return out


def two_descriptions(out: Path, seconds: float = 4.0, rate: int = 25) -> Path:
    """Three numbered films of one size, one after the other, as editors join them: each with an ``avcC`` of its own."""
    kinds = (X264, (*X264, "-profile:v", "baseline", "-refs", "1"), X264)
    frames = picture_frames(round(len(kinds) * seconds * rate), Fraction(rate), ())
    part, length = out.with_suffix(".part.mp4"), len(frames) // len(kinds)
    raw = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(rate), "-i", "pipe:0")
    entries: list[bytes] = []
    samples: list[mp4.Sample] = []
    for number, kind in enumerate(kinds):
        shown = frames[number * length :][:length]
        ffmpeg(*raw, "-pix_fmt", "yuv420p", *kind, "-bf", "0", part, stdin=shown.tobytes())
        with av.open(str(part)) as film:
            record = mp4.box(b"avcC", bytes(film.streams.video[0].codec_context.extradata or b""))
            entries.append(mp4.video_entry(b"avc1", (WIDTH, HEIGHT), record, (2, 2, 2)))
            coded = [(bytes(packet), packet.is_keyframe) for packet in film.demux(video=0) if packet.size]
        samples += [mp4.Sample(len(data), data, key=is_key, entry=number + 1) for data, is_key in coded]
    ffmpeg("-f", "lavfi", "-i", f"sine=r=48000:d={len(samples) / rate}", "-c:a", "aac", part)
    with av.open(str(part)) as tone:
        entry = mp4.aac_entry(48_000, 1, bytes(tone.streams.audio[0].codec_context.extradata or b""))
        sounds = [mp4.Sample(packet.size, bytes(packet)) for packet in tone.demux(audio=0) if packet.size]
    tracks = (
        mp4.Track(b"vide", rate * 1000, 1000, entries, samples, size_px=(WIDTH, HEIGHT)),
        mp4.Track(b"soun", 48_000, 1024, [entry], sounds),
    )
    with out.open("wb") as file, part.open("rb") as nothing:
        mp4.write(file, tracks, nothing)
    part.unlink()
    return out


def with_camera_data(out: Path, of: Path, told: bytes, rate: int = 25) -> Path:
    """A film whose key frames say something as cameras do: as user data, beside what players need, and in own units.

    Args:
        out: the file.
        of: a film of H.264 or HEVC, with sound.
        told: what is said.
        rate: its frames a second, one by one.
    """
    with av.open(str(of)) as film:
        video, sound = film.streams.video[0], film.streams.audio[0]
        is_avc, record = video.codec_context.name == "h264", bytes(video.codec_context.extradata or b"")
        coded = [(bytes(e), e.is_keyframe, (e.pts or 0) * float(e.time_base) * rate) for e in film.demux(0) if e.size]
        entry = mp4.aac_entry(sound.rate, sound.channels, bytes(sound.codec_context.extradata or b""))
    with av.open(str(of)) as film:
        sounds = [mp4.Sample(e.size, bytes(e)) for e in film.demux(film.streams.audio[0]) if e.size]
    header, recovery = (b"\x06", b"\x06\x01\xc4") if is_avc else (b"\x4e\x01", b"\x06\x01\xd0")
    own = b"\x18" if is_avc else b"\x7c\x01"  # types 24 and 62, which no standard uses
    user = [bytes((kind, 16 + len(told))) + bytes(range(16)) + told for kind in (4, 5)]
    units = [header + user[1] + b"\x80", header + user[0] + recovery + user[1] + b"\x80", own + told + b"\x80"]
    extra = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    samples = [
        mp4.Sample(len(data), data, key=is_key, shift=round(at) - number)
        for number, (frame, is_key, at) in enumerate(coded)
        for data in [(extra if is_key else b"") + frame]
    ]
    kind, box = (b"avc1", b"avcC") if is_avc else (b"hvc1", b"hvcC")
    described = mp4.video_entry(kind, (WIDTH, HEIGHT), mp4.box(box, record), (2, 2, 2))
    tracks = (
        mp4.Track(b"vide", rate * 1000, 1000, [described], samples, size_px=(WIDTH, HEIGHT)),
        mp4.Track(b"soun", sound.rate, 1024, [entry], sounds),
    )
    with out.open("wb") as file, of.open("rb") as nothing:
        mp4.write(file, tracks, nothing)
    return out


def coloured(out: Path, colour: str, size: str, *options: str, filters: str = "") -> Path:
    """One colour (0xRRGGBB) in a picture of a size, coded as the options say."""
    picture = f"color={colour}:s={size}:r=10:d=0.8,format=gbrp{filters}"
    ffmpeg("-f", "lavfi", "-i", picture, *bursts(1.0), *options, "-c:a", "aac", out)
    return out
