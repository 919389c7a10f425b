"""Claims about IDs."""

import re

from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.provenance import VIDEO_ID_PATTERN
from madvision_assets.domain.video import extractor_video_id, file_video_id, web_video_id


@given(st.text(), st.text())
def test_ids_are_valid_partition_keys_or_none(extractor: str, source_id: str) -> None:
    made = extractor_video_id(extractor, source_id)
    assert made is None or re.fullmatch(VIDEO_ID_PATTERN, made)


def test_ids_are_short_stable_and_valid() -> None:
    assert extractor_video_id("Youtube", "dQw4w9WgXcQ") == "youtube-dQw4w9WgXcQ"
    assert re.fullmatch(VIDEO_ID_PATTERN, web_video_id("http://example.com/"))
    assert file_video_id("ab" * 32) == "file-" + "ab" * 8
