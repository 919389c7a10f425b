"""Claims about what of a coded frame goes into a clip."""

import pytest

from madvision_assets.tools.media.kept_units import AVC, HEVC, Form, pieces

SLICE, RECOVERY, PLACE = b"\x65\x88\x84", b"\x06\x01\xc4", b"\x05\x12" + bytes(range(1, 17)) + b"52"
LONG = b"\x05\xff\x01" + b"N" * 256


@pytest.mark.parametrize(
    ("form", "units", "kept"),
    [
        (AVC, [b"\x09\xf0", b"\x67\x64", SLICE], ((0, 19),)),
        (AVC, [b"\x09\xf0", b"\x06" + PLACE + b"\x80", SLICE], ((0, 6), (32, 39))),
        (AVC, [b"\x06" + RECOVERY + b"\x80", SLICE], ((0, 16),)),
        (AVC, [b"\x06" + PLACE + RECOVERY + b"\x80", SLICE], (b"\0\0\0\x05\x06" + RECOVERY + b"\x80", (29, 36))),
        (AVC, [b"\x06" + LONG + b"\x80", SLICE], ((265, 272),)),
        (AVC, [b"\x06\x05\xff\x80", SLICE], ((8, 15),)),  # cut: who knows what it is
        (AVC, [b"\x06\x01\x04\0\0\3\0\4\x05\x01A\x80"], (b"\0\0\0\x09\x06\x01\x04\0\0\3\0\4\x80",)),
        (AVC, [b"\x18secret", SLICE], ((11, 18),)),
        (HEVC, [b"\x4e\x01" + PLACE + b"\x80", b"\x50\x01" + PLACE + b"\x80", b"\x28\x01\x88"], ((54, 61),)),
    ],
)  # fmt: skip
def test_only_what_pictures_need_is_kept(form: Form, units: list[bytes], kept: object) -> None:
    assert pieces(units, form) == kept
