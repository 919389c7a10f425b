"""Where one goes from Dagster's UI: to a video and its clips in the intake, and to the code of an asset.

A submitter's page is opened by a token, of which we keep a hash, and which would be everybody's who sees Dagster. So
links lead to the intake's page for operators, which asks whoever follows them for the internal key.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import dagster as dg

import madvision_assets
from madvision_assets.domain.clips import Clips, Role
from madvision_assets.domain.operator_pages import clip_page, video_page


@dataclass(frozen=True)
class Links:
    """Metadata that lead to the intake.

    Attributes:
        internal_url: where operators' browsers reach it; None for no links.
    """

    internal_url: str | None = None

    def video(self, video_id: str) -> dict[str, Any]:
        """The video's page, as metadata."""
        return {"page": dg.MetadataValue.url(video_page(self.internal_url, video_id))} if self.internal_url else {}

    def clips(self, made: Clips) -> dict[str, Any]:
        """Each clip, to be played, by its rank, as metadata."""
        if self.internal_url is None:
            return {}
        return {
            f"clip_{clip.rank:02}": dg.MetadataValue.url(clip_page(self.internal_url, made.video_id, clip.clip_id))
            for clip in made.clips
            if clip.file(Role.SOURCE) is not None
        }


def with_code(
    assets: Sequence[dg.AssetsDefinition], git_url: str | None, commit: str | None
) -> tuple[dg.AssetsDefinition, ...]:
    """The assets with links to their lines of code, at the commit that runs.

    Without repository or commit they have none: where the code lies on a server is nobody's business in a UI.

    Args:
        assets: ours.
        git_url: the repository's page on GitHub or GitLab, whose paths of files have a ``/-`` before them. It is known
            by its host's name, or by a ``/-`` at the end.
        commit: hex.
    """
    if git_url is None or commit is None:
        return tuple(assets)
    root, page = Path(madvision_assets.__file__), git_url.rstrip("/")
    is_gitlab = page.endswith("/-") or "gitlab" in (urlsplit(page).hostname or "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # our tests hold the one version that is pinned
        linked = dg.link_code_references_to_git(
            dg.with_source_code_references(assets),
            git_url=page.removesuffix("/-").removesuffix(".git"),
            git_branch=commit,
            file_path_mapping=dg.AnchorBasedFilePathMapping(root, f"{root.parent.name}/{root.name}"),
            platform="gitlab" if is_gitlab else "github",
        )
    return cast("tuple[dg.AssetsDefinition, ...]", tuple(linked))
