"""What the database gives back, as frozen values."""

from madvision_assets.domain.provenance import Provenance, Value, VideoId


class LineageRow(Provenance):
    """One materialisation: the provenance block of the document that it made, and where that lies.

    Attributes:
        id: counts up in the order of writing.
        video_id: the partition.
        uri: of the document, in the store that it was written to.
    """

    id: int
    video_id: VideoId
    uri: str


class SchemaState(Value):
    """Which migrations a database has seen.

    Attributes:
        current: its revision; None where it has no tables of ours.
        head: the revision that this version of the program needs.
    """

    current: str | None
    head: str

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to migrate."""
        return self.current == self.head
