"""Claims about the names of files that are handed out: ours, safe everywhere, and no two alike."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.clips import Clip
from madvision_assets.domain.sidecars import file_stem, shown_source, slug, suffix_of, unique_stems


def clip(title: str, rank: int = 1) -> Clip:
    return Clip(
        clip_id=f"web-x.{rank:02d}", rank=rank, title=title, reason="", score=0.5, start_s=0, end_s=1, duration_s=1,
        audio_video_offset_s=0, width=2, height=2, files={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Why?", "why"),
        ("../../etc/passwd", "etc-passwd"),
        ("日本語", "日本語"),
        ("", "clip"),
        ("…!?", "clip"),
        ('a"b\r\nc', "a-b-c"),
        ("CON", "con"),
        ("ends with a dot.", "ends-with-a-dot"),
        ("\u202egnp.exe", "gnp-exe"),
        ("हिन्दी में", "हिन्दी-में"),
        ("\uff46\uff55\uff4c\uff4c\u3000width", "full-width"),
        ("zero\u200bwidth", "zerowidth"),
        ("İstanbul ﬁne", unicodedata.normalize("NFKC", "i̇stanbul-fine")),
    ],
)
def test_titles_become_names_that_every_system_takes(title: str, name: str) -> None:
    assert slug(title) == name


@given(st.text(max_size=300))
def test_any_title_gives_a_short_name_of_letters_and_digits(title: str) -> None:
    name = file_stem(clip(title))

    assert re.match(r"01-.", name)
    assert len(name.encode()) <= 83
    assert all(unicodedata.category(c)[0] in "LMN" or c == "-" for c in name)
    assert not name.endswith("-")
    assert name == unicodedata.normalize("NFC", name)


def test_a_long_title_ends_with_a_whole_word() -> None:
    assert slug("word " * 40) == "-".join(["word"] * 16)
    assert len(slug("語" * 500).encode()) <= 80


def test_no_two_clips_have_one_name() -> None:
    stems = unique_stems([clip("Why", 1), clip("Why", 2), clip("WHY", 1).model_copy(update={"clip_id": "web-x.1"})])

    assert list(stems.values()) == ["01-why", "02-why", "01-why-2"]


@pytest.mark.parametrize(
    ("role", "suffix"),
    [("source", "mp4"), ("captions", "srt"), ("some_new/../role", "some-new-role.webm")],
)
def test_a_role_that_nobody_knows_has_a_safe_suffix_too(role: str, suffix: str) -> None:
    assert suffix_of(role, "media/x/abc.webm") == suffix


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:secret@x.example.org/a?v=1&token=abcdefgh12345678#t", "https://x.example.org/a?v=1&token=***"),
        ("file:///home/somebody/my%20talk.mp4", "my talk.mp4"),
        ("s3://bucket/private/folder/talk.mp4?versionId=abc", "talk.mp4"),
        ("received://place/talk.mp4?size=5", "talk.mp4"),
        ("file:///", "a file"),
    ],
)
def test_of_an_address_only_what_anybody_may_know_is_shown(address: str, shown: str) -> None:
    assert shown_source(address) == shown
