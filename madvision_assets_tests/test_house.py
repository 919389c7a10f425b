"""Claims about the house: light imports, and tests that claim something."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "madvision_assets_tests"
CODE = ROOT / "madvision_assets"
HEAVY = ("torch", "whisper", "yt_dlp", "openai", "boto3", "pandas", "pyarrow", "av")
TIME_LIMIT_S = 180
# Helpers that assert say so in their names; of the libraries', these.
HELPERS_THAT_ASSERT = ("assert_", "check_", "expect", "wait_for", "wait_until")
LIBRARIES_THAT_ASSERT = {"call_and_validate", "raises", "run_state_machine_as_test", "warns"}


def test_loading_the_definitions_loads_nothing_heavy() -> None:
    code = "import sys, madvision_assets.definitions as d; d.defs(); print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=TIME_LIMIT_S
    ).stdout.split()

    assert [name for name in HEAVY if name in loaded] == []


def test_importing_the_definitions_waits_with_what_only_a_run_needs() -> None:
    code = "import sys, madvision_assets.definitions; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=TIME_LIMIT_S
    ).stdout.split()

    assert [name for name in ("sqlalchemy", "alembic", "pydantic_settings", "obstore", "numpy") if name in loaded] == []


def test_the_intake_answers_without_dagster_which_it_cannot_ask_therefore() -> None:
    code = (
        "import sys; from madvision_assets.intake import server, services; "
        "from madvision_assets.settings import Settings; "
        "server.make_app(services.make_services(Settings(_env_file=None))); print(*sys.modules)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=TIME_LIMIT_S
    ).stdout.split()

    assert "fastapi" in loaded
    assert [name for name in loaded if name.partition(".")[0].startswith("dagster")] == []


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text()))

    assert listed == {path.name for path in folder.glob("[0-9]*.md")}


def parsed(source: str) -> ast.Module:
    """Its tree; Python 3.11 may fail at it where another thread, or what is collected meanwhile, parses too."""
    for _ in range(5):
        with suppress(SystemError):
            return ast.parse(source)
    return ast.parse(source)


def claiming_nothing(source: str) -> Iterator[str]:
    """Names of the tests in some code that neither assert nor call what does."""
    for test in ast.walk(parsed(source)):
        if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test_"):
            continue
        within = list(ast.walk(test))
        called = {ast.unparse(call.func).rpartition(".")[2] for call in within if isinstance(call, ast.Call)}
        if (
            not any(isinstance(each, ast.Assert) for each in within)
            and not called & LIBRARIES_THAT_ASSERT
            and not any(name.startswith(HELPERS_THAT_ASSERT) for name in called)
        ):
            yield test.name


def test_each_threat_has_a_control_and_tests_that_there_are() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.partition("## Threats")[2].partition("\n\n|")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in table.splitlines()[2:]]

    assert len(rows) > 30
    assert [row for row in rows if len(row) != 3 or not all(row) or ".py`" not in row[2]] == []
    shown_by = [name for row in rows for name in re.findall(r"`([\w/]+\.py)`", row[2])]
    elsewhere = re.findall(r"`([\w/]+\.py)`", text)
    assert [name for name in shown_by if not (TESTS / name).is_file()] == []
    assert [name for name in elsewhere if not any((at / name).is_file() for at in (TESTS, CODE, ROOT))] == []


def test_every_test_claims_something() -> None:
    assert [
        f"{path.relative_to(TESTS)}: {name}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for name in claiming_nothing(path.read_text())
    ] == []


@pytest.mark.parametrize("body", ["work()", "store.check()", "queue.fail(video)", "for each in found: each.stop()"])
def test_a_test_that_only_does_something_claims_nothing(body: str) -> None:
    assert list(claiming_nothing(f"def test_it():\n {body}")) == ["test_it"]


@pytest.mark.parametrize(
    "body", ["assert done()", "with pytest.raises(KeyError): done()", "expect(page).to_be_seen()", "wait_for(done, 1)"]
)
def test_a_test_may_claim_by_itself_or_through_what_asserts(body: str) -> None:
    assert list(claiming_nothing(f"def test_it():\n {body}")) == []


def test_no_example_has_a_deadline() -> None:
    """On a busy machine any example may take any time; conftest.py says so for all."""
    deadlines = [
        f"{path.relative_to(TESTS)}:{each.lineno}"
        for path in TESTS.rglob("*.py")
        for each in ast.walk(parsed(path.read_text()))
        if isinstance(each, ast.keyword) and each.arg == "deadline"
    ]

    assert settings().deadline is None
    assert [place for place in deadlines if not place.startswith("conftest.py:")] == []


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder, where nothing can be installed."""
    command = ["make", *words, "PYTHON=true"]
    variables = {"PATH": os.environ["PATH"]}  # and none of the make that may run these tests
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )


def test_an_environment_that_was_copied_from_another_folder_is_made_anew(tmp_path: Path) -> None:
    here, copy = tmp_path / "here", tmp_path / "copy"
    (here / ".venv" / "bin").mkdir(parents=True)
    (here / ".venv" / "bin" / "pip").write_text(f"#!{here}/.venv/bin/python\n")
    lists = ("deployments/local/models.txt", "deployments/docker/faces.txt")
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py", *lists):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, here / name)
    make(here, "--touch", "install")
    shutil.copytree(here, copy)

    at_home, copied = make(here, "install"), make(copy, "install")

    assert (at_home.returncode, "Installing" in at_home.stdout) == (0, False)
    assert ".venv was made in another folder" in copied.stdout
    assert "Installing" in copied.stdout
    assert not (copy / ".venv").exists()


def test_where_servers_cannot_be_installed_ci_says_so_and_goes_on(tmp_path: Path) -> None:
    for name in ("bash", "id"):  # and no apt-get
        (tmp_path / name).symlink_to(str(shutil.which(name)))

    done = subprocess.run(
        [ROOT / ".ci" / "servers"],
        env={"PATH": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"== Not installed, .* skip: rabbitmq-server caddy chromium prometheus \(.*\)\n", done.stdout)
