"""What is said in all videos, to be searched: full text of PostgreSQL, or SQLite's FTS5, over the same words."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Select, cast, column, delete, exists, func, insert, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.exc import OperationalError

from madvision_assets.domain.spoken import RULE, BadQuestionError, Passage, Question, Sentence, passages_of
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import lineage, spoken_passages, videos

passages = spoken_passages
# Made by migration 0010; what it finds are the IDs of passages.
fts = table("spoken_words", column("rowid"), column("spoken_words"))
TOLD = (passages.c.id, passages.c.video_id, passages.c.sentences)
FILL_AT_ONCE = 100
# Stands behind the version of a transcript: by which rule it was taken apart.
BY_RULE = f"/{RULE}"
# So many of the newest passages are looked through before the index is asked.
NEWEST = 10_000
# Words that stand in nearly every passage, but hardly ever together, make PostgreSQL look through all of them.
LIMIT_MS = 5000
# Of SQLite's index, merged in one transaction: some tenths of a second in which nobody else writes.
MERGE_PAGES = 1000
_CANCELED = "57014"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


@dataclass(frozen=True)
class FoundPassage:
    """A passage in which everything that was asked for is said.

    Attributes:
        id: counts up in the order of publishing.
        video_id: its video.
        sentences: of it.
    """

    id: int
    video_id: str
    sentences: tuple[Sentence, ...]


def keep(connection: Connection, transcript: Transcript) -> None:
    """Make a transcript the one that is searched of its video, within a transaction that publishes it."""
    connection.execute(_held(transcript.video_id))
    connection.execute(delete(passages).where(passages.c.video_id == transcript.video_id))
    sqlite = connection.dialect.name == "sqlite"
    rows = [_row(transcript, each, sqlite=sqlite) for each in passages_of(transcript)]
    connection.execute(insert(passages), rows)


class Spoken:
    """Looks through what is said. Every method raises as ``Database`` does.

    Args:
        database: whose.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self, question: Question, limit: int, video_ids: Collection[str] | None = None, before: int | None = None
    ) -> list[FoundPassage]:
        """The passages in which everything that is asked for is said, those that were published last first.

        Args:
            question: what is looked for.
            limit: at most so many.
            video_ids: only of these; None is all.
            before: only such with a smaller ID.

        Raises:
            BadQuestionError: it takes too long to find out.
        """
        with self._database.reading() as connection:
            if self._database.is_sqlite:
                query = _narrowed(_matches_sqlite(question), video_ids, before)
                rows = connection.execute(query.order_by(passages.c.id.desc()).limit(limit)).all()
            else:
                rows = _find_postgres(connection, question, limit, video_ids, before)
        return [FoundPassage(number, video_id, _sentences(kept)) for number, video_id, kept in rows]

    def at(self, number: int) -> FoundPassage | None:
        """The passage with this ID; None where it was replaced since."""
        with self._database.reading() as connection:
            row = connection.execute(select(*TOLD).where(passages.c.id == number)).first()
        return FoundPassage(row.id, row.video_id, _sentences(row.sentences)) if row else None

    def missing(self) -> Iterator[Sequence[str]]:
        """The videos whose newest transcript is not searched yet, or by another rule, by their IDs, a few at once."""
        newest = lineage.alias("newest")
        mine = newest.c.video_id == lineage.c.video_id
        last = select(func.max(newest.c.id)).where(mine, newest.c.asset == lineage.c.asset).scalar_subquery()
        kept = exists().where(
            passages.c.video_id == lineage.c.video_id, passages.c.data_version == lineage.c.data_version + BY_RULE
        )
        wanted = select(lineage.c.video_id).where(
            lineage.c.asset == PipelineStep.TRANSCRIPT.value, lineage.c.id == last, ~kept
        )
        after = ""
        while True:
            batch = wanted.where(lineage.c.video_id > after).order_by(lineage.c.video_id).limit(FILL_AT_ONCE)
            with self._database.reading() as connection:
                found = list(connection.execute(batch).scalars())
            if not found:
                return
            yield found
            after = found[-1]

    def fill(self, transcript: Transcript) -> bool:
        """Make a transcript of before searchable, unless a newer one of its video is; tells whether it was."""
        newest = (
            select(lineage.c.data_version)
            .where(lineage.c.video_id == transcript.video_id, lineage.c.asset == transcript.asset)
            .order_by(lineage.c.id.desc())
            .limit(1)
        )
        there = select(passages.c.id).where(passages.c.video_id == transcript.video_id).limit(1)
        with self._database.writing() as connection:
            if connection.execute(_held(transcript.video_id)).first() is None:
                return False  # somebody has forgotten it
            is_newest = connection.execute(newest).scalar_one_or_none() == transcript.origin.data_version
            if not is_newest and connection.execute(there).first() is not None:
                return False
            keep(connection, transcript)
        return True


def erase_deleted(database: Database, pause_s: float = 0.0) -> None:
    """Take the words of deleted passages out of the file of SQLite; PostgreSQL's vacuum does so by itself.

    Its index only notes that they are deleted, until all its parts are merged: about 2 ms for each hour of speech that
    is kept, in steps between which others write. Raises as ``Database`` does.

    Args:
        database: whose.
        pause_s: after each step, seconds.
    """
    from madvision_assets.tools.database import engines
    from madvision_assets.tools.database.errors import database_failures

    if not database.is_sqlite:
        return
    pages = -MERGE_PAGES  # the first step takes in every part: https://www.sqlite.org/fts5.html#the_merge_command
    merge = text("INSERT INTO spoken_words(spoken_words, rank) VALUES ('merge', :pages)")
    changes = text("SELECT total_changes()")
    while True:
        with database.writing() as connection:
            before = connection.execute(changes).scalar_one()
            connection.execute(merge, {"pages": pages})
            if connection.execute(changes).scalar_one() - before < 2:  # noqa: PLR2004 - one is the command itself
                break
        pages = MERGE_PAGES
        time.sleep(pause_s)
    with database_failures():
        engines.empty_log(database.engine)


def _matches_sqlite(question: Question) -> Select[Any]:
    matches = fts.c.spoken_words.op("MATCH")(_fts5(question))
    return select(*TOLD).join(fts, fts.c.rowid == passages.c.id).where(matches)


def _narrowed(query: Select[Any], video_ids: Collection[str] | None, before: int | None) -> Select[Any]:
    if video_ids is not None:
        query = query.where(passages.c.video_id.in_(sorted(video_ids)))
    return query if before is None else query.where(passages.c.id < before)


def _find_postgres(
    connection: Connection, question: Question, limit: int, video_ids: Collection[str] | None, before: int | None
) -> Sequence[Any]:
    """First among the newest passages, one by one: what is common is found there, and would fill the index's answer.

    Then by the index alone. PostgreSQL, left to choose, takes words that it knows nothing of for common ones, and goes
    through the whole table (benchmarks/search.py: 2.8 s at 100,000 videos).
    """
    for setting in (f"statement_timeout = {LIMIT_MS}", "enable_seqscan = off", "jit = off"):
        connection.execute(text(f"SET LOCAL {setting}"))
    matches = passages.c.words.op("@@")(cast(_tsquery(question), TSQUERY))
    try:
        if video_ids is None:
            top = before or (connection.execute(select(func.max(passages.c.id))).scalar() or 0) + 1
            newest = select(*TOLD).where(matches, passages.c.id < top, passages.c.id >= top - NEWEST)
            rows = connection.execute(newest.order_by(passages.c.id.desc()).limit(limit)).all()
            if len(rows) == limit:
                return rows
        # A sum is in no order that an index has.
        ids = _narrowed(select(passages.c.id).where(matches), video_ids, before)
        wanted = ids.order_by((passages.c.id + 0).desc()).limit(limit)
        by_index = select(*TOLD).where(passages.c.id.in_(wanted)).order_by(passages.c.id.desc())
        return connection.execute(by_index).all()
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != _CANCELED:
            raise
        raise BadQuestionError("These words are too common. Add one that is rarer.") from error


def _held(video_id: str) -> Select[Any]:
    """One writer at a time for each video; a reference to it may be written meanwhile."""
    return select(videos.c.video_id).where(videos.c.video_id == video_id).with_for_update(key_share=True)


def _row(transcript: Transcript, passage: Passage, *, sqlite: bool) -> dict[str, Any]:
    words = passage.words
    return {
        "video_id": transcript.video_id,
        "number": passage.number,
        "data_version": transcript.origin.data_version + BY_RULE,
        "sentences": [[each.start_s, each.end_s, each.text] for each in passage.sentences],
        "words": " ".join(words) if sqlite else _tsvector(words),
    }


def _tsvector(words: Sequence[str]) -> str:
    """Every word with its place; and every two neighbours as one, so that the index knows where common words meet."""
    placed = [f"'{word}':{n}" for n, word in enumerate(words, start=1)]
    return " ".join(placed + [f"'{pair}'" for pair in sorted(set(_pairs(words)))])


def _pairs(words: Sequence[str]) -> list[str]:
    return [f"{first} {second}" for first, second in pairwise(words)]


def _sentences(kept: Sequence[Sequence[Any]]) -> tuple[Sentence, ...]:
    return tuple(Sentence(start_s=start_s, end_s=end_s, text=said) for start_s, end_s, said in kept)


def _tsquery(question: Question) -> str:
    """The words are letters, digits and marks alone, so that nothing in them means anything."""
    asked: list[str] = []
    for phrase in question.phrases:
        asked += [f"'{pair}'" for pair in _pairs(phrase)]
        if len(phrase) != 2:  # noqa: PLR2004 - which is a pair, and needs no look at the places
            asked.append("(" + " <-> ".join(f"'{word}'" for word in phrase) + ")")
    return " & ".join(asked)


def _fts5(question: Question) -> str:
    return " AND ".join('"' + " ".join(phrase) + '"' for phrase in question.phrases)
