"""Claims about configuration."""

import re
from pathlib import Path

import pytest

from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import Settings, SettingsError, load_settings, read_variable, variable_names

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_stages_name_settings_that_there_are() -> None:
    named = {name for step in PipelineStep for name in step.stage.settings}

    assert named <= set(Settings.model_fields)


def test_the_example_lists_every_variable_and_no_other() -> None:
    listed = re.findall(r"^#([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert sorted(listed) == sorted(variable_names())


def test_everything_is_optional(tmp_path: Path) -> None:
    settings = load_settings()

    assert settings.effective_store_url == (tmp_path / ".madvision" / "store").as_uri()
    assert settings.effective_database_url == f"sqlite:///{tmp_path / '.madvision' / 'madvision.db'}"
    assert settings.analyst is None
    assert not settings.allow_private


def test_paid_calls_have_a_ceiling_unless_somebody_says_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().ceilings_usd(price_known=True) == (1.0, 5.0)
    monkeypatch.setenv("MADVISION_BUDGET_USD_PER_DAY", "none")
    assert load_settings().ceilings_usd(price_known=True) == (1.0, None)


def test_the_default_ceilings_stop_no_model_whose_price_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().ceilings_usd(price_known=False) == (None, None)
    monkeypatch.setenv("MADVISION_BUDGET_USD_PER_DAY", "7")
    assert load_settings().ceilings_usd(price_known=False) == (None, 7.0)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADVISION_STORE_URL", "")
    monkeypatch.setenv("OPENAI_API_KEY", "")

    assert load_settings().openai_api_key is None
    assert load_settings().effective_store_url.startswith("file://")


# Are shown to others, and may hold no secret.
LINKS = ("MADVISION_INTERNAL_URL", "MADVISION_DAGSTER_URL", "MADVISION_GIT_URL")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MADVISION_EXECUTOR", "moon"),
        ("MADVISION_REFUSED_NETWORKS", "10.0.0.0/8, the moon"),
        ("MADVISION_MAX_BYTES", "many"),
        ("MADVISION_MAX_DURATION_S", "-1"),
        ("MADVISION_BUDGET_USD_PER_DAY", "-5"),
        *(
            (name, url)
            for name in LINKS
            for url in ("example.org", "ftp://example.org", "https://me:secret@example.org")
        ),
        *(
            (name, url)
            for name in LINKS
            for url in ("https://example.org/?token=t", "https://example.org/#t", "https:// ")
        ),
        # Its pages name each other by their paths.
        ("MADVISION_INTERNAL_URL", "https://example.org/behind"),
    ],
)
def test_a_bad_value_is_told_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MADVISION_INTERNAL_URL", "http://127.0.0.1:8000/"),
        ("MADVISION_DAGSTER_URL", "https://example.org/behind/"),
        ("MADVISION_GIT_URL", "https://example.org/us/madvision"),
    ],
)
def test_a_link_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    assert getattr(load_settings(), name.removeprefix("MADVISION_").lower()) == value


def test_a_variable_counts_in_the_environment_then_in_an_env_file_and_empty_is_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MADVISION_HOME=of-the-file\nMADVISION_WHISPER_MODEL=\n")

    assert (read_variable("MADVISION_HOME"), read_variable("MADVISION_WHISPER_MODEL")) == ("of-the-file", None)
    monkeypatch.setenv("MADVISION_HOME", "of-the-environment")
    assert read_variable("MADVISION_HOME") == "of-the-environment"
    monkeypatch.setenv("MADVISION_HOME", "")
    assert read_variable("MADVISION_HOME") == "of-the-file"


@pytest.mark.parametrize(
    "address",
    [
        "collector:4317",
        "grpc://collector:4317",
        "unix:///run/collector",
        "http://",
        "http://:4318",
        "http://collector:4318000",
        "http://[::1:4318",
        "http://collector:4318?key=hide-me",
        "http://collector:4318/#hide-me",
        "https://ann:hide-me@collector:4318",
        "http://one:4318, http://two:4318",
        "off",
    ],
)
def test_a_collector_that_cannot_be_used_stops_nothing_and_is_told(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    settings = load_settings()

    assert settings.collector is None
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in (settings.no_collector or "")
    assert "hide-me" not in f"{settings.no_collector}{settings!r}"


@pytest.mark.parametrize("address", ["http://collector:4318", "https://[::1]:4318/", "https://otlp.example.org/a/b"])
def test_a_collector_that_can_be_used_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    assert (load_settings().collector, load_settings().no_collector) == (None, None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)

    assert (load_settings().collector, load_settings().no_collector) == (address, None)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hide-me")
    monkeypatch.setenv("MADVISION_DATABASE_URL", "postgresql://u:hide-me@h/d")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hide-me")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hide-me")

    assert "hide-me" not in repr(load_settings())


def test_an_env_file_in_the_working_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MADVISION_WHISPER_MODEL=tiny\n")

    assert load_settings().whisper_model == "tiny"
