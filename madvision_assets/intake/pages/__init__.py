"""The pages: the form, a video's, and its operators'. They need no JavaScript; with it, they follow by themselves."""

from madvision_assets.intake.pages import operators
from madvision_assets.intake.pages.routes import router
from madvision_assets.intake.pages.streams import Streams

__all__ = ["Streams", "operators", "router"]
