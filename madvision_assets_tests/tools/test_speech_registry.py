"""Claims about the table of speech engines."""

from pathlib import Path

import pytest

from madvision_assets.tools.speech import EngineOptions, faster_whisper, registry
from madvision_assets.tools.speech.registry import ENGINES, find_engine


def test_an_engine_is_found_by_its_name() -> None:
    assert {name: find_engine(name).name for name in ENGINES} == {name: name for name in ENGINES}


@pytest.mark.parametrize(("gpu", "name"), [(True, "openai-whisper"), (False, "faster-whisper")])
def test_auto_is_what_is_best_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpu: bool, name: str
) -> None:
    device = tmp_path / "nvidiactl"
    monkeypatch.setattr(registry, "NVIDIA_DEVICE", device)
    if gpu:
        device.touch()

    assert find_engine("auto").name == name


def test_a_name_that_no_engine_has_is_told_with_those_that_there_are_and_what_they_take() -> None:
    with pytest.raises(ValueError, match="MADVISION_WHISPER_ENGINE: there is no 'siri'") as told:
        find_engine("siri")

    for engine in ENGINES.values():
        assert engine.name in str(told.value)
        assert engine.models in str(told.value)


def test_what_an_engine_is_given_does_not_show_the_key() -> None:
    assert "sk-hide-me" not in repr(EngineOptions("turbo", Path(), api_key="sk-hide-me"))


@pytest.mark.parametrize(
    ("flags", "exactly"),
    [("flags\t: fpu avx2 avx512_vnni", True), ("Features\t: fp asimd asimddp", True), ("flags\t: fpu avx avx2", False)],
)
def test_weights_are_bytes_only_where_the_processor_loses_nothing_by_that(
    tmp_path: Path, flags: str, *, exactly: bool
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\n{flags}\n")

    assert faster_whisper.adds_bytes_exactly(info) is exactly
    assert not faster_whisper.adds_bytes_exactly(tmp_path / "none")
