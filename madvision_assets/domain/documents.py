"""Which document each step makes."""

from collections.abc import Mapping
from types import MappingProxyType

from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.provenance import Document
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo

DOCUMENT_OF: Mapping[PipelineStep, type[Document]] = MappingProxyType(
    {kind.asset: kind for kind in (RawVideo, Transcript, ContentType, ClipCandidates, Clips)}
)
