"""What each stage runs on, as Dagster and Kubernetes are told: pools, tags, retries. The needs are the stages' own."""

from dataclasses import replace
from typing import Any

import dagster as dg

from madvision_assets.defs import dagster_inside
from madvision_assets.domain.stages import HEARS_BY_API, LAST_STEP, Needs, PipelineStep, Pool, Reach


def limit_pools(instance: dg.DagsterInstance) -> None:
    """Give each pool that has no limit yet ours; one that an operator has set stays."""
    for pool in set(Pool) - dagster_inside.pool_limits(instance).keys():
        dagster_inside.limit_pool(instance, pool.value, pool.limit)


# The taint keeps everything else off those nodes.
GPU_NODE_LABEL = {"madvision.io/node-pool": "gpu"}
GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
GPU_RESOURCES = {"nvidia.com/gpu": "1"}
# What a stage may reach; the network policies go by it (deployments/kubernetes/base/network.yaml).
REACH_LABEL = "madvision.io/reach"
DISK = "ephemeral-storage"
# Where sources.toml lies in a pod, and beside it what it refers to: file:/etc/madvision/site-secrets/NAME.
ETC, SOURCES, SITE_SECRETS = "/etc/madvision", "madvision-sources", "site-secrets"

# Step pods may use the store and nothing of Kubernetes; when room is short, they give way to the standing parts.
STEP_POD = {
    "service_account_name": "madvision-step",
    "automount_service_account_token": False,
    "priority_class_name": "madvision-step",
}
# Work under way is not moved to pack nodes more tightly: moved is begun again.
STAY = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
CATALOGUE_NEEDS = Needs(
    cores=0.5,
    memory_gib=(0.5, 2),
    disk_gib=None,
    gpu=False,
    reach=Reach.NOTHING,
    secrets=frozenset(),
    deadline_s=6 * 3600,
)
# A preempted or evicted pod is retried by its policy; the job itself must not (Dagster issue 33755).
JOB_SPEC = {"backoff_limit": 0, "ttl_seconds_after_finished": 3600}
ERRAND_NEEDS = replace(CATALOGUE_NEEDS, cores=0.25, memory_gib=(0.5, 1), deadline_s=600)


def op_tags(step: PipelineStep) -> dict[str, Any]:
    """The tags of a stage: what its pod is made of; a pod that waits for its node uses up the deadline too."""
    return {"dagster-k8s/config": _pod(step, step.stage.needs)}


def errand_tags() -> dict[str, Any]:
    """Of what asks our database for a moment: its pod is that of the last stage, but smaller."""
    return {"dagster-k8s/config": _pod(LAST_STEP, ERRAND_NEEDS)}


def catalogue_tags() -> dict[str, Any]:
    """Likewise, of the asset ``catalogue``: database and store are all that it reads, as of the last stage."""
    return {"dagster-k8s/config": _pod(LAST_STEP, CATALOGUE_NEEDS)}


def _pod(step: PipelineStep, needs: Needs) -> dict[str, Any]:
    memory, disk = needs.memory_gib, needs.disk_gib
    requests = {"cpu": _cpu(needs.cores), "memory": _gib(memory[0]), **({DISK: _gib(disk[0])} if disk else {})}
    limits = {"memory": _gib(memory[1]), **({DISK: _gib(disk[1])} if disk else {})}
    pod: dict[str, Any] = dict(STEP_POD)
    if needs.gpu:
        limits |= GPU_RESOURCES
        pod |= {"node_selector": GPU_NODE_LABEL, "tolerations": [GPU_TAINT]}
    container = {"resources": {"requests": requests, "limits": limits}, "env_from": _variables(step)}
    return {
        "container_config": container,
        "pod_template_spec_metadata": {"annotations": STAY, "labels": {REACH_LABEL: needs.reach.value}},
        "pod_spec_config": pod,
        "job_spec_config": {**JOB_SPEC, "active_deadline_seconds": needs.deadline_s},
        # These in place of the run's: merged deeply, the pod would have the run's secrets too.
        "merge_behavior": "SHALLOW",
    }


def _variables(step: PipelineStep) -> list[dict[str, dict[str, str]]]:
    """Where the pod's variables come from: what all have, and the stage's own Secret (deployments/reach/keys.py)."""
    return [{"config_map_ref": {"name": "madvision-env"}}, {"secret_ref": {"name": f"madvision-{step.part}"}}]


def _cpu(cores: float) -> str:
    return f"{cores:g}" if cores >= 1 else f"{cores * 1000:g}m"


def _gib(size: float) -> str:
    return f"{size:g}Gi" if size >= 1 else f"{size * 1024:g}Mi"


def k8s_executor_config(gpu_image: str | None, *, speech_api: bool = False) -> dict[str, Any]:
    """What ``k8s_job_executor`` is told beyond the tags of the stages.

    Args:
        gpu_image: image of the pods on GPUs; None for that of the others.
        speech_api: speech is heard behind an API: by a pod without a GPU, which reaches what the analyst's do.
    """
    on_gpu = [step for step in PipelineStep if step.stage.needs.gpu]
    own: dict[str, dict[str, Any]] = {}
    if gpu_image:
        own = {step.value: {"container_config": {"image": gpu_image}} for step in on_gpu}
    if speech_api:
        own = {step.value: _on_a_usual_node(_pod(step, HEARS_BY_API)) for step in on_gpu}
    own |= {step.value: _sites() for step in PipelineStep if step.stage.needs.reach is Reach.INTERNET}
    # With its owner gone, a step's pod goes too, and holds no GPU for a run that was lost.
    return {"enable_owner_references": True, "per_step_k8s_config": own}


def _sites() -> dict[str, Any]:
    """What is said of sites, and the files with secrets that it refers to, where there are any: for whoever downloads.

    Added to the pod's own volumes and variables.
    """
    volumes = [
        {"name": "sources", "config_map": {"name": SOURCES}},
        {"name": SITE_SECRETS, "secret": {"secret_name": f"madvision-{SITE_SECRETS}", "optional": True}},
    ]
    mounts = [
        {"name": "sources", "mount_path": f"{ETC}/sources", "read_only": True},
        {"name": SITE_SECRETS, "mount_path": f"{ETC}/{SITE_SECRETS}", "read_only": True},
    ]
    variable = {"name": "MADVISION_SOURCES_FILE", "value": f"{ETC}/sources/sources.toml"}
    return {
        "container_config": {"env": [variable], "volume_mounts": mounts},
        "pod_spec_config": {"volumes": volumes},
    }


def _on_a_usual_node(pod: dict[str, Any]) -> dict[str, Any]:
    """Without what the stage's own tags say of nodes with GPUs, which an absent key would leave."""
    return {**pod, "pod_spec_config": {**pod["pod_spec_config"], "node_selector": {}, "tolerations": []}}


# For a lost pod only: failures of the taxonomy leave an asset with retries forbidden, since the queue owns those.
LOST_WORKER_POLICY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL)
