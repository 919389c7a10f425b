"""Files that are sent to us: resumable uploads by the tus protocol, 1.0; https://tus.io/protocols/resumable-upload.

Here belong its routes, its headers, and what keeps a file while it comes. What does not: uploads out of buckets.
"""

from madvision_assets.intake.uploads.pace import Senders
from madvision_assets.intake.uploads.routes import router

__all__ = ["Senders", "router"]
