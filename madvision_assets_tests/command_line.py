"""A workplace of its own for each test: an empty home, the demo model, the real command."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner, Result

from madvision_assets.command.main import Workplace, main
from madvision_assets.settings import load_settings, variable_names
from madvision_assets_tests.sample import MODEL


@dataclass(frozen=True)
class CommandLine:
    """Runs ``madvision`` with a home of its own, in this process.

    Args:
        home: ``MADVISION_HOME``.
        extra: more variables.
    """

    home: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, typed: str | bytes | None = None) -> Result:
        """One command, given this on stdin; its exit code and output."""
        with self.environment():
            return CliRunner().invoke(main, list(arguments), typed, env=self._variables(), catch_exceptions=False)

    def workplace(self) -> Workplace:
        """Store and database as the commands see them."""
        with self.environment():
            return Workplace(load_settings())

    def leftovers(self) -> list[Path]:
        """Temporary files that nobody removed."""
        return [path for path in (self.home / "work").rglob("*") if path.is_file()]

    @contextmanager
    def environment(self) -> Iterator[None]:
        """The environment of the commands, for as long as it lasts."""
        before = {name: os.environ.pop(name, None) for name in variable_names()}
        os.environ.update(self._variables())
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    def _variables(self) -> dict[str, str]:
        return {
            "MADVISION_HOME": str(self.home),
            "MADVISION_WHISPER_MODEL": MODEL,
            "MADVISION_ALLOW_PRIVATE": "1",
            **self.extra,
        }
