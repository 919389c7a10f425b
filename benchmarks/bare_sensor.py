"""The peer of ``row_to_finish``: five trivial assets, and a bare sensor that turns rows of a SQLite table into runs.

``MADVISION_HOME`` holds the table and the files that the assets write.
"""

import json
import os
import sqlite3
from pathlib import Path

import dagster as dg

HOME = Path(os.environ.get("MADVISION_HOME", "."))
ROWS = "rows.db"
TABLE = "CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, status TEXT NOT NULL)"
AT_ONCE = 4

videos = dg.DynamicPartitionsDefinition(name="videos")


def asset_number(number: int) -> dg.AssetsDefinition:
    """An asset that reads the small file of the one before it, and writes one."""
    before = [f"stage_{number - 1}"] if number else []

    @dg.asset(name=f"stage_{number}", partitions_def=videos, deps=before)
    def stage(context: dg.AssetExecutionContext) -> None:
        """Write a small file."""
        folder = HOME / "files" / context.partition_key
        folder.mkdir(parents=True, exist_ok=True)
        seen = [json.loads((folder / f"{name}.json").read_text()) for name in before]
        (folder / f"stage_{number}.json").write_text(json.dumps({"stage": number, "after": seen}))

    return stage


STAGES = [asset_number(number) for number in range(5)]
all_stages = dg.define_asset_job("all_stages", selection=dg.AssetSelection.assets(*STAGES))


@dg.sensor(job=all_stages, minimum_interval_seconds=4, default_status=dg.DefaultSensorStatus.RUNNING)
def rows_sensor() -> dg.SensorResult:
    """Every new row becomes a partition and a run."""
    with sqlite3.connect(HOME / ROWS) as connection:
        found = connection.execute("SELECT id FROM rows WHERE status = 'new' LIMIT ?", (AT_ONCE,)).fetchall()
        connection.executemany("UPDATE rows SET status = 'taken' WHERE id = ?", found)
    keys = [key for (key,) in found]
    return dg.SensorResult(
        dynamic_partitions_requests=[videos.build_add_request(keys)] if keys else [],
        run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in keys],
    )


EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}
executor = EXECUTORS[os.environ.get("BARE_EXECUTOR", "in_process")]
defs = dg.Definitions(assets=STAGES, jobs=[all_stages], sensors=[rows_sensor], executor=executor)
