"""Claims about deployments/kubernetes: valid, hardened, complete, and of one mind with defs/compute.py."""

import importlib.util
import ipaddress
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from keys import DAGSTERS_SECRET, PARTS, SITES_SECRET

from madvision_assets.defs.compute import GPU_NODE_LABEL, GPU_RESOURCES, GPU_TAINT, op_tags
from madvision_assets.domain.stages import PipelineStep

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deployments" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
# Made by deployments/reach/keys.py, since they are secret; the certificate's is made by cert-manager.
SECRETS_FROM_OUTSIDE = {*(f"madvision-{part}" for part in PARTS), DAGSTERS_SECRET, SITES_SECRET, "madvision-tls"}
# By the chart's own service account.
RUNS_WITHOUT_OURS = {"helm"}
TIME_LIMIT_S = 180

NEEDS_KUBECTL = pytest.mark.skipif(
    shutil.which("kubectl") is None,
    reason="kubectl renders the manifests and is not on the PATH; version 1.27 or newer would run this",
)
pytestmark = [pytest.mark.whole, NEEDS_KUBECTL]


def load_check() -> Any:
    """deployments/check.py, which is a script and no module of ours."""
    spec = importlib.util.spec_from_file_location("check", ROOT / "deployments" / "check.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = load_check()


@cache
def overlay(name: str) -> tuple[Json, ...]:
    """The objects of an overlay."""
    return tuple(CHECK.rendered(KUBERNETES / "overlays" / name))


def of_kind(name: str, kind: str) -> dict[str, Json]:
    """An overlay's objects of a kind by their names."""
    return {each["metadata"]["name"]: each for each in overlay(name) if each["kind"] == kind}


def templates(name: str) -> dict[str, Json]:
    """The pod templates of an overlay by the names of their objects."""
    found = {}
    for each in overlay(name):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in spec.get("template", {}).get("spec", {}):
            found[each["metadata"]["name"]] = spec["template"]
    return found


def containers(template: Json) -> list[Json]:
    """All containers of a pod template."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def assert_hardened(template: Json) -> None:
    """The pod is what the Pod Security Standard calls restricted, writes to scratch only, and says what it needs."""
    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(template):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
    scratch = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
    assert all("sizeLimit" in each for each in scratch)
    assert spec["priorityClassName"]
    assert spec["serviceAccountName"] != "default"


@pytest.mark.parametrize("name", OVERLAYS)
def test_kubernetes_would_take_every_object(name: str) -> None:
    assert overlay(name)
    assert [finding for each in overlay(name) for finding in CHECK.kubernetes_findings(each)] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_is_hardened_and_says_what_it_needs(name: str) -> None:
    assert templates(name)
    for template in templates(name).values():
        assert_hardened(template)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_says_that_it_is_ours_and_every_part_which_it_is(name: str) -> None:
    ours = {f"app.kubernetes.io/{key}": "madvision" for key in ("name", "part-of")}
    for each in overlay(name):
        assert ours.items() <= each["metadata"]["labels"].items(), each["metadata"]["name"]
    for part, template in templates(name).items():
        component = {"app.kubernetes.io/component": part.removeprefix("madvision-")}
        reach = {"madvision.io/reach": "internet"} if part == "madvision-code-server" else {}
        assert template["metadata"]["labels"] == ours | component | reach


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_part_that_stands_is_asked_whether_it_works(name: str) -> None:
    for part, deployment in of_kind(name, "Deployment").items():
        (container,) = containers(deployment["spec"]["template"])
        probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
        # By the process that does the work: a command beside it would answer while the part hangs, and cost a start.
        assert all(probe.keys() & {"httpGet", "grpc"} for probe in probes), part


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_is_referred_to_exists(name: str) -> None:
    secrets, maps = set(SECRETS_FROM_OUTSIDE), set(of_kind(name, "ConfigMap"))
    for part, template in templates(name).items():
        spec = template["spec"]
        assert spec["serviceAccountName"] in of_kind(name, "ServiceAccount"), part
        assert spec["priorityClassName"] in of_kind(name, "PriorityClass"), part
        assert set(values_of(template, "configMapRef", "configMapKeyRef", "configMap")) <= maps, part
        assert set(values_of(template, "secretRef", "secretKeyRef")) <= secrets, part
        mounted = {mount["name"] for container in containers(template) for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}, part
    for binding in of_kind(name, "RoleBinding").values():
        assert binding["roleRef"]["name"] in of_kind(name, "Role")
        assert {each["name"] for each in binding["subjects"]} <= of_kind(name, "ServiceAccount").keys()


@pytest.mark.parametrize("name", OVERLAYS)
def test_services_budgets_and_the_autoscaler_find_their_pods(name: str) -> None:
    labels = [template["metadata"]["labels"] for template in templates(name).values()]
    for service in of_kind(name, "Service").values():
        assert any(service["spec"]["selector"].items() <= each.items() for each in labels)
    for budget in of_kind(name, "PodDisruptionBudget").values():
        assert any(budget["spec"]["selector"]["matchLabels"].items() <= each.items() for each in labels)
    for scaler in of_kind(name, "HorizontalPodAutoscaler").values():
        target = of_kind(name, "Deployment")[scaler["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]
        assert scaler["spec"]["minReplicas"] >= 2


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_image_that_is_named_in_the_overlay_reaches_all_that_name_it(name: str) -> None:
    images = {container["image"] for each in templates(name).values() for container in containers(each)}
    by_part = {re.sub(r".*/|:.*", "", image): image for image in images}

    assert len(by_part) == len(images) == 3
    assert of_kind(name, "ConfigMap")["madvision-env"]["data"]["MADVISION_GPU_IMAGE"] == by_part["gpu"]
    if name not in RUNS_WITHOUT_OURS:
        (server,) = containers(templates(name)["madvision-code-server"])
        current = next(each["value"] for each in server["env"] if each["name"] == "DAGSTER_CURRENT_IMAGE")
        assert current == by_part["pipeline"] == server["image"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_parts_are_told_where_links_lead_once_an_operator_says_so(name: str) -> None:
    told = of_kind(name, "ConfigMap")["madvision-env"]["data"]

    assert (told["MADVISION_INTERNAL_URL"], told["MADVISION_DAGSTER_URL"]) == ("", "")
    for part in ("madvision-intake", "madvision-code-server"):
        if part in templates(name):
            assert "madvision-env" in values_of(templates(name)[part], "configMapRef")


@pytest.mark.parametrize("name", OVERLAYS)
def test_files_that_are_sent_pass_the_ingress_whole_and_under_the_same_host(name: str) -> None:
    """Nginx bounds bodies by 1 MB, and holds them back until they are whole, unless it is told."""
    ingresses = of_kind(name, "Ingress")
    pages, files = ingresses["madvision-intake"], ingresses["madvision-intake-files"]

    assert [path["path"] for path in files["spec"]["rules"][0]["http"]["paths"]] == ["/public/upload"]
    for prefix, expected in {"proxy-body-size": "0", "proxy-request-buffering": "off"}.items():
        assert files["metadata"]["annotations"][f"nginx.ingress.kubernetes.io/{prefix}"] == expected
        assert f"nginx.ingress.kubernetes.io/{prefix}" not in pages["metadata"]["annotations"]
    assert files["spec"]["rules"][0]["host"] == pages["spec"]["rules"][0]["host"]
    assert files["spec"]["tls"] == pages["spec"]["tls"]


@pytest.mark.parametrize("name", sorted({*OVERLAYS} - RUNS_WITHOUT_OURS))
def test_there_is_never_a_second_daemon(name: str) -> None:
    daemon = of_kind(name, "Deployment")["madvision-daemon"]["spec"]

    assert (daemon["replicas"], daemon["strategy"]["type"]) == (1, "Recreate")


def test_the_gpu_image_waits_where_transcripts_are_put() -> None:
    holder = templates("self-hosted")["madvision-gpu-prepull"]["spec"]
    pod = op_tags(PipelineStep.TRANSCRIPT)["dagster-k8s/config"]["pod_spec_config"]

    assert holder["nodeSelector"] == GPU_NODE_LABEL == pod["node_selector"]
    assert holder["tolerations"] == [GPU_TAINT] == pod["tolerations"]
    assert "envFrom" not in containers(templates("self-hosted")["madvision-gpu-prepull"])[0]


def test_the_karpenter_pool_makes_the_nodes_that_transcripts_ask_for() -> None:
    pool = yaml.safe_load((KUBERNETES / "karpenter" / "gpu-nodepool.yaml").read_text())["spec"]
    taint = pool["template"]["spec"]["taints"][0]

    assert pool["template"]["metadata"]["labels"] == GPU_NODE_LABEL
    assert (taint["key"], taint["effect"]) == (GPU_TAINT["key"], GPU_TAINT["effect"])
    assert pool["limits"].keys() == GPU_RESOURCES.keys()


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_policy_leads_to_the_metadata_of_the_cloud(name: str) -> None:
    metadata = ipaddress.ip_address("169.254.169.254")
    for part, policy in of_kind(name, "NetworkPolicy").items():
        for block in blocks(policy):
            network = ipaddress.ip_network(block["cidr"])
            excepted = [ipaddress.ip_network(each) for each in block.get("except", [])]
            assert metadata not in network or any(metadata in each for each in excepted), part


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("replicas: 1", "replica: 1", "Deployment madvision-daemon: spec.replica: there is no such key; did you mean "),
        ("periodSeconds: 5", "periodSeconds: often", "startupProbe.periodSeconds: 'often' is not of type 'integer'"),
        ("kind: Deployment", "kind: Deploymint", "Left out: Deploymint madvision-daemon is of no kind of Kubernetes"),
    ],
)
def test_what_is_mistyped_is_told_with_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    text = (KUBERNETES / "base" / "daemon.yaml").read_text()
    assert before in text
    (tmp_path / "daemon.yaml").write_text(text.replace(before, after))
    (tmp_path / "kustomization.yaml").write_text("resources: [daemon.yaml]")

    run = subprocess.run(
        [sys.executable, ROOT / "deployments" / "check.py", "kubernetes", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
    )

    assert told in run.stdout
    assert run.returncode == (0 if told.startswith("Left out") else 1)


def values_of(thing: Any, *keys: str) -> Iterator[str]:
    """The names that stand under these keys, at any depth."""
    if isinstance(thing, list):
        thing = dict(enumerate(thing))
    if isinstance(thing, dict):
        for key, value in thing.items():
            if key in keys:
                yield value["name"]
            else:
                yield from values_of(value, *keys)


def blocks(policy: Json) -> list[Json]:
    """The address ranges that a policy opens."""
    return [peer["ipBlock"] for rule in policy["spec"].get("egress", []) for peer in rule["to"] if "ipBlock" in peer]
