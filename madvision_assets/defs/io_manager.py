"""``ObjectStoreIOManager``: persists every document, and a row of lineage with it.

Facts go through here, bytes go through the store: media are there before their manifest is written. The order makes a
stage complete or absent: the immutable document first, its lineage row second, the pointer to it last.
"""

from typing import Any

import dagster as dg

from madvision_assets.defs.workbench import as_dagster_failure, interrupts_end_the_run, require_video_id
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.provenance import Document
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets.tools.store.objects import ObjectStore

STAGES = frozenset(step.value for step in PipelineStep)


class ObjectStoreIOManager(dg.IOManager):
    """Typed JSON documents in a folder, in memory or in S3, one version of many per partition.

    Args:
        store: where the documents are.
        database: where the lineage rows are.
    """

    def __init__(self, store: ObjectStore, database: Database) -> None:
        self._store = store
        self._database = database

    def handle_output(self, context: dg.OutputContext, obj: Document) -> None:
        """Write the document, its lineage row, and then the pointer."""
        step = PipelineStep(context.asset_key.to_user_string())
        if not isinstance(obj, Document) or obj.asset is not step or obj.video_id != context.partition_key:
            raise TypeError(f"{step}/{context.partition_key} must be its own sealed document, not {type(obj).__name__}")
        try:
            with interrupts_end_the_run(lambda: context.step_context):
                uri = write_document(self._store, obj)
                self._database.add_lineage(obj, uri)
                point_current(self._store, obj)
        except Failure as failure:
            raise as_dagster_failure(failure, step) from failure
        context.add_output_metadata({"uri": uri, "data_version": obj.origin.data_version})

    def load_input(self, context: dg.InputContext) -> Document:
        """Read the newest version of the upstream document of the same video; the reading stage has the failure."""
        reader, upstream = context.op_def.name, context.asset_key.to_user_string()
        step = PipelineStep(reader if reader in STAGES else upstream)  # a check reads for the stage that it checks
        require_video_id(context.asset_partition_key, step)
        kind: Any = context.dagster_type.typing_type
        try:
            with interrupts_end_the_run(lambda: context.step_context):
                document: Document = read_current(self._store, kind, context.asset_partition_key)
        except Failure as failure:
            raise as_dagster_failure(failure, step) from failure
        return document
