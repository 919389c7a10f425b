"""A newer yt-dlp than the installed one, out of a folder of wheels that an operator pinned by their hashes.

The child imports them as they lie, before what is installed. Plugins of yt-dlp are taken out of this folder alone.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from madvision_assets.domain.failures import DownloaderUnusableError

SUMS = "SHA256SUMS"
# Others hold compiled parts, which cannot be imported out of a wheel.
PURE = "-none-any.whl"


@dataclass(frozen=True)
class Wheels:
    """A folder of wheels with ``SHA256SUMS``, as ``sha256sum *.whl`` writes it; None for no folder."""

    folder: Path | None = None

    def verified(self) -> tuple[Path, ...]:
        """The wheels, in the order of their names.

        Raises:
            DownloaderUnusableError: one is not listed, is another than was listed, or is not there.
        """
        if self.folder is None:
            return ()
        folder = self.folder.expanduser().absolute()
        sums = _sums(folder / SUMS)
        there = {path.name: path for path in sorted(folder.glob("*.whl"))}
        for name in sorted(sums.keys() | there.keys()):
            if name not in there:
                raise DownloaderUnusableError(f"{name} is listed in {SUMS} and not in the folder")
            if name not in sums:
                raise DownloaderUnusableError(f"{name} is not listed in {SUMS}")
            if not name.endswith(PURE):
                raise DownloaderUnusableError(f"{name} is not of pure Python; install it instead")
            if hashlib.sha256(there[name].read_bytes()).hexdigest() != sums[name]:
                raise DownloaderUnusableError(f"{name} is another file than {SUMS} says")
        if not there:
            raise DownloaderUnusableError("there is no wheel in the folder")
        return tuple(there.values())


def _sums(path: Path) -> dict[str, str]:
    """Hash by name."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DownloaderUnusableError(f"{path.name} cannot be read") from error
    pairs = [line.split() for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004 - a hash and a name
        raise DownloaderUnusableError(f"{path.name} is not what sha256sum writes")
    return {name.lstrip("*"): digest.lower() for digest, name in pairs}
