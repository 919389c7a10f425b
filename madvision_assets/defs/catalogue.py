"""The asset ``catalogue``: what analysts ask of all videos, as Parquet in the store. It has no partitions.

It is of the database, not of any video's documents, so it depends on no other asset: of an asset with a partition for
each video, Dagster would look at all of them to tell whether it is stale.
"""

import dagster as dg

from madvision_assets.defs import compute, tables
from madvision_assets.domain.catalogue import SCHEMA_VERSION
from madvision_assets.domain.failure_records import to_record
from madvision_assets.domain.failures import Failure
from madvision_assets.work.catalogue import Catalogue

# By its name housekeeping knows runs that are of no video.
JOB = "update_catalogue"


@dg.asset(
    group_name="madvision",
    owners=["team:madvision"],
    kinds={"parquet"},
    metadata=tables.OF_CATALOGUE,
    code_version=str(SCHEMA_VERSION),
    op_tags=compute.catalogue_tags(),
    retry_policy=compute.LOST_WORKER_POLICY,
)
def catalogue(context: dg.AssetExecutionContext, catalogue: dg.ResourceParam[Catalogue]) -> dg.MaterializeResult[None]:
    """All videos, clips, moments, attempts, costs and times as tables in Parquet, brought up to date."""
    try:
        updated = catalogue.update()
    except Failure as failure:
        raise dg.Failure(description=str(failure), metadata=to_record(failure), allow_retries=False) from failure
    context.log.info(updated.sentence)
    rows = {f"rows/{table}": count for table, count in updated.state.rows().items()}
    return dg.MaterializeResult(
        metadata={
            "uri": dg.MetadataValue.url(catalogue.uri),
            "state": updated.state.number,
            "made_anew": updated.is_anew,
            "videos_read": updated.videos,
            "rows_read": updated.rows_read,
            "rows_written": updated.rows_written,
            "files_written": updated.files,
            "size_bytes": updated.state.size_bytes,
            **rows,
        }
    )


update_catalogue = dg.define_asset_job(
    JOB, selection=dg.AssetSelection.assets(catalogue), description="Brings the catalogue up to date."
)
# Off until somebody reads the catalogue: each update is a run (on a cluster a pod), and SQL has everything without it.
hourly_catalogue = dg.ScheduleDefinition(
    name="hourly_catalogue",
    job=update_catalogue,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Brings the catalogue up to date every hour. Off at first; turn it on where somebody reads it.",
)
