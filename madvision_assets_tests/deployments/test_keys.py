"""Claims about who reads which secret: reach/keys.py says what the code reads, and gives out nothing else."""

import gc
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import dagster as dg
import httpx
import pytest
from keys import BY_HAND, DAGSTER, DAGSTERS_KEY, DAGSTERS_SECRET, EVERY, PARTS, REQUIRED, STORE, KeysError, secrets_of
from obstore.store import S3Store

from madvision_assets.defs.assets import PIPELINE
from madvision_assets.defs.resources import make_resources
from madvision_assets.defs.sensors import SENSORS, trace_sensor
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.consuming import consume
from madvision_assets.settings import Settings, variable_names
from madvision_assets_tests.intake.serving import serving, settings_in

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deployments" / "reach" / "keys.py"
VARIABLE_OF = dict(zip(Settings.model_fields, variable_names(), strict=True))
# Its fields of this type, and the ID that goes with the store's key.
SECRETS = {
    name: VARIABLE_OF[name]
    for name, field in Settings.model_fields.items()
    if "SecretStr" in str(field.annotation) or name == "aws_access_key_id"
}
DATABASE_URL = "postgresql+psycopg2://madvision:canary-database-url@127.0.0.1:9/madvision"
CANARIES = {name: f"canary-{name.replace('_', '-')}" for name in SECRETS}
GIVEN = {name: f"value of {name}" for name in EVERY}
LIMIT_S = 60


class Watched(Settings):
    """Settings that note which of their secrets are read."""

    def __getattribute__(self, name: str) -> Any:
        """As ever."""
        if name in SECRETS:
            READ.add(SECRETS[name])
        return super().__getattribute__(name)


READ: set[str] = set()


def watched(folder: Path, **given: Any) -> Watched:
    """Watched settings of an intake, of which nothing was read yet."""
    made = Watched(**settings_in(folder, **given).model_dump(exclude_unset=True), _env_file=None)
    READ.clear()
    return made


# --- stages and sensors: what their resources hold ---


@cache
def resources() -> Mapping[str, object]:
    """The resources of a process that has every secret, each of them to be known again."""
    inbox = f"amqp://u:{CANARIES['inbox_url']}@127.0.0.1:9/"
    given: dict[str, Any] = {
        **CANARIES,
        "database_url": DATABASE_URL,
        "inbox_url": inbox,
        "otlp_endpoint": "http://c:1",
    }
    return make_resources(Settings(**given, store_url="s3://bucket/store", aws_region="us-east-1", _env_file=None))


def held_by(names: Iterable[str]) -> set[str]:
    """The secrets that can be got at from resources, by the names of their variables."""
    texts = list(reachable_texts([resources()[name] for name in names]))
    return {SECRETS[name] for name, canary in CANARIES.items() if any(canary in text for text in texts)}


def reachable_texts(things: list[object]) -> Iterator[str]:
    """Every text that things hold, through all that they refer to; modules and classes belong to everybody."""
    seen: set[int] = set()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, ModuleType | type):
            continue
        seen.add(id(thing))
        if isinstance(thing, str):
            yield thing
        elif isinstance(thing, FunctionType):
            waiting += [*(thing.__closure__ or ()), thing.__defaults__, thing.__kwdefaults__]
        elif isinstance(thing, S3Store):  # not of Python
            waiting.append(dict(thing.config))
        else:
            waiting += gc.get_referents(thing)


def in_the_table(part: str) -> frozenset[str]:
    """What a part reads by the table; the password of Dagster's database is read by dagster.yaml, not by us."""
    return PARTS[part] - DAGSTER


@pytest.mark.parametrize("asset", PIPELINE, ids=lambda asset: asset.key.to_user_string())
def test_a_stage_has_the_secrets_that_its_resources_hold_and_no_other(asset: dg.AssetsDefinition) -> None:
    step = PipelineStep(asset.key.to_user_string())

    assert held_by(asset.required_resource_keys) == in_the_table(step.part)


def test_the_code_server_has_the_secrets_that_its_sensors_hold_and_no_other() -> None:
    asked = {key for sensor in (*SENSORS, trace_sensor) for key in sensor.required_resource_keys}

    assert held_by(asked) == in_the_table("code-server")


def test_a_run_that_executes_no_stage_itself_has_no_secret_of_ours_but_those_of_its_log() -> None:
    for part in ("run", "daemon", "webserver"):
        assert in_the_table(part) == STORE


# --- the others: what they read ---


def test_the_intake_has_the_secrets_that_it_reads_and_no_other(tmp_path: Path) -> None:
    settings = watched(tmp_path, internal_key="k", database_url=f"sqlite:///{tmp_path}/m.db")
    with serving(settings) as intake:
        assert intake.client.get("/readyz").status_code == httpx.codes.OK
        intake.status(intake.submit()["token"])
        path, nobodys, bearer = (
            "/internal/perform-video-processing",
            "web-0123456789abcdef",
            {"Authorization": "Bearer k"},
        )
        answer = intake.client.post(path, json={"video_id": nobodys}, headers=bearer)
        assert answer.status_code == httpx.codes.NOT_FOUND

    assert in_the_table("intake") == READ


def test_the_consumer_has_the_secrets_that_it_reads_and_no_other(tmp_path: Path) -> None:
    settings = watched(
        tmp_path, inbox_url="https://sqs.us-east-1.amazonaws.com/111122223333/inbox", store_url="nowhere:"
    )

    with pytest.raises(ValueError, match="MADVISION_STORE_URL"):  # the last of all that it opens before it receives
        consume(settings)

    assert in_the_table("consumer") == READ


def test_every_secret_of_the_settings_is_given_to_somebody_and_nothing_that_is_none() -> None:
    assert set(SECRETS.values()) - BY_HAND == EVERY - DAGSTER


def test_who_opens_dagsters_instance_has_the_password_of_its_database_and_nobody_else_does() -> None:
    without = {part for part, reads in PARTS.items() if not reads & DAGSTER}

    assert without == {"intake", "consumer"}


# --- the Secrets of a cluster ---


def test_each_part_gets_a_secret_of_its_own_with_what_it_reads() -> None:
    made = {each["metadata"]["name"]: each["stringData"] for each in secrets_of(GIVEN)}

    assert made.pop(DAGSTERS_SECRET) == {DAGSTERS_KEY: GIVEN["DAGSTER_PG_PASSWORD"]}
    assert {name: set(data) for name, data in made.items()} == {
        f"madvision-{part}": in_the_table(part) for part in PARTS
    }
    assert all(data[name] == GIVEN[name] for data in made.values() for name in data)


def test_the_transcripts_pod_has_the_key_of_an_api_only_where_speech_is_heard_behind_one() -> None:
    plain, with_api = (
        {each["metadata"]["name"]: set(each["stringData"]) for each in secrets_of(GIVEN, speech_api=speech_api)}
        for speech_api in (False, True)
    )

    assert with_api.pop("madvision-transcript") - plain.pop("madvision-transcript") == {"OPENAI_API_KEY"}
    assert with_api == plain


def test_what_is_not_set_is_in_no_secret_and_every_part_has_one_all_the_same() -> None:
    made = {each["metadata"]["name"]: each["stringData"] for each in secrets_of(dict.fromkeys(REQUIRED, "x"))}

    assert made["madvision-daemon"] == {}
    assert made["madvision-content-type"].keys() == {"MADVISION_DATABASE_URL"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"MADVISION_DATABASE_URL": ""}, "MADVISION_DATABASE_URL: missing"),
        ({"OPENAI_API_KYE": "sk-1"}, "OPENAI_API_KYE: no part reads it"),
    ],
)
def test_what_cannot_be_given_out_is_told(changed: dict[str, str], told: str) -> None:
    with pytest.raises(KeysError, match=told):
        secrets_of({**GIVEN, **changed})


def test_the_script_prints_what_kubectl_takes_and_no_secret_when_it_fails(tmp_path: Path) -> None:
    def printed(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "secrets.env").write_text(text)
        command = [sys.executable, str(SCRIPT), str(tmp_path / "secrets.env")]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_S)

    example = (ROOT / "deployments" / "kubernetes" / "secrets.env.example").read_text()
    filled = example.replace("DAGSTER_PG_PASSWORD=", "DAGSTER_PG_PASSWORD='p$x#1'")

    made, refused = printed(filled), printed(filled + "OTHER=hide-me\n")

    items = {each["metadata"]["name"]: each for each in json.loads(made.stdout)["items"]}
    assert items[DAGSTERS_SECRET]["stringData"] == {DAGSTERS_KEY: "p$x#1"}
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "OTHER: no part reads it" in refused.stderr
    assert "hide-me" not in refused.stderr


def test_the_example_lists_every_secret() -> None:
    text = (ROOT / "deployments" / "kubernetes" / "secrets.env.example").read_text()
    listed = {line.removeprefix("#").partition("=")[0] for line in text.splitlines() if not line.startswith("# ")}

    assert listed == EVERY
