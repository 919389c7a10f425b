"""One server: what compose.yaml promises."""

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from madvision_assets.work.keeping import Patience

FOLDER = Path(__file__).resolve().parents[2] / "deployments" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"bucket", "migrate"}
PARTS = {"code-server", "code-server-gpu", "daemon", "webserver", "intake", "consumer"}
LIMIT_S = 60


def listed() -> list[str]:
    """Every variable of .env.example, set or not."""
    lines = (FOLDER / ".env.example").read_text().splitlines()
    return [found[1] for found in (re.match(r"#?([A-Z][A-Z0-9_]*)=", line) for line in lines) if found]


def variables_of(service: str) -> set[str]:
    """What is put into the environment of a service."""
    return set(re.findall(r"\$\{(\w+)", json.dumps(SERVICES[service].get("environment", {}))))


def on(network: str) -> set[str]:
    """Who is in a network."""
    return {name for name, service in SERVICES.items() if network in service["networks"]}


def test_every_variable_is_in_the_example_once_and_nothing_else_is() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT))

    assert sorted(listed()) == sorted(used | {"COMPOSE_PROFILES"})


def test_what_must_be_set_is_asked_for() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    lines = (FOLDER / ".env.example").read_text().splitlines()

    assert required == {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")} - {
        "COMPOSE_PROFILES"
    }


def test_no_secret_has_a_default() -> None:
    secret = r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*):-[^}]"

    assert re.findall(secret, TEXT) == []


def test_images_are_pinned() -> None:
    ours = r"\$\{REGISTRY:-\}madvision/(intake|pipeline|gpu):\$\{TAG:-\d+\.\d+\.\d+\}"
    theirs = r"[a-z/]+:\d+(\.\d+)+(-[a-z]+)?"

    images = {service["image"] for service in SERVICES.values()}

    assert [image for image in images if not re.fullmatch(f"{ours}|{theirs}", image)] == []


def test_only_the_proxy_is_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"proxy": ["80:80", "443:443", "443:443/udp"]}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory"} <= limits.keys()
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_starts_again_and_is_looked_at(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("test" in service["healthcheck"]) is (name not in ONCE)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_part_of_ours_is_kept_at_work_by_what_it_answers(name: str) -> None:
    service = SERVICES[name]
    keeper, part = service["command"][:9], service["command"][9:]
    options = dict(pairwise(keeper))

    assert keeper[:3] == ["madvision", "keep", name.removesuffix("-gpu")]
    assert options["--port"] in part, "it is asked where it answers"
    assert options["--mark"] in service["healthcheck"]["test"][1], "it is healthy while it was found at work lately"


def test_a_part_has_the_time_to_stop_that_its_keeper_gives_it() -> None:
    runs_stop = ("code-server", "daemon")  # others have nothing that takes long

    assert all(SERVICES[name]["stop_grace_period"] == "60s" for name in runs_stop)
    assert Patience().stop_s < 60


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_can_happen(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert wait["condition"] == ("service_completed_successfully" if other in ONCE else "service_healthy")
        # With the profile of the other off, this one starts all the same.
        assert SERVICES[other].get("profiles", []) == SERVICES[name].get("profiles") or (
            "profiles" not in SERVICES[other] or wait["required"] is False
        )


def test_everybody_who_reads_the_tables_waits_for_the_migration() -> None:
    tables = {"MADVISION_DATABASE_URL", "DAGSTER_PG_PASSWORD"}
    readers = {name for name in SERVICES if tables & SERVICES[name].get("environment", {}).keys()}

    waiting = {name for name in SERVICES if "migrate" in SERVICES[name].get("depends_on", {})}

    assert readers - {"migrate"} == waiting - {"proxy"}


def test_secrets_are_where_they_are_needed() -> None:
    def holders(variable: str) -> set[str]:
        return {name for name in SERVICES if variable in variables_of(name)}

    assert holders("POSTGRES_PASSWORD") == {"postgres"}
    assert holders("MADVISION_INTERNAL_KEY") == {"intake"}
    assert holders("OPENAI_API_KEY") == {"code-server", "code-server-gpu"}
    assert holders("OTEL_EXPORTER_OTLP_HEADERS") == {"code-server", "code-server-gpu"}
    assert holders("DAGSTER_PASSWORD_HASH") == {"proxy"}
    assert holders("RABBITMQ_PASSWORD") == {"rabbitmq", "consumer"}
    pipeline = {"migrate", "code-server", "code-server-gpu", "daemon", "webserver", "backup"}
    assert holders("DAGSTER_DATABASE_PASSWORD") == {"postgres"} | pipeline
    assert holders("DATABASE_PASSWORD") == {"postgres", "intake", "consumer"} | pipeline - {"daemon", "webserver"}


def test_who_links_to_dagsters_ui_and_to_operators_pages_knows_where_they_are() -> None:
    def told(variable: str) -> set[str]:
        return {name for name, service in SERVICES.items() if variable in service.get("environment", {})}

    # The code server for `madvision status` in it, too.
    both = {"code-server", "code-server-gpu", "intake"}
    assert told("MADVISION_DAGSTER_URL") == told("MADVISION_INTERNAL_URL") == both


def test_a_hosted_collector_can_be_named_with_all_that_it_takes() -> None:
    given = SERVICES["code-server"]["environment"]
    of_traces = {name: value for name, value in given.items() if name.startswith("OTEL_")}

    assert of_traces == {name: f"${{{name}:-}}" for name in of_traces}
    wanted = {"EXPORTER_OTLP_ENDPOINT", "EXPORTER_OTLP_HEADERS", "EXPORTER_OTLP_CERTIFICATE", "SERVICE_NAME"}
    assert {f"OTEL_{name}" for name in wanted} <= of_traces.keys()
    folder = "/etc/madvision/sources"
    assert f"#OTEL_EXPORTER_OTLP_CERTIFICATE={folder}/" in (FOLDER / ".env.example").read_text()
    assert f"./sources:{folder}:ro" in SERVICES["code-server"]["volumes"]


def test_networks_part_those_who_need_not_meet() -> None:
    outside = {name for name, network in COMPOSE["networks"].items() if "internal" not in network}

    assert outside == {"public", "egress"}
    assert on("public") == {"proxy"}
    assert on("egress") == {"code-server", "code-server-gpu", "backup"}
    assert on("edge") == {"proxy", "intake"}
    assert on("ui") == {"proxy", "webserver"}
    assert on("database-front") == {"postgres", "intake", "consumer"}
    assert on("store-front") == {"store", "intake", "consumer", "proxy"}
    assert on("inbox") == {"rabbitmq", "consumer"}


def test_the_intake_believes_the_proxys_network() -> None:
    subnet = COMPOSE["networks"]["edge"]["ipam"]["config"][0]["subnet"]

    assert SERVICES["intake"]["environment"]["MADVISION_TRUSTED_PROXIES"] == subnet


def test_the_gpu_is_all_that_tells_the_code_servers_apart() -> None:
    without, with_gpu = (dict(SERVICES[name]) for name in ("code-server", "code-server-gpu"))
    (device,) = with_gpu["deploy"]["resources"].pop("reservations")["devices"]

    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert (without.pop("profiles"), with_gpu.pop("profiles")) == (["cpu"], ["gpu"])
    assert without == with_gpu


def test_mounted_files_are_there_and_volumes_are_declared() -> None:
    mounts = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}

    assert [path for path in mounts if path.startswith("./") and not (FOLDER / path).exists()] == []
    assert {name for name in mounts if re.match(r"[a-z]", name)} == COMPOSE["volumes"].keys()


def test_what_is_said_of_sites_lies_with_its_secrets_where_downloads_are_and_nowhere_else() -> None:
    mounting = {
        name for name, each in SERVICES.items() if any("./sources" in mount for mount in each.get("volumes", []))
    }
    told = {name for name, each in SERVICES.items() if "MADVISION_SOURCES_FILE" in each.get("environment", {})}

    assert mounting == told == {"code-server", "code-server-gpu"}
    assert (FOLDER / "sources" / "sources.toml").is_file()
    assert "/deployments/compose/sources/*" in (FOLDER.parents[1] / ".gitignore").read_text().splitlines()


def test_the_workspace_points_at_the_code_server() -> None:
    (location,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    (server,) = location.values()

    assert server["host"] in SERVICES["code-server"]["networks"]["code"]["aliases"]
    assert str(server["port"]) in SERVICES["code-server"]["command"]


def test_compose_itself_reads_the_file(tmp_path: Path) -> None:
    if not _has_compose():
        pytest.skip("`docker compose` is not there: the package docker-compose-plugin of Docker's own would run this")
    filled = re.sub(r"^(\w+)=$", r"\1=secret", (FOLDER / ".env.example").read_text(), flags=re.MULTILINE)
    variables = tmp_path / ".env"
    variables.write_text(filled)
    every = sorted({profile for service in SERVICES.values() for profile in service.get("profiles", [])})
    profiles = [part for profile in every for part in ("--profile", profile)]

    read = subprocess.run(
        ["docker", "compose", "-f", FOLDER / "compose.yaml", "--env-file", variables, *profiles, "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert (read.returncode, read.stderr) == (0, "")


def _has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=LIMIT_S, check=False)
    return asked.returncode == 0
