"""Resources: plain objects, made from settings; heavy libraries load when a stage first needs them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from madvision_assets.defs.io_manager import ObjectStoreIOManager
from madvision_assets.defs.workbench import Workbench
from madvision_assets.tools.analyst import Analyst
from madvision_assets.tools.analyst.budget import Budget, BudgetedAnalyst
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.openai_analyst import OpenAIAnalyst
from madvision_assets.tools.analyst.prices import price_of
from madvision_assets.tools.database import Database
from madvision_assets.tools.download import Downloader
from madvision_assets.tools.ingest import Ingest
from madvision_assets.tools.render import ClipRenderer
from madvision_assets.tools.speech import SpeechEngine
from madvision_assets.tools.speech.openai_whisper import OpenAIWhisper
from madvision_assets.tools.store.objects import ObjectStore, S3Settings

if TYPE_CHECKING:
    from madvision_assets.settings import Settings


def make_store(settings: "Settings") -> ObjectStore:
    """The object store."""
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    return ObjectStore.from_url(
        settings.effective_store_url,
        s3=S3Settings(
            endpoint_url=settings.aws_endpoint_url_s3 or settings.aws_endpoint_url,
            region=settings.aws_region or settings.aws_default_region,
            access_key_id=settings.aws_access_key_id,
            secret_access_key=secret.get_secret_value() if secret else None,
            session_token=token.get_secret_value() if token else None,
        ),
    )


def make_database(settings: "Settings") -> Database:
    """The database of our own tables."""
    return Database(settings.effective_database_url)


def make_speech(settings: "Settings") -> SpeechEngine:
    """The speech engine."""
    engines = {"openai-whisper": OpenAIWhisper}
    return engines[settings.whisper_engine](settings.whisper_model, settings.models_folder)


def make_downloader(settings: "Settings") -> Downloader:
    """The downloader, with its limits."""
    return Downloader(
        allow_private=settings.allow_private,
        max_height=settings.max_height,
        max_bytes=settings.max_bytes,
        max_duration_s=settings.max_duration_s,
        time_limit_s=settings.download_timeout_s,
    )


def make_analyst(settings: "Settings", database: Database) -> Analyst:
    """The analyst asked for; paid calls stay under the ceilings."""
    if settings.effective_analyst == "offline":
        return OfflineAnalyst()
    key = settings.openai_api_key
    paid = OpenAIAnalyst(
        api_key=key.get_secret_value() if key else "",
        base_url=settings.openai_base_url,
        model=settings.openai_model,
    )
    budget = Budget(database, settings.budget_usd_per_video, settings.budget_usd_per_day)
    return BudgetedAnalyst(paid, budget, price_known=price_of(settings.openai_model) is not None)


def make_resources(settings: "Settings") -> Mapping[str, object]:
    """Every resource by the name that assets ask for it."""
    store = make_store(settings)
    database = make_database(settings)
    return {
        "io_manager": ObjectStoreIOManager(store, database),
        "bench": Workbench(store, settings.work_folder),
        "database": database,
        "ingest": Ingest(store, make_downloader(settings), settings.max_duration_s, settings.max_bytes),
        "speech": make_speech(settings),
        "analyst": make_analyst(settings, database),
        "renderer": ClipRenderer(store),
    }
