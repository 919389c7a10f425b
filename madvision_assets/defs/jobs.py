"""The job that processes one video from end to end."""

import dagster as dg

from madvision_assets.defs.assets import PIPELINE

process_video = dg.define_asset_job(
    "process_video",
    selection=dg.AssetSelection.assets(*PIPELINE),
    description="All stages of one video, with their checks.",
)
