"""The exact packages of each image: the extra of its name and all that it needs, in the versions installed here.

``python deployments/docker/lock.py`` writes ``intake.txt``, ``pipeline.txt`` and ``gpu.txt``; with ``--check`` it only
says whether they are current. Run it on Linux x86-64: markers such as ``sys_platform`` are judged where it runs.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]

OURS = canonicalize_name("madvision-assets")
TARGETS = ("intake", "pipeline", "gpu")
# The Dockerfile installs torch: on PyPI it is the CUDA build, which brings triton and nvidia-* in versions of its own.
CUDA = {canonicalize_name("torch"), canonicalize_name("triton")}
HEADER = "# Written by deployments/docker/lock.py; the {target} image installs exactly these.\n"


def main() -> None:
    """Write the files, or check them; ends with 1 where one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is out of date")
    check = parser.parse_args().check
    stale = {path: text for path, text in locks().items() if not path.exists() or path.read_text() != text}
    if check and stale:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"Out of date: {names}. Run: python deployments/docker/lock.py")
    for path, text in stale.items():
        path.write_text(text)


def locks() -> dict[Path, str]:
    """What each file should hold."""
    wanted = {target: closure([f"{OURS}[{target}]"]) - {OURS} - CUDA for target in TARGETS}
    return {FOLDER / f"{target}.txt": HEADER.format(target=target) + pins(names) for target, names in wanted.items()}


def closure(roots: Iterable[str]) -> set[NormalizedName]:
    """The names of these packages and of all that they need here.

    Args:
        roots: requirements as in ``pyproject.toml``.

    Raises:
        importlib.metadata.PackageNotFoundError: one is not installed.
    """
    found: set[tuple[NormalizedName, frozenset[str]]] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        needed = waiting.pop()
        name, extras = canonicalize_name(needed.name), frozenset(needed.extras)
        if (name, extras) in found:
            continue
        found.add((name, extras))
        waiting += [each for each in map(Requirement, required_by(name)) if _applies(each, extras)]
    return {name for name, _ in found}


def required_by(name: NormalizedName) -> list[str]:
    """What a package says that it needs; of ours the extras, as ``pyproject.toml`` has them now."""
    if name != OURS:
        return distribution(name).requires or []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return [f"{line}; extra == '{extra}'" for extra, lines in extras.items() for line in lines]


def pins(names: Iterable[NormalizedName]) -> str:
    """A line for each package, in its installed version."""
    # Without the local part: the "+cpu" of a build is nothing that an index knows.
    return "".join(f"{name}=={distribution(name).version.partition('+')[0]}\n" for name in sorted(names))


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


if __name__ == "__main__":
    main()
