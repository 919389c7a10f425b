"""The command that measures a choice of clips."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from madvision_assets.command.main import main
from madvision_assets_tests.evaluation.labelled_texts import FITTED, labelled
from madvision_assets_tests.fakes import KEY, FakeOpenAI, quoted_segments

LIMITS = ["--max-clips", "1", "--min-clip-s", "6", "--max-clip-s", "14"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MADVISION_ANALYST", "offline")
    monkeypatch.setenv("MADVISION_HOME", str(tmp_path / "home"))


def a_set(folder: Path) -> Path:
    file = folder / "set.json"
    talks = [talk.model_dump(mode="json") for talk in labelled(FITTED, "A")[:6]]
    file.write_text(json.dumps(talks), encoding="utf-8")
    return file


def test_json_has_each_picker_with_each_measure_and_its_interval(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", str(a_set(tmp_path)), "--format", "json", *LIMITS])

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told) == {"analyst", "random", "uniform", "lead"}
    for measures in told.values():
        for name in ("hit", "precision", "recall", "f1", "ap"):
            low, high = measures[name]["interval"]
            assert 0 <= low <= measures[name]["mean"] <= high <= 1
    assert told["random"]["clip_s"]["mean"] == pytest.approx(told["analyst"]["clip_s"]["mean"], abs=0.01)


def test_the_table_has_a_line_for_each_picker_and_repeats_tell_agreement(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", str(a_set(tmp_path)), "--repeats", "2", *LIMITS])

    assert done.exit_code == 0, done.output
    *lines, measured = [line.split() for line in done.stdout.splitlines() if line]
    assert measured == ["Measured:", "offline."]
    assert [line[0] for line in lines] == ["picker", "analyst", "random", "uniform", "lead"] * 2
    assert lines[5][-1] == "agreement"
    assert lines[6][-1] == "1"


def test_one_behind_an_api_is_named_asked_anew_in_each_repeat_and_paid_as_one_video_for_each_talk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenAI() as fake:
        monkeypatch.setenv("MADVISION_ANALYST", "openai")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", fake.base_url)
        # More than a question of ten sentences may cost, and less than two.
        monkeypatch.setenv("MADVISION_BUDGET_USD_PER_VIDEO", "0.02")
        arguments = ["evaluate", str(a_set(tmp_path)), "--repeats", "2", "--format", "json", "--start-s", "5", *LIMITS]
        done = CliRunner().invoke(main, arguments)
        asked = len(fake.completions)
        CliRunner().invoke(main, arguments)

        assert done.exit_code == 0, done.output
        assert (asked, len(fake.completions)) == (12, 12)
        assert all(quoted_segments(each.body)[0][0] > 0 for each in fake.completions)
    [made_by] = json.loads(done.stdout)["analyst"]["made_by"]
    assert made_by == {"engine": "openai", "model": "gpt-4o-2024-11-20", "prompt_version": "propose-3+rank-1"}


def test_what_is_no_set_ends_with_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    file.write_text('{"a": 1}', encoding="utf-8")

    done = CliRunner().invoke(main, ["evaluate", str(file)])

    assert done.exit_code == 2
    assert "is no labelled set" in done.stderr
    assert "Traceback" not in done.stderr
