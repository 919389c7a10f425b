"""What every run loads, loaded once: the server that runs are forked from imports this module (see code_server.py).

It may start no thread and open no connection, which a fork would leave half-alive in the run. torch is not among it:
what it makes of a GPU does not outlive a fork.
"""

import gc
from importlib import import_module

from madvision_assets.defs import dagster_inside

OF_DAGSTER = dagster_inside.MODULES_OF_A_RUN
OF_OURS = (
    "madvision_assets.definitions",
    "madvision_assets.settings",
    "madvision_assets.tools.database.leases",
    "madvision_assets.tools.database.submissions",
    "madvision_assets.tools.database.webhooks",
)
OF_OTHERS = ("av", "boto3", "click", "pydantic_settings", "upath")

for name in (*OF_DAGSTER, *OF_OURS, *OF_OTHERS):
    import_module(name)
dagster_inside.keep_connections()
gc.freeze()  # the collector of each run would touch, and so copy, what it shares with all
