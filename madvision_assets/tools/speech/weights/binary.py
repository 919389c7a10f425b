"""``model.bin``: the file in which CTranslate2 keeps a model's variables (format version 6)."""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

VERSION, SPECIFICATION = 6, "WhisperSpec"
# In the order of CTranslate2's own numbers for them; bfloat16 is read as the upper half of a float32.
TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
SCALE = "_scale"  # behind the name of a variable that was rounded to integers, a factor for each row


def read_variables(path: Path) -> "Arrays":
    """Every variable by its name, floating point as it lies there; one that was rounded to integers as float32.

    Raises:
        ValueError: it is no Whisper model of CTranslate2's, of another version, or cut short.
    """
    with path.open("rb") as file:
        try:
            return _floats(_variables(file))
        except struct.error as error:
            raise ValueError("the file is cut short") from error


def variable_names(path: Path) -> list[str]:
    """The names of all variables, aliases apart; what they are is passed over unread. Raises likewise."""
    with path.open("rb") as file:
        try:
            return [_passed_over(file) for _ in range(_count(file))]
        except struct.error as error:
            raise ValueError("the file is cut short") from error


def _passed_over(file: BinaryIO) -> str:
    """The name of a variable; the file is behind it then."""
    name = _text(file)
    (rank,) = _read(file, "B")
    _read(file, "I" * rank)
    _read(file, "B")  # the type
    (size,) = _read(file, "I")
    file.seek(size, os.SEEK_CUR)
    return name


def _count(file: BinaryIO) -> int:
    """How many variables follow the head."""
    (version,) = _read(file, "I")
    name = _text(file) if version == VERSION else "?"
    if (version, name) != (VERSION, SPECIFICATION):
        raise ValueError(f"version {version} of a {name}, in place of version {VERSION} of a {SPECIFICATION}")
    _read(file, "I")  # the revision of the specification
    (count,) = _read(file, "I")
    return int(count)


def _variables(file: BinaryIO) -> "dict[str, NDArray[np.generic]]":
    found = dict(_variable(file) for _ in range(_count(file)))
    (aliases,) = _read(file, "I")
    for _ in range(aliases):
        alias, of = _text(file), _text(file)
        found[alias] = found[of]
    return found


def _variable(file: BinaryIO) -> "tuple[str, NDArray[np.generic]]":
    import numpy as np

    name = _text(file)
    (rank,) = _read(file, "B")
    shape = _read(file, "I" * rank)
    (number,) = _read(file, "B")
    (size,) = _read(file, "I")
    raw = file.read(size)
    if len(raw) < size:
        raise ValueError("the file is cut short")
    if TYPES[number] == "bfloat16":
        widened = np.frombuffer(raw, np.uint16).astype(np.uint32) << 16
        return name, widened.view(np.float32).reshape(shape)
    return name, np.frombuffer(raw, TYPES[number]).reshape(shape)


def _floats(variables: "dict[str, NDArray[np.generic]]") -> "Arrays":
    import numpy as np

    for name in [each for each in variables if each.endswith(SCALE)]:
        scale = np.asarray(variables.pop(name), np.float32)
        of = name.removesuffix(SCALE)
        rounded = np.asarray(variables[of], np.float32)
        variables[of] = rounded / scale.reshape(-1, *[1] * (rounded.ndim - 1))
    return variables


def _text(file: BinaryIO) -> str:
    (length,) = _read(file, "H")
    return file.read(length).rstrip(b"\0").decode()


def _read(file: BinaryIO, form: str) -> tuple[int, ...]:
    """Numbers, little-endian without padding."""
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))
