"""Sound: extracted once without loss, read in windows of constant memory, and told apart from silence."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from madvision_assets.domain.failures import CorruptMediaError, NoAudioTrackError
from madvision_assets.tools.media import apart, probe
from madvision_assets.tools.media.container import opened, sounds_by_preference
from madvision_assets.tools.media.ffmpeg import Progress, budget_s, run, source, target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from madvision_assets.domain.video import MediaInfo

RATE_HZ = 16_000
# Of aresample: sound that strays this far from its time stamps is filled or cut. Its default, 0.1 s, can be heard.
ON_TIME = {"async": 1, "first_pts": 0, "min_hard_comp": 0.03}
QUIET_S = 0.3
FRAME_S = 0.03
SILENCE_DBFS = -50.0
BELOW_LOUD_DB = 30.0
LOUD_PERCENTILE = 95
# A recording that is quiet as a whole may be speech, unless it is as even as the hiss of an empty room.
FAINT_DBFS, BELOW_FAINT_DB, UNEVEN_DB = -70.0, 20.0, 10.0
# Beside loud speech, so much at once is looked at, and a tenth of it is loud at least: more than a sound dying away.
FAINT_S, FAINT_PERCENTILE = 3.0, 90
MERGE_GAP_S = 0.5
# Of pauses: how finely they are looked for, how long they last, and how near to the quietest they are. What is loud and
# what quiet is taken from around, since a speaker may come nearer, or a line hiss.
PAUSE_FRAME_S, PAUSE_S, PAUSE_SHARE = 0.01, 0.15, 0.25
AROUND_S, FLOOR_PERCENTILE = 30.0, 5
QUIET_LINE_DB, NEVER_HEARD_DBFS, DIGITAL_SILENCE_DBFS = 40.0, -60.0, -90.0  # the last says nothing of the line
FULL_SCALE = 32768
BLOCK_BYTES = 512 * 1024


@dataclass(frozen=True)
class AudioWindow:
    """A stretch of sound.

    Attributes:
        start_s: seconds from the start of the video.
        samples: float32, mono, 16 kHz, -1 to 1.
    """

    start_s: float
    samples: "NDArray[np.float32]"

    @property
    def end_s(self) -> float:
        """End, seconds from the start of the video."""
        return self.start_s + len(self.samples) / RATE_HZ


def extract_flac(
    path: Path,
    out: Path,
    info: "MediaInfo | None" = None,
    *,
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Writes the chosen audio track as 16 kHz mono 16-bit FLAC whose time zero is the video's.

    Sound that starts after the picture is preceded by silence, and holes are filled with it, so that a time in the
    FLAC is the same time in the video. The track must keep its format throughout, as what ``to_mp4`` gives does.

    Args:
        path: a video.
        out: the file to write.
        info: what ``probe`` says of the video; None to ask it.
        timeout_s: wall-clock limit, seconds; by default what its bytes allow.
        progress: is told the share done.

    Raises:
        NoAudioTrackError: the file has none.
        Failure: what ``ffmpeg.run`` and ``probe`` raise.
    """
    info = info or probe.probe(path)
    tracks = probe.tracks_of(path, info.tracks)
    if tracks.audio is None:
        raise NoAudioTrackError
    # Left to itself, ffmpeg counts from the audio track's start where that is the only one it reads from MPEG-TS.
    stream = source(path)[str(tracks.audio)].filter("asetpts", f"PTS-{tracks.zero_s:.6f}/TB")
    if tracks.channel is not None:
        stream = stream.filter("channelmap", map=str(tracks.channel), channel_layout="mono")
    stream = stream.filter("aresample", RATE_HZ, **ON_TIME)
    output = target(
        [stream], out, acodec="flac", ar=RATE_HZ, ac=1, sample_fmt="s16", format="flac", map_metadata=-1,
        fflags="+bitexact", flags="+bitexact", copyts=None,
    )  # fmt: skip
    timeout_s = timeout_s or budget_s(path.stat().st_size)
    run(output, timeout_s=timeout_s, what="extracting the audio", progress=progress, duration_s=info.duration_s)


def read_windows(
    flac_source: Path | BinaryIO, window_s: float = 1200.0, search_s: float = 60.0
) -> Iterator[AudioWindow]:
    """The sound in windows of at most ``window_s``, each but the last split where it is quietest.

    Memory holds one window and no more. A window ends in the middle of the quietest 0.3 s of its last ``search_s``.

    Args:
        flac_source: what ``extract_flac`` wrote; a file, or a seekable binary stream.
        window_s: longest window, seconds.
        search_s: how far back from its end a window may be split, seconds; less than ``window_s``.

    Raises:
        NoAudioTrackError: it has no audio track.
        CorruptMediaError: its audio track does not decode.
        Failure: what ``container.opened`` raises.
    """
    import numpy as np

    buffer = np.empty(round(window_s * RATE_HZ), np.int16)
    filled, start = 0, 0
    for block in apart.bytes_of("sound", flac_source):
        rest = np.frombuffer(block, np.int16)
        while len(rest):
            taken = min(len(rest), len(buffer) - filled)
            buffer[filled : filled + taken] = rest[:taken]
            filled, rest = filled + taken, rest[taken:]
            if filled == len(buffer):
                split = _quietest(buffer, round(search_s * RATE_HZ))
                yield _window(start, buffer[:split])
                buffer[: filled - split] = buffer[split:].copy()
                filled, start = filled - split, start + split
    if not start and not filled:
        raise CorruptMediaError("no sound decodes")
    if filled:
        yield _window(start, buffer[:filled])


def read_span(flac_source: Path | BinaryIO, start_s: float, end_s: float) -> "NDArray[np.float32]":
    """The sound from one moment to another, which alone is decoded and held; shorter where the file ends before.

    Args:
        flac_source: what ``extract_flac`` wrote; a file, or a seekable binary stream.
        start_s: seconds from the start of the video.
        end_s: likewise.

    Raises:
        Failure: what ``read_windows`` raises.
    """
    import numpy as np

    data = b"".join(apart.bytes_of("sound", flac_source, start_s=start_s, end_s=end_s))
    return _window(0, np.frombuffer(data, np.int16)[: round((end_s - start_s) * RATE_HZ)]).samples


def audible_spans(samples: "NDArray[np.float32]", rate: int) -> list[tuple[float, float]]:
    """Stretches that are louder than near silence, as (start, end) in seconds from the first sample.

    A frame of 30 ms is audible when its RMS is above -50 dBFS and at most 30 dB below the loud parts (the 95th
    percentile of the half minutes around it); gaps under 0.5 s are closed. Where all is quiet, its loud parts below
    -30 dBFS, what is at most 20 dB below those around counts, down to -70 dBFS, where its level goes up and down as
    that of speech; beside loud sound, noise in its pauses would do so too, and ``faint_spans`` has what may be speech.

    Args:
        samples: mono, -1 to 1.
        rate: samples a second.
    """
    import numpy as np

    level_db, frame_s = _levels_db(samples, rate)
    audible = np.empty(len(level_db), bool)
    is_quiet = len(level_db) > 0 and np.percentile(level_db, LOUD_PERCENTILE) < SILENCE_DBFS + BELOW_FAINT_DB
    block = round(AROUND_S / frame_s)
    for at in range(0, len(level_db), block):
        around = level_db[max(0, at - block // 2) : at + block + block // 2]
        loud_db = float(np.percentile(around, LOUD_PERCENTILE))
        silence_db = SILENCE_DBFS
        if is_quiet and _spread_db(around[around <= SILENCE_DBFS], LOUD_PERCENTILE) > UNEVEN_DB:
            silence_db = min(SILENCE_DBFS, max(FAINT_DBFS, loud_db - BELOW_FAINT_DB))
        audible[at : at + block] = level_db[at : at + block] > max(silence_db, loud_db - BELOW_LOUD_DB)
    return _spans(audible, frame_s, len(samples) / rate)


def faint_spans(
    samples: "NDArray[np.float32]", rate: int, audible: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Where somebody may speak whom loud sound nearby hides, as (start, end) in seconds from the first sample.

    A frame outside of the audible spans counts above -70 dBFS, where the level of such frames within 3 s goes up and
    down as that of speech: hiss and hum do not.

    Args:
        samples: mono, -1 to 1.
        rate: samples a second.
        audible: what ``audible_spans`` says of them.
    """
    import numpy as np

    level_db, frame_s = _levels_db(samples, rate)
    free = np.ones(len(level_db), bool)
    for start_s, end_s in audible:
        free[max(0, math.floor(start_s / frame_s)) : math.ceil(end_s / frame_s)] = False
    faint = np.zeros(len(level_db), bool)
    block = round(FAINT_S / frame_s)
    for at in range(0, len(level_db), block):
        around = slice(max(0, at - block // 2), at + block + block // 2)
        if _spread_db(level_db[around][free[around]], FAINT_PERCENTILE) > UNEVEN_DB:
            faint[at : at + block] = (free & (level_db > FAINT_DBFS))[at : at + block]
    return _spans(faint, frame_s, len(samples) / rate)


def _levels_db(samples: "NDArray[np.float32]", rate: int) -> tuple["NDArray[np.float64]", float]:
    """The level of each frame of 30 ms, dBFS, and how long one is, seconds."""
    import numpy as np

    size = max(1, round(FRAME_S * rate))
    power = np.array([np.mean(np.square(samples[at : at + size])) for at in range(0, len(samples), size)], np.float64)
    return 10 * np.log10(power + 1e-12), size / rate


def _spread_db(level_db: "NDArray[np.float64]", percentile: int) -> float:
    """How far loud frames and quiet ones lie apart."""
    import numpy as np

    if not len(level_db):
        return 0.0
    return float(np.percentile(level_db, percentile) - np.percentile(level_db, 100 - percentile))


def pauses(samples: "NDArray[np.float32]", rate: int) -> list[tuple[float, float]]:
    """Where nobody speaks for a moment, between two words or under noise, as (start, end) in seconds.

    A frame of 10 ms is quiet when its level lies in the lowest quarter between the quietest and the loudest of the
    half minutes around it, in dB; on a quiet line, when it is 30 dB below the loud ones. A pause lasts 0.15 s, so
    that nothing shorter has any.

    Args:
        samples: mono, -1 to 1.
        rate: samples a second.
    """
    import numpy as np

    size = round(PAUSE_FRAME_S * rate)
    frames = len(samples) // size
    if frames * PAUSE_FRAME_S < PAUSE_S:
        return []
    power = np.mean(np.square(samples[: frames * size].reshape(frames, size)), axis=1)
    level_db = 10 * np.log10(np.convolve(power, np.full(3, 1 / 3), "same") + 1e-12)
    quiet = np.empty(frames, bool)
    block = round(AROUND_S / PAUSE_FRAME_S)
    for at in range(0, frames, block):
        around = level_db[max(0, at - block // 2) : at + block + block // 2]
        around = around[around > DIGITAL_SILENCE_DBFS] if around.max() > DIGITAL_SILENCE_DBFS else around
        loud_db, floor_db = np.percentile(around, LOUD_PERCENTILE), np.percentile(around, FLOOR_PERCENTILE)
        below_db = loud_db - BELOW_LOUD_DB
        if floor_db > loud_db - QUIET_LINE_DB:
            below_db = floor_db + PAUSE_SHARE * (loud_db - floor_db)
        quiet[at : at + block] = level_db[at : at + block] < max(NEVER_HEARD_DBFS, below_db)
    return [span for span in _runs(quiet, PAUSE_FRAME_S) if span[1] - span[0] >= PAUSE_S]


def _runs(frames: "NDArray[np.bool_]", frame_s: float) -> list[tuple[float, float]]:
    """Where frames are true, in seconds."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate(([False], frames, [False]))))
    return [(first * frame_s, last * frame_s) for first, last in edges.reshape(-1, 2).tolist()]


def _spans(audible: "NDArray[np.bool_]", frame_s: float, end_s: float) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for start_s, last_s in _runs(audible, frame_s):
        stop_s = min(last_s, end_s)
        if spans and start_s - spans[-1][1] < MERGE_GAP_S:
            spans[-1] = spans[-1][0], stop_s
        else:
            spans.append((start_s, stop_s))
    return spans


def decoded(source: BinaryIO, start_s: float = 0.0, end_s: float | None = None) -> Iterator[bytes]:
    """The samples, 16 kHz mono, 16 bits each, in blocks of some seconds; in the child.

    Args:
        source: media with sound.
        start_s: from when on, seconds.
        end_s: until when at least, seconds; None for all.
    """
    gathered = bytearray()
    for block in _blocks(source, start_s, end_s):
        gathered += block
        if len(gathered) >= BLOCK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _blocks(source: BinaryIO, start_s: float, end_s: float | None) -> Iterator[bytes]:
    import av

    with opened(source) as container:
        track = next(iter(sounds_by_preference(container)), None)
        if track is None:
            raise NoAudioTrackError
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        early: int | None = None  # bytes that come before what is wanted
        if start_s:
            container.seek(round(start_s * av.time_base))  # to the frame that has it
        for frame in container.decode(track):
            frame_s = frame.time or 0.0
            if end_s is not None and frame_s >= end_s:
                break
            if early is None:
                early = 2 * max(0, round((start_s - frame_s) * RATE_HZ))
            for block in resampler.resample(frame):
                data = bytes(block.planes[0])[: 2 * block.samples]
                yield data[early:]
                early = max(0, early - len(data))
        for block in resampler.resample(None):
            yield bytes(block.planes[0])[: 2 * block.samples]


def _quietest(samples: "NDArray[np.int16]", search: int) -> int:
    """Index of the middle of the quietest 0.3 s among the last ``search`` samples; the last such, where many are."""
    import numpy as np

    frame = round(FRAME_S * RATE_HZ)
    tail = samples[-min(search, len(samples) - 1) :]
    tail = tail[len(tail) % frame :]
    power = np.mean(np.square(tail.reshape(-1, frame).astype(np.float32)), axis=1)
    width = min(len(power), round(QUIET_S / FRAME_S))
    if not width:
        return len(samples)
    sums = np.convolve(power, np.ones(width), "valid")
    first = len(sums) - 1 - int(np.argmin(sums[::-1]))
    return len(samples) - len(tail) + first * frame + width * frame // 2


def _window(start: int, samples: "NDArray[np.int16]") -> AudioWindow:
    import numpy as np

    return AudioWindow(start / RATE_HZ, samples.astype(np.float32) / np.float32(FULL_SCALE))
