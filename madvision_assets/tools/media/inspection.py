"""Decodes all of a clip; runs in the sandboxed child."""

from typing import TYPE_CHECKING, Any, BinaryIO

from madvision_assets.domain.failures import BadClipError
from madvision_assets.tools.media.container import choose_tracks, opened

if TYPE_CHECKING:
    from av.container import InputContainer


def decoded_whole(source: BinaryIO) -> dict[str, Any]:
    """What ``cut.ClipInspection`` holds, but for the size of the file.

    Raises:
        BadClipError: it has no sound, or not both decode.
        Failure: what ``container.opened`` raises.
    """
    with opened(source) as container:
        return _decode_all(container)


def _decode_all(container: "InputContainer") -> dict[str, Any]:
    import av

    tracks = choose_tracks(container)
    if tracks.audio is None:
        raise BadClipError("it has no sound track")
    starts: dict[str, float] = {}
    ends: dict[str, float] = {}
    frames = 0
    frame_s = float(1 / (tracks.video.average_rate or 1))
    for frame in container.decode(tracks.video, tracks.audio):
        kind = "audio" if isinstance(frame, av.AudioFrame) else "video"
        length_s = frame.samples / frame.sample_rate if isinstance(frame, av.AudioFrame) else frame_s
        start_s = getattr(frame, "time", None) or 0.0
        frames += kind == "video"
        starts[kind] = min(start_s, starts.get(kind, start_s))
        ends[kind] = max(start_s + length_s, ends.get(kind, 0.0))
    if len(starts) != 2:  # noqa: PLR2004 - sound and picture
        raise BadClipError(f"only {', '.join(starts) or 'nothing'} decodes")
    return {
        "duration_s": round(max(ends.values()) - min(starts.values()), 6),
        "audio_video_offset_s": round(starts["audio"] - starts["video"], 6),
        "width": tracks.video.width,
        "height": tracks.video.height,
        "frames": frames,
    }
