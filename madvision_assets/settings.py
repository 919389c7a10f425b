"""Configuration: the only file that reads the environment (and an ``.env`` file, where there is one).

Every variable is optional; ``.env.example`` lists them all with their meaning, and a test keeps it complete.
"""

import os
import re
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

GIB = 1024**3
HOUR_S = 3600.0
YEAR_S = 365 * 24 * HOUR_S


class Executor(StrEnum):
    """Where the stages of a run execute."""

    IN_PROCESS = "in_process"
    MULTIPROCESS = "multiprocess"
    K8S = "k8s"


class SettingsError(Exception):
    """The environment holds a value that we cannot use; the message names the variable and what it takes."""


def _networks(text: str) -> str:
    for each in text.replace(",", " ").split():
        ip_network(each, strict=False)
    return text


def _is_plain(address: str) -> bool:
    """Whether an address is a ``PlainUrl``, with a host, and a port that there can be."""
    try:
        parts = urlsplit(address)
        return re.fullmatch(PLAIN_URL, address) is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that does not close, a port of six digits
        return False


def _none(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


# Where browsers go. Without user, query and fragment: it is shown to others, and may hold no secret.
PLAIN_URL = r"^https?://[^/?#@\s]+(/[^?#@\s]*)?$"
PlainUrl = Annotated[str, Field(pattern=PLAIN_URL)]
# Likewise of pages of ours, which lie at the root of their host: they name each other by their paths.
PlainOrigin = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+/?$")]
NO_COLLECTOR = (
    "No traces are sent: OTEL_EXPORTER_OTLP_ENDPOINT is no address of a collector that takes OTLP over HTTP, such as "
    "http://127.0.0.1:4318, without user, query and fragment."
)
# US dollars; "none" is no ceiling.
Ceiling = Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_none)]


class Settings(BaseSettings):
    """Everything that an operator may set. Sizes in bytes, times in seconds, money in US dollars."""

    model_config = SettingsConfigDict(
        env_prefix="MADVISION_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    home: Path = Path(".madvision")
    database_url: SecretStr | None = None
    store_url: str | None = None
    revision: str = ""
    git_url: PlainUrl | None = None
    allow_private: bool = False
    refused_networks: Annotated[str, AfterValidator(_networks)] = ""
    executor: Executor = Executor.IN_PROCESS
    gpu_image: str | None = None

    max_in_flight: Annotated[int, Field(ge=1)] = 4
    max_retries: Annotated[int, Field(ge=0)] = 8
    retry_base_s: Annotated[float, Field(gt=0)] = 30.0
    priority_ageing_s: Annotated[float, Field(ge=0, le=YEAR_S)] = HOUR_S
    breaker_pause_s: Annotated[float, Field(gt=0)] = 60.0
    lost_after_s: Annotated[float, Field(ge=5)] = 60.0

    internal_key: SecretStr | None = None
    mcp_key: SecretStr | None = None
    public_url: Annotated[str | None, Field(pattern=r"^https?://[^/]+")] = None
    internal_url: PlainOrigin | None = None
    dagster_url: PlainUrl | None = None
    allowed_hosts: str = ""
    requests_per_minute: Annotated[int, Field(ge=0)] = 600
    callbacks_per_minute: Annotated[int, Field(ge=0)] = 60
    callback_hosts_per_minute: Annotated[int, Field(ge=1)] = 1
    connections_per_client: Annotated[int, Field(ge=0)] = 100
    streams_per_client: Annotated[int, Field(ge=1)] = 20
    uploads_per_client: Annotated[int, Field(ge=0)] = 10
    upload_bytes_per_client: Annotated[int, Field(ge=0)] = 40 * GIB
    upload_bytes: Annotated[int, Field(ge=0)] = 200 * GIB
    upload_expires_s: Annotated[float, Field(gt=0, le=YEAR_S)] = 24 * HOUR_S
    upload_min_bytes_per_s: Annotated[int, Field(ge=0)] = 4096
    quota_minutes_per_day: Annotated[int, Field(ge=0)] = 6000
    quota_bytes_per_day: Annotated[int, Field(ge=0)] = 200 * GIB
    trusted_proxies: str = "127.0.0.1"

    inbox_url: SecretStr | None = None
    inbox_max_receives: Annotated[int, Field(ge=1)] = 5
    upload_buckets: str = ""

    max_height: Annotated[int, Field(ge=144)] = 1080
    max_duration_s: Annotated[float, Field(gt=0)] = 4 * HOUR_S
    max_bytes: Annotated[int, Field(gt=0)] = 20 * GIB
    sandbox_memory_bytes: Annotated[int, Field(ge=GIB // 4)] = GIB
    download_timeout_s: Annotated[float, Field(gt=0)] = 2 * HOUR_S
    download_min_bytes_per_s: Annotated[int, Field(ge=0)] = 20_000
    sources_file: Path | None = None
    ytdlp_folder: Path | None = None
    ytdlp_max_age_weeks: Annotated[int, Field(ge=1)] = 8

    # Of engines and analysts the registries in tools/ know the names.
    whisper_engine: str = "auto"
    whisper_model: str = "turbo"
    prefer_captions: bool = False

    analyst: str | None = None
    analyst_fallback: Literal["offline"] | None = None
    analyst_fallback_after_s: Annotated[float, Field(ge=0)] = 900.0
    openai_model: str = "gpt-4o"
    openai_api_key: Annotated[SecretStr | None, Field(alias="OPENAI_API_KEY")] = None
    openai_base_url: Annotated[str | None, Field(alias="OPENAI_BASE_URL")] = None
    openai_deadline_s: Annotated[float, Field(gt=0, le=HOUR_S)] = 180.0
    models_file: Path | None = None
    auto_redo: bool = False
    budget_usd_per_video: Ceiling = 1.0
    budget_usd_per_day: Ceiling = 5.0

    aws_endpoint_url: Annotated[str | None, Field(alias="AWS_ENDPOINT_URL")] = None
    aws_endpoint_url_s3: Annotated[str | None, Field(alias="AWS_ENDPOINT_URL_S3")] = None
    aws_region: Annotated[str | None, Field(alias="AWS_REGION")] = None
    aws_default_region: Annotated[str | None, Field(alias="AWS_DEFAULT_REGION")] = None
    aws_access_key_id: Annotated[str | None, Field(alias="AWS_ACCESS_KEY_ID")] = None
    aws_secret_access_key: Annotated[SecretStr | None, Field(alias="AWS_SECRET_ACCESS_KEY")] = None
    aws_session_token: Annotated[SecretStr | None, Field(alias="AWS_SESSION_TOKEN")] = None

    # Platforms set it for whatever they run, in forms of their own: no value of it stops us. See ``collector``.
    otlp_endpoint: Annotated[str | None, Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT", repr=False)] = None
    otlp_headers: Annotated[SecretStr | None, Field(alias="OTEL_EXPORTER_OTLP_HEADERS")] = None

    dagster_retention_days: Annotated[int, Field(ge=0, le=3650)] = 30
    clips_expected_hours: Annotated[float | None, Field(ge=1, le=24 * 365)] = None
    dagster_home: Annotated[Path | None, Field(alias="DAGSTER_HOME")] = None

    @property
    def home_folder(self) -> Path:
        """``home``, absolute."""
        return self.home.expanduser().absolute()

    @property
    def effective_database_url(self) -> str:
        """The SQLAlchemy URL, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home_folder / 'madvision.db'}"

    @property
    def effective_store_url(self) -> str:
        """The store's URL."""
        return self.store_url or (self.home_folder / "store").as_uri()

    @property
    def collector(self) -> str | None:
        """Where traces go; None where no collector is named, or none that can be used."""
        return self.otlp_endpoint if self.otlp_endpoint and _is_plain(self.otlp_endpoint) else None

    @property
    def no_collector(self) -> str | None:
        """Why no traces are sent although a collector is named; None otherwise. The address may hold a password."""
        return NO_COLLECTOR if self.otlp_endpoint and self.collector is None else None

    def ceilings_usd(self, *, price_known: bool) -> tuple[float | None, float | None]:
        """What a video and a day may cost in paid calls, US dollars; None is no ceiling.

        The default ceilings are for models whose price is known; those that somebody has set are for any.
        """
        names = ("budget_usd_per_video", "budget_usd_per_day")
        set_here = [price_known or name in self.model_fields_set for name in names]
        return (
            self.budget_usd_per_video if set_here[0] else None,
            self.budget_usd_per_day if set_here[1] else None,
        )

    @property
    def work_folder(self) -> Path:
        """Where stages keep their temporary files."""
        return self.home_folder / "work"

    @property
    def models_folder(self) -> Path:
        """Where Whisper's weights are kept."""
        return self.home_folder / "models"


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable holds a value that we cannot use.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{_variable(e['loc'])}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Cannot use the configuration. {problems}. See .env.example.") from error


def read_variable(name: str) -> str | None:
    """What a variable holds: in the environment, or else in an ``.env`` file; None where it is not set, or empty."""
    return os.environ.get(name) or dotenv_values(".env").get(name) or None  # noqa: TID251 - this is the file that reads it


def read_secret(reference: str) -> str:
    """The secret that a reference of the operator's stands for: ``env:NAME`` or ``file:PATH``.

    Raises:
        LookupError: there is none; the message names the reference.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = read_variable(name)
    else:
        try:
            found = Path(name).expanduser().read_text()
        except (OSError, UnicodeDecodeError):
            found = None
    if not found:
        raise LookupError(f"{reference} cannot be read, or is empty")
    return found


def variable_names() -> tuple[str, ...]:
    """Every environment variable that is read, in the order of this file."""
    return tuple(_variable((name,)) for name in Settings.model_fields)


def present_names() -> set[str]:
    """Every name that is set: in the environment, and in an ``.env`` file in the working folder."""
    return {*os.environ, *dotenv_values(".env")}  # noqa: TID251 - this is the file that reads it


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "?"
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    return field.alias or f"MADVISION_{name.upper()}"
