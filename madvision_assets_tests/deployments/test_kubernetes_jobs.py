"""Claims about what dagster-k8s makes of our configuration: the instance, the Jobs of runs and steps, the rights."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_k8s import client as dagster_k8s_client
from keys import SITES_SECRET
from reach import ROOT, dagster_job, launcher_of
from sqlalchemy import make_url

from madvision_assets.connections import make_sources
from madvision_assets.defs.compute import GPU_NODE_LABEL
from madvision_assets.domain.sources import Sources
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import Settings
from madvision_assets_tests.databases import new_database
from madvision_assets_tests.deployments.test_kubernetes_manifests import (
    CHECK,
    NEEDS_KUBECTL,
    SECRETS_FROM_OUTSIDE,
    assert_hardened,
    of_kind,
    overlay,
    templates,
    values_of,
)
from madvision_assets_tests.real_servers import over_tcp

Json = dict[str, Any]

pytestmark = NEEDS_KUBECTL


@pytest.fixture
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance of the config map, on a real PostgreSQL, without a cluster."""
    data = of_kind("self-hosted", "ConfigMap")
    (tmp_path / "dagster.yaml").write_text(data["madvision-dagster"]["data"]["dagster.yaml"])
    with new_database("postgresql", request, tmp_path) as database:
        url = make_url(over_tcp(database.engine.url.render_as_string(hide_password=False)))
        given = {
            **data["madvision-env"]["data"],
            "DAGSTER_HOME": str(tmp_path),
            "DAGSTER_PG_HOST": str(url.host),
            "DAGSTER_PG_PORT": str(url.port),
            "DAGSTER_PG_USERNAME": str(url.username),
            "DAGSTER_PG_PASSWORD": str(url.password),
            "DAGSTER_PG_DB": str(url.database),
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
            yield opened


def test_dagster_opens_the_instance_without_a_cluster_as_step_pods_do(instance: dg.DagsterInstance) -> None:
    assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
    assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_resume_run_attempts == 0
    assert not instance.run_retries_enabled
    assert instance.get_concurrency_config().run_queue_config is not None
    assert instance._run_launcher is None, "a step pod has no token to load it with"


def test_who_downloads_has_what_is_said_of_sites_with_its_secrets_and_its_own_scratch_besides() -> None:
    for step in PipelineStep:
        spec = dagster_job(launcher_of(overlay("self-hosted")), step)["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        files = {each["name"]: each.get("value") for each in container["env"]}.get("MADVISION_SOURCES_FILE")

        assert {"home", "tmp"} <= volumes.keys()
        assert volumes.keys() == {each["name"] for each in container["volumeMounts"]}
        if step is not PipelineStep.RAW_VIDEO:
            assert (files, volumes.keys() & {"sources", "site-secrets"}) == (None, set())
            continue
        mounts = {each["name"]: each for each in container["volumeMounts"]}
        assert files == f"{mounts['sources']['mountPath']}/sources.toml"
        assert volumes["site-secrets"]["secret"] == {"secretName": SITES_SECRET, "optional": True}
        assert all(mounts[name]["readOnly"] for name in ("sources", "site-secrets"))
        template = ROOT / "deployments/kubernetes/base/sources.toml"
        assert make_sources(Settings(_env_file=None, sources_file=template)) == Sources()


@pytest.mark.parametrize("step", [None, *PipelineStep])
def test_the_job_of_a_run_and_of_each_step_is_valid_and_hardened(step: PipelineStep | None) -> None:
    job = dagster_job(launcher_of(overlay("self-hosted")), step)
    template = job["spec"]["template"]
    spec = template["spec"]

    assert list(CHECK.kubernetes_findings(job)) == []
    assert_hardened(template)
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["activeDeadlineSeconds"]
    assert job["spec"]["ttlSecondsAfterFinished"]
    assert template["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
    name = "madvision-run" if step is None else "madvision-step"
    assert (spec["serviceAccountName"], spec["priorityClassName"]) == (name, name)
    assert name in of_kind("self-hosted", "ServiceAccount").keys() & of_kind("self-hosted", "PriorityClass").keys()
    assert spec["automountServiceAccountToken"] is (step is None)
    assert set(values_of(template, "secretRef", "secretKeyRef")) <= SECRETS_FROM_OUTSIDE
    assert (spec.get("nodeSelector") == GPU_NODE_LABEL) is (step is PipelineStep.TRANSCRIPT)


# What dagster-k8s does as whom: launcher.py in the daemon, terminate in the webserver, executor.py in a run.
DONE_BY = {
    "madvision-webserver": {"delete_job"},
    "madvision-daemon": {
        "create_namespaced_job_with_retries",
        "get_job_status",
        "delete_job",
        "get_pod_names_in_job",
        "get_pod_debug_info",
        "get_job_debug_info",
    },
    "madvision-run": {"create_namespaced_job_with_retries", "get_job_status", "delete_job", "get_pod_by_name"},
}
VERBS = {"read": "get", "list": "list", "create": "create", "delete": "delete"}


@pytest.mark.parametrize("account", DONE_BY)
def test_a_role_grants_what_dagster_k8s_calls_and_no_more(account: str) -> None:
    needed = {right for method in DONE_BY[account] for right in _rights(method)}
    rules = of_kind("self-hosted", "Role")[account]["rules"]

    assert _granted(rules) == needed


def test_who_runs_the_doctor_may_look_and_end_a_run_that_hangs_and_nothing_else() -> None:
    rules = of_kind("self-hosted", "Role")["madvision-code-server"]["rules"]

    looks = {("pods", "list"), ("events", "list"), ("pods/log", "get")}
    assert _granted(rules) == looks | set(_rights("delete_job")) | set(_rights("get_pod_names_in_job"))


def _granted(rules: list[Json]) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


def test_who_has_no_role_gets_no_token() -> None:
    roles = of_kind("aws", "RoleBinding")
    for name, account in of_kind("aws", "ServiceAccount").items():
        assert (account.get("automountServiceAccountToken", True) is True) == (name in roles), name
    for name, template in templates("aws").items():
        spec = template["spec"]
        assert (spec.get("automountServiceAccountToken", True) is True) == (spec["serviceAccountName"] in roles), name


def _rights(method: str) -> Iterator[tuple[str, str]]:
    """What a method of dagster-k8s' client asks of the API server, read from its source."""
    for node in ast.walk(_methods()[method]):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = node.func.attr
        if found := re.fullmatch(r"(read|list|create|delete)_namespaced_(\w+)", name):
            resource = {"pod_log": "pods/log", "job_status": "jobs/status"}.get(found[2], f"{found[2]}s")
            yield resource, VERBS[found[1]]
        elif name in _methods():
            yield from _rights(name)


@cache
def _methods() -> Mapping[str, ast.FunctionDef]:
    (client,) = (
        node
        for node in ast.parse(inspect.getsource(dagster_k8s_client)).body
        if isinstance(node, ast.ClassDef) and node.name == "DagsterKubernetesClient"
    )
    return {node.name: node for node in client.body if isinstance(node, ast.FunctionDef)}
