"""Claims about which code the lineage says made a document."""

import subprocess
from pathlib import Path

import pytest

from madvision_assets.tools.database import running_code
from madvision_assets.tools.database.running_code import _checked_out


def git(folder: Path, *arguments: str) -> str:
    """Its output."""
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


def test_a_checkout_a_worktree_a_packed_and_a_detached_one_are_known_by_their_commit(
    checkout: Path, tmp_path: Path
) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    git(checkout, "worktree", "add", "-q", "-b", "other", str(tmp_path / "worktree"))

    assert _checked_out(checkout / ".git") == commit
    assert _checked_out(tmp_path / "worktree" / ".git") == commit
    git(checkout, "pack-refs", "--all")
    assert _checked_out(checkout / ".git") == commit
    git(checkout, "checkout", "-q", "--detach")
    assert _checked_out(checkout / ".git") == commit


def test_what_was_built_says_itself_from_which_commit_and_nobody_guesses(tmp_path: Path) -> None:
    assert running_code.running_code("c0ffee").commit == "c0ffee"
    assert _checked_out(tmp_path / ".git") is None
