"""Claims about what is kept of released versions, so that the next one is added whole."""

import re
from pathlib import Path

import pytest

from madvision_assets_tests.released import FOLDER, VERSIONS, sample_document

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
LARGEST_BYTES = 400_000


def test_every_version_before_the_last_has_left_something() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", CHANGELOG.read_text(), re.MULTILINE)

    assert "v0_2_0" in VERSIONS
    assert {f"v{version.replace('.', '_')}" for version in released[1:]} <= set(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_is_kept_whole_and_small(version: str) -> None:
    files = [path for path in (FOLDER / version).rglob("*") if path.is_file()]
    samples = {path.stem for path in (FOLDER / version / "documents").iterdir()}

    assert samples >= {"raw_video", "transcript", "content_type", "clip_candidates", "clips", "current"}
    assert {"home.tar.xz", "postgresql.sql.xz", "tokens.json"} <= {path.name for path in files}
    assert sum(path.stat().st_size for path in files) < LARGEST_BYTES


@pytest.mark.parametrize("version", VERSIONS)
def test_the_samples_are_of_one_video_and_the_pointer_points_at_its_clips(version: str) -> None:
    names = [path.stem for path in (FOLDER / version / "documents").glob("*.json") if path.stem != "current"]
    documents = [sample_document(version, name) for name in names]
    clips = sample_document(version, "clips")

    assert len({document["video_id"] for document in documents}) == 1
    assert len(clips["clips"]) == 2
    assert sample_document(version, "current")["data_version"] == clips["provenance"]["data_version"]
