"""The pages: the form, and the page of one video. They work without JavaScript; with it, they follow by themselves."""

from madvision_assets.intake.pages.routes import router
from madvision_assets.intake.pages.streams import Streams

__all__ = ["Streams", "router"]
