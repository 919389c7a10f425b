"""Claims about what `make up` starts its parts with: what an ``.env`` file says counts as the environment does."""

from pathlib import Path

import pytest
from parts import prepare
from system import MODEL, home_folder
from up import KEY, environment_at, new_key

from madvision_assets.settings import variable_names

DAGSTER = "https://dagster.example.org/behind"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_what_an_env_file_says_is_not_overridden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = {"MADVISION_WHISPER_MODEL": "turbo", "MADVISION_ALLOW_PRIVATE": "0"}
    assert (
        environment_at(tmp_path).items() >= {"MADVISION_WHISPER_MODEL": MODEL, "MADVISION_ALLOW_PRIVATE": "1"}.items()
    )
    assert new_key()

    lines = {**said, "MADVISION_HOME": str(tmp_path / "elsewhere"), KEY: "a-key-of-theirs"}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    assert environment_at(tmp_path).items() >= said.items()
    assert home_folder() == tmp_path / "elsewhere"
    assert new_key() is None
    monkeypatch.setenv("MADVISION_WHISPER_MODEL", "base")
    assert environment_at(tmp_path)["MADVISION_WHISPER_MODEL"] == "base"


@pytest.mark.whole
def test_parts_have_the_links_that_an_env_file_says_and_else_lead_to_each_other(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    (tmp_path / ".env").write_text(f"MADVISION_DAGSTER_URL={DAGSTER}\nMADVISION_INTERNAL_URL=\n")
    system = prepare(home, environment_at(home), with_ui=True)
    try:
        system.start("intake")
        [intake] = system.parts
        lines = Path(f"/proc/{intake.popen.pid}/environ").read_text().split("\0")
    finally:
        system.stop()

    assert f"MADVISION_DAGSTER_URL={DAGSTER}" in lines
    assert f"MADVISION_INTERNAL_URL={system.intake}" in lines
