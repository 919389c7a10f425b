"""A copy of the house, in which a test makes a change that is yet to come."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 240
PACKAGE = "madvision_assets"


class House:
    """A copy of the package, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        self.touched: set[str] = set()

    def write(self, name: str, text: str) -> None:
        """A new file."""
        (self.folder / PACKAGE / name).write_text(text)
        self.touched.add(name)

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Put something in the place of what stands in a file once."""
        path = self.folder / PACKAGE / name
        text = path.read_text()
        for before, after in changes:
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, after)
        path.write_text(text)
        self.touched.add(name)

    def faults(self, *names: str) -> list[str]:
        """What mypy has against these files."""
        files = [f"{PACKAGE}/{name}" for name in names]
        command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--no-error-summary", *files]
        told = subprocess.run(command, cwd=self.folder, check=False, capture_output=True, text=True, timeout=LIMIT_S)
        return told.stdout.splitlines()

    def ask(self, code: str, *arguments: str) -> Any:
        """What a script in a process of its own, with the copy in place of the package, prints as JSON."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)])}
        command = [sys.executable, "-c", code, *arguments]
        told = subprocess.run(
            command, cwd=self.folder, env=environment, check=False, capture_output=True, text=True, timeout=LIMIT_S
        )
        assert told.returncode == 0, told.stderr[-3000:]
        return json.loads(told.stdout.splitlines()[-1])


def after(line: str, more: str) -> tuple[str, str]:
    """The change that puts more after a line."""
    return line, line + more
