"""What was taken in for whom, lately."""

from datetime import datetime

from sqlalchemy import func, select

from madvision_assets.domain.quotas import Taken
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import intakes, submissions


class Intakes:
    """The table ``intakes``. Every method raises as ``Database`` does.

    Args:
        database: where the table is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def taken(self, submitter: str, since: datetime) -> Taken:
        """What was taken in for somebody since a moment, timezone-aware."""
        sums = (func.coalesce(func.sum(intakes.c.size_bytes), 0), func.coalesce(func.sum(intakes.c.media_s), 0.0))
        query = select(*sums).where(intakes.c.submitter == submitter, intakes.c.taken_at >= since)
        with self._database.reading() as connection:
            size_bytes, media_s = connection.execute(query).one()
        return Taken(int(size_bytes), float(media_s))

    def add(self, submitter: str, video_id: str, taken: Taken, now: datetime) -> None:
        """Something of a video was taken in for somebody."""
        row = {"size_bytes": taken.size_bytes, "media_s": taken.media_s, "taken_at": now}
        with self._database.writing() as connection:
            connection.execute(intakes.insert().values(submitter=submitter, video_id=video_id, **row))

    def submitters_of(self, video_id: str) -> list[str | None]:
        """Who submitted a video, whoever did last first."""
        query = select(submissions.c.submitter).where(submissions.c.video_id == video_id)
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(submissions.c.created_at.desc())).scalars().all()
        return list(dict.fromkeys(found))

    def forget_before(self, moment: datetime) -> None:
        """Nobody asks any more for what was taken in before a moment."""
        with self._database.writing() as connection:
            connection.execute(intakes.delete().where(intakes.c.taken_at < moment))
