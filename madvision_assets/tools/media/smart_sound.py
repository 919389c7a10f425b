"""The sound of a smart clip: cut to the sample, faded at both edges, coded as AAC; runs in the sandboxed child.

An AAC encoder's first packet is silence of 1024 samples, by which players that ignore edit lists are late. Here the
clip begins 240 samples before that packet ends, which its fade hides: 16 ms at most, and exact with the edit list.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from madvision_assets.tools.media import mp4
from madvision_assets.tools.media.audio import ON_TIME
from madvision_assets.tools.media.container import sounds_from
from madvision_assets.tools.media.smart_plan import Doubt

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.filter import Graph

RATE_HZ = 48_000
CHANNELS = 2
BIT_RATE = 160_000
FADE_SAMPLES = 240  # 5 ms
FRAME_SAMPLES = 1024
LEAD_SAMPLES = FRAME_SAMPLES - FADE_SAMPLES
PREROLL_S = 0.5


def track(container: "InputContainer", sound: "AudioStream", start_s: float, samples: int) -> mp4.Track:
    """The sound of a clip, coded.

    Args:
        container: the source.
        sound: its track.
        start_s: where the clip begins, seconds of the file's own clock.
        samples: how many the clip has, at 48 kHz.

    Raises:
        Doubt: it cannot be encoded.
    """
    import av

    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE_HZ, "stereo", "fltp", BIT_RATE
    encoder.time_base = Fraction(1, RATE_HZ)
    encoder.options = {"aac_coder": "fast"}
    packets: list[bytes] = []
    for frame in _cut(container, sound, start_s, samples):
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    # The first packet is what the encoder puts before all; in the second one the clip begins after the lead.
    needed = -(-(LEAD_SAMPLES + samples) // FRAME_SAMPLES)
    kept = packets[1 : 1 + needed]
    if len(kept) < needed or not encoder.extradata:
        raise Doubt(f"its sound gave {len(kept)} packets instead of {needed}")
    entry = mp4.aac_entry(RATE_HZ, CHANNELS, bytes(encoder.extradata))
    return mp4.Track(
        b"soun", RATE_HZ, FRAME_SAMPLES, [entry], [mp4.Sample(len(data), data) for data in kept],
        skipped_ticks=LEAD_SAMPLES, shown_ticks=samples,
    )  # fmt: skip


def _cut(container: "InputContainer", sound: "AudioStream", start_s: float, samples: int) -> "Iterator[AudioFrame]":
    """Frames of the lead's silence and the clip's sound, in the encoder's form."""
    import av

    graph = _graph(sound, start_s, samples)
    until_s = start_s + samples / RATE_HZ + PREROLL_S
    try:
        for frame in sounds_from(container, sound, start_s - PREROLL_S):
            if frame.time is None or frame.time + frame.samples / frame.sample_rate < start_s - PREROLL_S:
                continue
            if frame.time > until_s:
                break
            graph.push(frame)
            yield from _pulled(graph)
        graph.push(None)
    except av.error.EOFError:  # it has all that it wants
        pass
    yield from _pulled(graph)


def _pulled(graph: "Graph") -> "Iterator[AudioFrame]":
    import av

    while True:
        try:
            yield graph.pull()  # type: ignore[misc]
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _graph(sound: "AudioStream", start_s: float, samples: int) -> "Graph":
    """The filters of ``cut``'s sound, with fades, the lead's silence before it, and a packet's silence after it."""
    import av

    graph = av.filter.Graph()
    on_time = ":".join(f"{name}={value}" for name, value in ON_TIME.items())
    nodes = [
        graph.add_abuffer(template=sound),
        graph.add("asetpts", f"PTS-({start_s:.6f})/TB"),
        graph.add("aresample", f"{RATE_HZ}:{on_time}"),
        graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        graph.add("apad"),
        graph.add("atrim", f"end_sample={samples}"),
        graph.add("afade", f"type=in:start_sample=0:nb_samples={FADE_SAMPLES}"),
        graph.add("afade", f"type=out:start_sample={max(0, samples - FADE_SAMPLES)}:nb_samples={FADE_SAMPLES}"),
        graph.add("adelay", f"{LEAD_SAMPLES}S:all=1"),
        graph.add("apad", f"pad_len={2 * FRAME_SAMPLES}"),
        graph.add("asetpts", "N"),
        graph.add("asetnsamples", f"n={FRAME_SAMPLES}:p=1"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes)
    graph.configure()
    return graph
