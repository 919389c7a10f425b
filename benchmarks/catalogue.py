"""What an update of the catalogue costs with 100,000 videos in PostgreSQL, beside the same with 100.

The same has changed in both: some videos are new, and some of the last ones were done again; then some old ones
besides, which lie in parts of their own. CPU is that of the process that updates; the database's shows in the seconds.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from crowd import Mix, fill
from measure import Figure, at_most, show, told
from sqlalchemy import TextClause, text

from madvision_assets.tools.database import Database
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.catalogue import Catalogue, Updated
from madvision_assets_tests.intake.serving import postgres_database
from madvision_assets_tests.real_servers import postgres

SMALL, LARGE = 100, 100_000
ROUNDS, NEW, AGAIN, OLD = 5, 20, 5, 5
LIMIT = 1.5
# What the stages of some videos that are done told of them: a title, ten clips, and forty moments with their criteria.
LINEAGE = """
INSERT INTO lineage (video_id, asset, run_id, code_version, data_version, uri, inputs, engine, engine_version,
  parameters, cost_usd, usage, wall_s, created_at, summary)
SELECT video_id, asset, :run, '1', md5(video_id || asset || :run), 'file:///x', '[]', 'x', '1', '{}', 0.01, '{}', 60,
  now(), CASE asset
    WHEN 'raw_video' THEN '{"title": "A talk on hearing well", "uploader": "somebody", "duration_s": 754}'
    WHEN 'transcript' THEN '{"language": "en"}' WHEN 'content_type' THEN '{"kind": "interview"}'
    WHEN 'clips' THEN (SELECT jsonb_build_object('clips', jsonb_agg(jsonb_build_object(
      'clip_id', video_id || '.' || rank, 'title', repeat('t', 60), 'reason', repeat('r', 200), 'rank', rank,
      'score', 0.5, 'start_s', rank, 'end_s', rank + 30))) FROM generate_series(1, 10) AS rank)
    ELSE (SELECT jsonb_build_object('moments', jsonb_agg(jsonb_build_object(
      'title', repeat('t', 60), 'reason', repeat('r', 200), 'rule', 'weak', 'score', 0.1, 'first_segment', n,
      'last_segment', n + 5, 'start_s', n, 'end_s', n + 30, 'words', 90,
      'criteria', '{"strength": 0.15, "hook": 0.0}'::jsonb))) FROM generate_series(1, 40) AS n)
    END::jsonb
FROM video_processing_queue
CROSS JOIN unnest(ARRAY['raw_video', 'transcript', 'content_type', 'clip_candidates', 'clips']) AS asset
WHERE status = 'done' AND video_id IN (SELECT video_id FROM videos {which})
"""
NEWEST = "WHERE address NOT LIKE 'held:%' ORDER BY created_at DESC, video_id LIMIT :some"
OLDEST = "ORDER BY md5(video_id || :run) LIMIT :some"
NEW_VIDEOS = (
    """
INSERT INTO videos (video_id, address, options, created_at, updated_at)
SELECT 'web-' || :run || '-' || n, 'https://new.example.org/' || n, '{}', now() + n * interval '1 ms', now()
FROM generate_series(1, :some) AS n
""",
    """
INSERT INTO video_processing_queue (video_id, status, pipeline_step, progress, step_progress, message, priority, retry,
  lost_workers, attempt, next_attempt_at, source, outcome, created_at, updated_at, finished_at)
SELECT video_id, 'done', 'clips', 1, 0, '', 0, 0, 0, 1, created_at, 'new.example.org', 'clips', created_at, created_at,
  now() FROM videos WHERE video_id LIKE 'web-' || :run || '-%'
""",
    """
INSERT INTO processing_attempts (video_id, attempt, run_id, started_at, ended_at, pipeline_step, status)
SELECT video_id, 1, :run, now(), now(), 'clips', 'done' FROM videos WHERE video_id LIKE 'web-' || :run || '-%'
""",
)


@dataclass(frozen=True)
class Site:
    """A database of some size, with its catalogue."""

    database: Database
    catalogue: Catalogue

    def change(self, run: str, *, old: bool) -> None:
        """New videos, of which all stages are done; the last ones, and perhaps some old ones, are done again."""
        with self.database.writing() as connection:
            for statement in NEW_VIDEOS:
                connection.execute(text(statement), {"run": run, "some": NEW})
            connection.execute(_lineage(NEWEST), {"run": run, "some": NEW})
            connection.execute(_lineage(NEWEST), {"run": f"{run}-again", "some": AGAIN})
            if old:
                connection.execute(_lineage(OLDEST), {"run": f"{run}-old", "some": OLD})


@dataclass(frozen=True)
class Cost:
    """What an update cost."""

    cpu_s: float
    wall_s: float
    updated: Updated


def figures() -> list[Figure]:
    """The two sizes take turns."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mv-bench-")))
        server = running.enter_context(postgres(folder))
        sites = {size: running.enter_context(_site(server, folder / str(size), size)) for size in (SMALL, LARGE)}
        return [*_compare(sites, "new and redone", old=False), *_compare(sites, "and five old ones", old=True)]


@contextmanager
def _site(server: str, home: Path, size: int) -> Iterator[Site]:
    with postgres_database(server) as url:
        database = Database(url)
        fill(database, size, Mix(size // 25, size // 25, size // 25))
        with database.writing() as connection:
            connection.execute(_lineage(""), {"run": "first"})
        with database.reading() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
        made = Catalogue(database, ObjectStore.from_url(home.as_uri()))
        first = _cost(made)
        size_bytes = first.updated.state.size_bytes
        print(
            f"{size:,} videos: made in {first.wall_s:.0f} s, {first.cpu_s:.0f} s of CPU, {size_bytes / 1e6:.1f} MB",
            flush=True,
        )
        yield Site(database, made)
        database.engine.dispose()


def _lineage(which: str) -> TextClause:
    return text(LINEAGE.replace("{which}", which))


def _cost(made: Catalogue) -> Cost:
    cpu_s, started_s = time.process_time(), time.perf_counter()
    updated = made.update()
    return Cost(time.process_time() - cpu_s, time.perf_counter() - started_s, updated)


def _compare(sites: Mapping[int, Site], what: str, *, old: bool) -> Iterator[Figure]:
    costs: dict[int, list[Cost]] = {size: [] for size in sites}
    for number in range(ROUNDS + 1):
        for size, site in sites.items():
            site.change(f"{'old' if old else 'new'}{number}", old=old)
            cost = _cost(site.catalogue)
            if number:  # the first one warms up
                costs[size].append(cost)
    cpu_ms, wall_ms = (
        {size: _median(each, name) * 1000 for size, each in costs.items()} for name in ("cpu_s", "wall_s")
    )
    rows = {size: statistics.median(each.updated.rows_read for each in found) for size, found in costs.items()}
    claim = f"update of the catalogue, {LARGE:,} videos / {SMALL}, {what}"
    yield at_most(f"{claim}: rows read", rows[LARGE], rows[SMALL], 1.1, "{:,.0f}")
    if old:
        yield told(f"{claim}: CPU", cpu_ms[LARGE], cpu_ms[SMALL], "{:.0f} ms")
    else:
        yield at_most(f"{claim}: CPU", cpu_ms[LARGE], cpu_ms[SMALL], LIMIT, "{:.0f} ms")
    yield told(f"{claim}: seconds", wall_ms[LARGE], wall_ms[SMALL], "{:.0f} ms")


def _median(costs: list[Cost], name: str) -> float:
    return float(statistics.median(getattr(cost, name) for cost in costs))


if __name__ == "__main__":
    sys.exit(not show(figures()))
