"""Who may reach and read what, as tables: made of the rendered manifests, of Dagster's Jobs and of compose.yaml.

    python deployments/reach/reach.py           # print them
    python deployments/reach/reach.py --write   # into docs/reach.md

Needs the development packages and ``kubectl``.
"""

import ipaddress
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import yaml  # type: ignore[import-untyped]
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig, construct_dagster_k8s_job, get_user_defined_k8s_config
from dagster_k8s.launcher import K8sRunLauncher
from keys import DAGSTERS_SECRET, PARTS, SITES_SECRET
from kubernetes.client import ApiClient  # type: ignore[import-untyped]

from madvision_assets.defs.compute import k8s_executor_config, op_tags
from madvision_assets.domain.stages import PipelineStep

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deployments" / "kubernetes"
COMPOSE = ROOT / "deployments" / "compose" / "compose.yaml"
DOCUMENT = ROOT / "docs" / "reach.md"
OVERLAYS = ("self-hosted", "aws", "supabase", "helm")
OURS = "madvision-"
# Of a cluster that nobody asks anything.
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: nobody, user: {token: none}}]
"""
SITES_FOLDER = "./sources"
SECRET = re.compile(r"PASSWORD|PASS$|SECRET|TOKEN|_KEY|_URL$|_HEADERS$|S3_ENV")
RENDER_LIMIT_S = 60
NO_SECRET = {"OPENAI_BASE_URL", "MADVISION_STORE_URL", "MADVISION_PUBLIC_URL", "AWS_ENDPOINT_URL", "BACKUP_URL"}
NO_SECRET |= {"MADVISION_INTERNAL_URL", "MADVISION_DAGSTER_URL", "MADVISION_GIT_URL"}  # refused with a user or a query
INTRODUCTION = """# Who may reach and read what

Made by `make reach` of the rendered manifests, of the Jobs that Dagster makes for a run and for each of its stages,
and of `compose.yaml`; `deployments/test_reach.py` fails where it differs from them. Nothing is reached, and
no secret read, but what stands here. Why, and what remains: [security](security.md).
"""


@dataclass(frozen=True)
class Part:
    """What runs, and with what.

    Attributes:
        name: ``intake``, ``raw-video``.
        labels: of its pod.
        account: its service account.
        token: whether the account's token lies in the pod.
        secrets: names of the Secrets that it reads.
    """

    name: str
    labels: Mapping[str, str]
    account: str
    token: bool
    secrets: frozenset[str]

    @property
    def reads(self) -> list[str]:
        """The variables with secrets that its Secrets hold (keys.py)."""
        own = {
            name for part in PARTS if f"{OURS}{part}" in self.secrets for name in PARTS[part] - {"DAGSTER_PG_PASSWORD"}
        }
        return sorted(own | ({"DAGSTER_PG_PASSWORD"} if DAGSTERS_SECRET in self.secrets else set()))

    @property
    def files(self) -> list[str]:
        """The Secret whose files lie in its pod."""
        return [SITES_SECRET] if SITES_SECRET in self.secrets else []


@dataclass(frozen=True)
class Overlay:
    """A system on Kubernetes.

    Attributes:
        name: of the folder.
        objects: what kubectl makes of it.
        parts: all that runs, those of Dagster's chart and Dagster's Jobs too.
    """

    name: str
    objects: tuple[Json, ...]
    parts: tuple[Part, ...]

    def of_kind(self, kind: str) -> dict[str, Json]:
        """Its objects of a kind, by their names."""
        return {each["metadata"]["name"]: each for each in self.objects if each["kind"] == kind}

    def policies_of(self, part: Part) -> dict[str, Json]:
        """The policies that open something to a part, by their names."""
        policies = self.of_kind("NetworkPolicy").items()
        return {
            name: each for name, each in policies if each["spec"].get("egress") and _selects(each["spec"], part.labels)
        }

    def reaches(self, part: Part, address: str, port: int) -> bool:
        """Whether a part may open a TCP connection to an address that is no pod's."""
        there = ipaddress.ip_address(address)
        rules = [rule for each in self.policies_of(part).values() for rule in each["spec"]["egress"]]
        return any(
            any(_opens(peer["ipBlock"], there) for peer in rule["to"] if "ipBlock" in peer)
            and ("ports" not in rule or any(each["port"] == port for each in rule["ports"]))
            for rule in rules
        )

    def rights_of(self, part: Part) -> list[str] | None:
        """What a part may ask of Kubernetes; None where the chart says it."""
        if not part.token:
            return []
        if part.account not in self.of_kind("ServiceAccount"):
            return None
        bound = [
            binding["roleRef"]["name"]
            for binding in self.of_kind("RoleBinding").values()
            if any(subject["name"] == part.account for subject in binding["subjects"])
        ]
        rules = [rule for role in bound for rule in self.of_kind("Role")[role]["rules"]]
        return [f"{verb} {resource}" for rule in rules for resource in rule["resources"] for verb in rule["verbs"]]


def rendered(name: str) -> tuple[Json, ...]:
    """What ``kubectl kustomize`` makes of an overlay.

    Raises:
        subprocess.CalledProcessError: kubectl refuses it.
    """
    command = ["kubectl", "kustomize", str(KUBERNETES / "overlays" / name)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=RENDER_LIMIT_S)
    return tuple(each for each in yaml.safe_load_all(told.stdout) if each)


def read_overlay(name: str) -> Overlay:
    """An overlay with all that runs in it."""
    objects = rendered(name)
    chart = yaml.safe_load((KUBERNETES / "helm" / "values.yaml").read_text()) if name == "helm" else None
    launcher = _chart_launcher(chart) if chart else launcher_of(objects)
    jobs = [("run", dagster_job(launcher, None)), *((step.part, dagster_job(launcher, step)) for step in PipelineStep)]
    parts = [
        *_standing(objects),
        *(_chart_parts(chart) if chart else ()),
        *(_part(part, job["spec"]["template"]) for part, job in jobs),
    ]
    return Overlay(name, objects, tuple(parts))


def dagster_job(launcher: Json, step: PipelineStep | None) -> Json:
    """What dagster-k8s submits for a run, or for a step of it.

    Args:
        launcher: the configuration of the ``K8sRunLauncher``.
        step: None for the run itself.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as kubeconfig:
        kubeconfig.write(KUBECONFIG)
        kubeconfig.flush()
        here = {"load_incluster_config": False, "kubeconfig_file": kubeconfig.name}
        made = K8sRunLauncher(**{**launcher, **here})
    context = K8sContainerContext.create_for_run(dg.DagsterRun(job_name="process_video"), made, include_run_tags=True)
    if step is not None:
        tags = {name: json.dumps(value) for name, value in op_tags(step).items()}  # as Dagster keeps them
        own = get_user_defined_k8s_config(tags)
        context = context.merge(K8sContainerContext(run_k8s_config=own))
        executors = k8s_executor_config(None)["per_step_k8s_config"].get(step.value, {})
        of_step = UserDefinedDagsterK8sConfig.from_dict(executors)  # type: ignore[no-untyped-call]
        context = context.merge(K8sContainerContext(run_k8s_config=of_step))
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config("madvision/pipeline:0.2.0", made),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run",
        component="run_worker" if step is None else "step_worker",
        user_defined_k8s_config=context.run_k8s_config,
        labels={"dagster/op": step.value} if step else {},
    )
    told: Json = ApiClient().sanitize_for_serialization(job)
    return told


def launcher_of(objects: Iterable[Json]) -> Json:
    """How an overlay configures Dagster's run launcher."""
    (instance,) = (each["data"] for each in objects if each["metadata"]["name"] == "madvision-dagster")
    config: Json = yaml.safe_load(instance["dagster.yaml"])["run_launcher"]["config"]
    return config


def _chart_launcher(values: Json) -> Json:
    """What the chart writes into dagster.yaml of its values."""
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    return {
        "job_namespace": given["jobNamespace"],
        "service_account_name": values["global"]["serviceAccountName"],
        "instance_config_map": "madvision-dagster-instance",
        "dagster_home": values["global"]["dagsterHome"],
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "env_config_maps": [each["name"] for each in given["envConfigMaps"]],
        "env_secrets": [each["name"] for each in given["envSecrets"]],
    }


def _standing(objects: Iterable[Json]) -> Iterator[Part]:
    for each in objects:
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in spec.get("template", {}).get("spec", {}):
            yield _part(each["metadata"]["name"].removeprefix(OURS), spec["template"])


def _part(name: str, template: Json) -> Part:
    spec = template["spec"]
    token = spec.get("automountServiceAccountToken", True) is True
    return Part(name, template["metadata"]["labels"], spec["serviceAccountName"], token, frozenset(_secrets_in(spec)))


def _chart_parts(values: Json) -> Iterator[Part]:
    (code,) = values["dagster-user-deployments"]["deployments"]
    account = values["global"]["serviceAccountName"]
    for name, given, its in (
        ("code-server", code, "madvision-dagster-user-deployments-user-deployments"),
        ("webserver", values["dagsterWebserver"], account),
        ("daemon", values["dagsterDaemon"], account),
    ):
        secrets = {each["name"] for each in given["envSecrets"]}
        yield Part(name, given["labels"], its, token=True, secrets=frozenset(secrets | {DAGSTERS_SECRET}))


def _secrets_in(thing: Any) -> Iterator[str]:
    """The names of the Secrets that a pod refers to, as variables or as files."""
    if isinstance(thing, list):
        for each in thing:
            yield from _secrets_in(each)
    elif isinstance(thing, dict):
        for key, value in thing.items():
            if key in {"secretRef", "secretKeyRef"}:
                yield value["name"]
            elif key == "secret":
                yield value["secretName"]
            else:
                yield from _secrets_in(value)


def _selects(spec: Json, labels: Mapping[str, str]) -> bool:
    selector = spec["podSelector"]
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for asked in selector.get("matchExpressions", []):
        is_among = labels.get(asked["key"]) in asked["values"]
        if is_among is not {"In": True, "NotIn": False}[asked["operator"]]:
            return False
    return True


def _opens(block: Json, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    excepted = [ipaddress.ip_network(each) for each in block.get("except", [])]
    return address in ipaddress.ip_network(block["cidr"]) and not any(address in each for each in excepted)


# --- the tables ---


def document() -> str:
    """The whole of docs/reach.md."""
    first, *others = map(read_overlay, OVERLAYS)
    text = [INTRODUCTION, "## Kubernetes\n", _parts_table(first, first.parts), _policies_table(first)]
    for overlay in others:
        differs = [
            part for part in overlay.parts if _row(overlay, part) not in {_row(first, each) for each in first.parts}
        ]
        text.append(
            f"### Overlay `{overlay.name}`\n\nOnly what differs from `self-hosted`, whose tables stand above.\n"
        )
        text += [_parts_table(overlay, differs), _policies_table(overlay, first)]
    return "\n".join(filter(None, [*text, _compose_tables()]))


def _table(*rows: tuple[str, ...]) -> str:
    if len(rows) == 1:
        return ""
    heading, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, ("---",) * len(heading), *body)) + "\n"


def _parts_table(overlay: Overlay, parts: Iterable[Part]) -> str:
    return _table(
        ("part", "reaches", "secrets that it reads", "account", "of Kubernetes"), *(_row(overlay, p) for p in parts)
    )


def _row(overlay: Overlay, part: Part) -> tuple[str, ...]:
    rights = overlay.rights_of(part)
    told = "as the chart says" if rights is None else ", ".join(rights) or "nothing, no token"
    return (
        part.name,
        ", ".join(overlay.policies_of(part)) or "none",
        _listed([*part.reads, *part.files]),
        part.account,
        told,
    )


def _policies_table(overlay: Overlay, other: Overlay | None = None) -> str:
    def told(each: Overlay) -> dict[str, str]:
        policies = each.of_kind("NetworkPolicy").items()
        return {
            name: "; ".join(map(_rule, policy["spec"]["egress"]))
            for name, policy in policies
            if policy["spec"].get("egress")
        }

    known = told(other) if other else {}
    rows = [(name, opens) for name, opens in told(overlay).items() if known.get(name) != opens]
    return _table(("what is reached", "addresses and ports"), *rows)


def _rule(rule: Json) -> str:
    ports = [
        f"{each['port']}/{each['protocol']}" if "protocol" in each else str(each["port"])
        for each in rule.get("ports", [])
    ]
    return f"{', '.join(map(_peer, rule['to']))}: {', '.join(ports) or 'every port'}"


def _peer(peer: Json) -> str:
    if "ipBlock" not in peer:
        chosen = peer.get("podSelector") or peer["namespaceSelector"]
        kind = "pods" if "podSelector" in peer else "namespace"
        return f"{kind} {', '.join(chosen['matchLabels'].values())}"
    block = peer["ipBlock"]
    return f"{block['cidr']} less what is not public" if block.get("except") else str(block["cidr"])


def _listed(names: Iterable[str]) -> str:
    """Names in a cell; those of the store's keys are one."""
    return ", ".join(f"`{name}`" for name in sorted({re.sub(r"^AWS_.*", "AWS_*", name) for name in names})) or "none"


def compose() -> Json:
    """compose.yaml, read."""
    read: Json = yaml.safe_load(COMPOSE.read_text())
    return read


def secrets_of_service(service: Json) -> list[str]:
    """The variables of a service that hold a secret."""
    names = service.get("environment", {})
    return sorted(name for name in names if SECRET.search(name) and name not in NO_SECRET)


def _files_of_service(service: Json) -> list[str]:
    """The folder of a service with files that may be secrets."""
    return [SITES_FOLDER] if any(each.startswith(f"{SITES_FOLDER}:") for each in service.get("volumes", [])) else []


def _compose_tables() -> str:
    read = compose()
    services = [
        (name, ", ".join(each["networks"]), _listed([*secrets_of_service(each), *_files_of_service(each)]))
        for name, each in read["services"].items()
    ]
    networks = []
    for name, network in read["networks"].items():
        inside = (network or {}).get("internal", False)
        leads = (
            "no"
            if inside is True
            else f"no, unless `{_variable(inside)}=false`"
            if inside
            else "to all that the server reaches"
        )
        networks.append((name, leads, ", ".join(s for s, each in read["services"].items() if name in each["networks"])))
    return "\n".join(
        (
            "## One server, with Compose\n",
            _table(("service", "networks", "secrets that it reads"), *services),
            _table(("network", "leads out", "who meets there"), *networks),
        )
    )


def _variable(text: str) -> str:
    found = re.match(r"\$\{(\w+)", text)
    return found[1] if found else text


def main(arguments: list[str]) -> int:
    """Print the tables, or write them."""
    text = document()
    if "--write" in arguments:
        DOCUMENT.write_text(text)
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
