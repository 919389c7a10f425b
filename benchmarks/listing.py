"""The list of 100 tokens with 100,000 videos, beside the 100 ms that it may take and beside asking for each by itself.

And what a status costs while all 100,000 wait, each with its place in the queue.
"""

import random
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from crowd import Mix, fill, token_of
from measure import Figure, at_most, show, told
from serving import Client, connected, intake
from sqlalchemy import text

from madvision_assets.tools.database import Database
from madvision_assets_tests.intake.serving import postgres_database
from madvision_assets_tests.real_servers import postgres

SIZE, TOKENS, REQUESTS = 100_000, 100, 100
LIMIT_MS = 100.0
# What the stages of each video that is done told of it; the clips' summary is as long as that of ten clips.
LINEAGE = """
INSERT INTO lineage (video_id, asset, run_id, code_version, data_version, uri, inputs, engine, engine_version,
  parameters, cost_usd, usage, wall_s, created_at, summary)
SELECT video_id, asset, 'run', '1', md5(video_id), 'file:///x', '[]', 'x', '1', '{}', 0, '{}', 60, created_at,
  CASE asset WHEN 'raw_video' THEN '{"title": "A talk on hearing well", "uploader": "somebody", "duration_s": 754}'
    WHEN 'transcript' THEN '{"language": "en"}' WHEN 'content_type' THEN '{"kind": "interview"}'
    WHEN 'clips' THEN jsonb_build_object('clips', (SELECT jsonb_agg(jsonb_build_object('clip_id', video_id || '.01',
      'title', repeat('t', 60), 'reason', repeat('r', 200), 'rank', rank)) FROM generate_series(1, 10) AS rank))
    ELSE '{}' END::jsonb
FROM video_processing_queue
CROSS JOIN unnest(ARRAY['raw_video', 'transcript', 'content_type', 'clip_candidates', 'clips']) AS asset
WHERE status = 'done'
"""


def figures() -> list[Figure]:
    """Lists where most videos are done, and a status where all are queued."""
    with tempfile.TemporaryDirectory(prefix="mv-bench-") as folder, postgres(Path(folder)) as server:
        done = _measured(server, Path(folder) / "done", Mix(400, 400, 400))
        queued = _measured(server, Path(folder) / "queued", Mix(queued=SIZE))
    lists, single = done
    return [
        at_most(
            f"GET /public/videos, {TOKENS} tokens, {SIZE:,} videos, p95 / the bound", lists, LIMIT_MS, 1.0, "{:.1f} ms"
        ),
        at_most(f"the same / {TOKENS} x GET /public/video/status", lists, single * TOKENS, 0.5, "{:.1f} ms"),
        told("GET /public/video/status, p95, all queued / mostly done", queued[1], single, "{:.1f} ms"),
    ]


def _measured(server: str, home: Path, mix: Mix) -> tuple[float, float]:
    """A list, and a status of one video: the 95th percentile of each, milliseconds."""
    home.mkdir()
    with postgres_database(server) as url:
        database = Database(url)
        fill(database, SIZE, mix)
        with database.writing() as connection:
            connection.execute(text(LINEAGE))
        with database.reading() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE lineage"))
        database.engine.dispose()
        with intake(url, home) as port, connected(port) as client:
            return _p95_ms(client, _list), _p95_ms(client, _status)


def _p95_ms(client: Client, one: Callable[[Client], float]) -> float:
    for _ in range(10):
        one(client)
    return statistics.quantiles((one(client) for _ in range(REQUESTS)), n=20)[-1] * 1000


def _list(client: Client) -> float:
    tokens = "&".join(f"token={token_of(number)}" for number in random.sample(range(1, SIZE + 1), TOKENS))
    return client.get(f"/public/videos?{tokens}", "")


def _status(client: Client) -> float:
    return client.get("/public/video/status", token_of(random.randint(1, SIZE)))


if __name__ == "__main__":
    sys.exit(not show(figures()))
