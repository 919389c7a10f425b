"""Which code runs here: what the lineage tells beside the version of an asset."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTION = "madvision-assets"
CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Code:
    """Attributes: ``version`` of the package; ``commit`` in hex, None where nobody knows it."""

    version: str | None
    commit: str | None


@cache
def running_code(revision: str = "") -> Code:
    """What runs in this process, as it was when it was first asked for.

    Args:
        revision: the commit that was built, as the image tells (``MADVISION_REVISION``); empty looks at the checkout.
    """
    try:
        installed = version(DISTRIBUTION)
    except PackageNotFoundError:
        installed = None
    return Code(installed, revision or _checked_out(CHECKOUT / ".git"))


def _checked_out(git: Path) -> str | None:
    """The commit of a checkout, without the git command, which servers have not; None where there is none."""
    try:
        if git.is_file():  # of a worktree, which names its own folder, and that one the shared one
            git = (git.parent / git.read_text().removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return head or None
        name = head.removeprefix("ref:").strip()
        shared = git / (git / "commondir").read_text().strip() if (git / "commondir").is_file() else git
        if (shared / name).is_file():
            return (shared / name).read_text().strip()
        packed = (line.split() for line in (shared / "packed-refs").read_text().splitlines())
        return next((words[0] for words in packed if words[1:] == [name]), None)
    except OSError:
        return None
