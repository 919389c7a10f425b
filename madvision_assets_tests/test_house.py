"""Claims about the house: light imports, and documents that say what is true."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "whisper", "yt_dlp", "openai", "boto3", "pandas", "av")
TIME_LIMIT_S = 180


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
