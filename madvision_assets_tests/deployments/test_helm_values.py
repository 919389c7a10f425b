"""Claims about deployments/kubernetes/helm: the chart would take the values, and they say what the manifests say."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster._daemon.types import DaemonHeartbeat

from madvision_assets_tests.deployments.test_kubernetes_manifests import CHECK, KUBERNETES

Json = dict[str, Any]

VALUES: Json = yaml.safe_load((KUBERNETES / "helm" / "values.yaml").read_text())
INSTANCE: Json = yaml.safe_load((KUBERNETES / "base" / "dagster.yaml").read_text())


def change(place: str, value: object) -> Callable[[Json], None]:
    """Something to be done to values: put a value at a place, whose last key may be new."""

    def put(values: Json) -> None:
        *way, last = place.split(".")
        here: Any = values
        for key in way:
            here = here[int(key)] if isinstance(here, list) else here[key]
        here[last] = value

    return put


@pytest.fixture
def published() -> Json:
    """The chart's own schema."""
    path = os.environ.get("MADVISION_TEST_HELM_SCHEMA")
    if not path:
        pytest.skip(
            "MADVISION_TEST_HELM_SCHEMA is not set; the path of the chart's values.schema.json would run this "
            "(deployments/kubernetes/README.md pulls the chart)"
        )
    schema: Json = json.loads(Path(path).read_text())
    return schema


def test_the_chart_would_take_our_values(published: Json) -> None:
    assert list(CHECK.helm_findings(VALUES, published)) == []


# Built as the chart's is, of which it has the least that these claims need.
SMALL: Json = {
    "type": "object",
    "properties": {
        "telemetry": {"$ref": "#/$defs/Telemetry"},
        "postgresql": {"$ref": "#/$defs/PostgreSQL"},
        "dagsterDaemon": {"$ref": "#/$defs/Daemon"},
        "deployments": {"type": "array", "items": {"$ref": "#/$defs/UserDeployment"}},
    },
    "$defs": {
        "Telemetry": {"type": "object", "properties": {"enabled": {"type": "boolean"}}, "required": ["enabled"]},
        "PostgreSQL": {"type": "object", "properties": {"enabled": {"type": "boolean"}}, "required": ["enabled"]},
        "Daemon": {"type": "object", "properties": {"resources": {"$ref": "#/$defs/Resources"}}},
        "Resources": {
            "$ref": "https://kubernetesjsonschema.dev/v1.18.0/_definitions.json"
            "#/definitions/io.k8s.api.core.v1.ResourceRequirements"
        },
        "UserDeployment": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "image": {"type": "string"}},
            "required": ["name", "image"],
        },
    },
}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"telemetri": {}}, "telemetri: there is no such key; did you mean telemetry?"),
        ({"postgresql": {"enabled": "no"}}, "postgresql.enabled: 'no' is not of type 'boolean'"),
        ({"dagsterDaemon": {"resources": {"limitz": {}}}}, "dagsterDaemon.resources.limitz: there is no such key"),
        ({"deployments": [{"name": "a"}]}, "deployments.0: 'image' is a required property"),
    ],
)
def test_what_a_schema_refuses_is_told_with_its_place(wrong: Json, told: str) -> None:
    (finding,) = CHECK.helm_findings(wrong, SMALL)

    assert finding.startswith(told)


def test_what_stands_in_the_chart_itself_need_not_be_repeated() -> None:
    assert list(CHECK.helm_findings({"telemetry": {}}, SMALL)) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (change("dagsterWebserver.replicaCounts", 2), "dagsterWebserver.replicaCounts: there is no such key"),
        (change("telemetri", {}), "telemetri: there is no such key; did you mean telemetry?"),
        (change("postgresql.enabled", "no"), "postgresql.enabled: 'no' is not of type 'boolean'"),
        (change("dagsterDaemon.resources.limitz", {}), "dagsterDaemon.resources.limitz: there is no such key"),
        (
            change("runLauncher.config.k8sRunLauncher.envSecret", []),
            "runLauncher.config.k8sRunLauncher.envSecret: there is no such key; did you mean envSecrets?",
        ),
        (
            change("dagster-user-deployments.deployments.0.readinessProbe.grpcs", {}),
            "dagster-user-deployments.deployments.0.readinessProbe.grpcs: there is no such key; did you mean grpc?",
        ),
        (
            change("dagster-user-deployments.deployments", [{"name": "a", "port": 1}]),
            "dagster-user-deployments.deployments.0: 'image' is a required property",
        ),
        (change("computeLogManager.config", {}), "computeLogManager.config: 's3ComputeLogManager' is a required"),
    ],
)
def test_what_is_mistyped_in_our_values_is_told_with_its_place(
    wrong: Callable[[Json], None], told: str, published: Json
) -> None:
    values = deepcopy(VALUES)
    wrong(values)

    (finding,) = CHECK.helm_findings(values, published)

    assert finding.startswith(told)


def test_both_ways_configure_the_same_instance() -> None:
    extra = VALUES["additionalInstanceConfig"]
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    ours = INSTANCE["run_launcher"]["config"]

    assert {key: INSTANCE[key] for key in extra} == extra
    assert (launcher["resources"], launcher["securityContext"]) == (ours["resources"], ours["security_context"])
    assert (launcher["volumes"], launcher["volumeMounts"]) == (ours["volumes"], ours["volume_mounts"])
    assert launcher["runK8sConfig"]["podSpecConfig"] == ours["run_k8s_config"]["pod_spec_config"]
    assert launcher["runK8sConfig"]["jobSpecConfig"] == ours["run_k8s_config"]["job_spec_config"]


@pytest.mark.whole
def test_the_daemon_of_the_chart_is_started_again_where_its_loops_stand_still(tmp_path: Path) -> None:
    probe = VALUES["dagsterDaemon"]["livenessProbe"]["exec"]["command"]
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    command = [str(Path(sys.executable).parent / probe[0]), *probe[1:]]

    def asked(beaten_s_ago: float) -> int:
        now = datetime.now(UTC).timestamp()
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            for daemon in instance.get_required_daemon_types():
                instance.add_daemon_heartbeat(DaemonHeartbeat(now - beaten_s_ago, daemon, None, None))
        environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "DAGSTER_DAEMON_HEARTBEAT_TOLERANCE": "300"}
        return subprocess.run(command, env=environment, check=False, capture_output=True, timeout=180).returncode

    assert asked(beaten_s_ago=0) == 0
    assert asked(beaten_s_ago=400) == 1
