"""What a search in the transcripts of 100,000 videos costs on PostgreSQL: rare words, common ones, phrases."""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from crowd import Mix, fill
from measure import Figure, show
from sqlalchemy import text

from madvision_assets.domain.spoken import BadQuestionError
from madvision_assets.tools.database import Database
from madvision_assets.work.searching import Search
from madvision_assets_tests.intake.serving import postgres_database
from madvision_assets_tests.real_servers import postgres

LIMIT_MS = 200.0
VIDEOS, PASSAGES, DISTINCT = 100_000, 10, 20_000
WORDS, VOCABULARY, SENTENCE_WORDS = 60, 50_000, 12
EACH = 60
# Words are as frequent as those of a language: the tenth a tenth as often as the first (George Zipf).
TEXTS = """
CREATE TEMPORARY TABLE texts AS
SELECT p AS id, string_agg(word, ' ' ORDER BY n) AS said,
       CAST(string_agg(word || ':' || n || coalesce(' ' || quote_literal(word || ' ' || after), ''), ' ') AS tsvector)
         AS words,
       jsonb_build_array(
         jsonb_build_array(0, 5, string_agg(word, ' ' ORDER BY n) FILTER (WHERE n <= :sentence)),
         jsonb_build_array(5, 25, string_agg(word, ' ' ORDER BY n) FILTER (WHERE n > :sentence))) AS kept
FROM (SELECT *, lead(word) OVER (PARTITION BY p ORDER BY n) AS after
      FROM (SELECT p, n, 'w' || CAST(floor(exp(random() * ln(CAST(:vocabulary AS float8)))) AS int) AS word
            FROM generate_series(0, :distinct - 1) AS p, generate_series(1, :length) AS n) AS drawn) AS followed
GROUP BY p
"""
FILL = """
INSERT INTO spoken_passages (video_id, number, data_version, sentences, words)
SELECT video_id, n, 'v', kept, words
FROM (SELECT video_id, row_number() OVER () AS r FROM videos) AS v, generate_series(0, :passages - 1) AS n
JOIN texts ON true WHERE texts.id = (v.r * :passages + n) * 7919 % :distinct
"""
INDEX = "CREATE INDEX ix_spoken_passages_words ON spoken_passages USING gin (words) WITH (fastupdate = off)"


def figures() -> list[Figure]:
    """The 95th percentile of each kind of question, and of all of them."""
    with (
        tempfile.TemporaryDirectory(prefix="mv-bench-") as folder,
        postgres(Path(folder)) as server,
        postgres_database(server) as url,
    ):
        database = Database(url)
        started_s = time.perf_counter()
        samples = _fill(database)
        print(f"filled in {time.perf_counter() - started_s:.0f} s", flush=True)
        found = list(_measure(Search(database), samples))
        database.engine.dispose()
        return found


def _fill(database: Database) -> list[str]:
    """Make the table; gives some of the texts that are in it."""
    fill(database, VIDEOS, Mix(100, 100, 100))
    size = {"distinct": DISTINCT, "length": WORDS, "vocabulary": VOCABULARY, "sentence": SENTENCE_WORDS}
    with database.writing() as connection:
        connection.execute(text("DROP INDEX ix_spoken_passages_words"))
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        connection.execute(text(TEXTS), size)
        connection.execute(text("CREATE UNIQUE INDEX ON texts (id)"))
        connection.execute(text("ANALYZE texts"))
        connection.execute(text(FILL), {"passages": PASSAGES, "distinct": DISTINCT})
        connection.execute(text(INDEX))
        samples = list(connection.execute(text("SELECT said FROM texts ORDER BY id LIMIT 2000")).scalars())
    with database.reading() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE spoken_passages"))
    return samples


def _questions(samples: list[str]) -> Mapping[str, list[str]]:
    def drawn() -> list[str]:
        return random.choice(samples).split()

    def phrase(length: int) -> str:
        words = drawn()
        at = random.randrange(len(words) - length)
        return '"' + " ".join(words[at : at + length]) + '"'

    return {
        "a word": [random.choice(drawn()) for _ in range(EACH)],
        "a rare word": [f"w{random.randrange(VOCABULARY // 2, VOCABULARY)}" for _ in range(EACH)],
        "one of the ten commonest": [f"w{random.randrange(1, 11)}" for _ in range(EACH)],
        "two words": [" ".join(random.sample(drawn(), 2)) for _ in range(EACH)],
        "a phrase of two": [phrase(2) for _ in range(EACH)],
        "a phrase of four": [phrase(4) for _ in range(EACH)],
        "a phrase of two common words": [
            f'"w{random.randrange(1, 100)} w{random.randrange(1, 100)}"' for _ in range(EACH)
        ],
        "what nobody says": [f"w1 w2 nothing{n}" for n in range(EACH)],
    }


def _measure(search: Search, samples: list[str]) -> Iterator[Figure]:
    everything: list[float] = []
    for kind, questions in _questions(samples).items():
        took_ms: list[float] = []
        for question in questions:
            started_s = time.perf_counter()
            try:
                search.find(question)
            except BadQuestionError as refused:
                print(f"{question}: {refused}")
            took_ms.append((time.perf_counter() - started_s) * 1000)
        everything += took_ms
        yield _figure(f"search at {VIDEOS:,} videos, p95, {kind}", took_ms)
    yield _figure(f"search at {VIDEOS:,} videos, p95, all of these", everything)


def _figure(claim: str, took_ms: list[float]) -> Figure:
    p95 = statistics.quantiles(took_ms, n=20, method="inclusive")[18]
    median = f"median {statistics.median(took_ms):.1f} ms"
    return Figure(claim, f"{p95:.1f} ms", median, "", f"<= {LIMIT_MS:g} ms", p95 <= LIMIT_MS)


if __name__ == "__main__":
    sys.exit(not show(figures()))
