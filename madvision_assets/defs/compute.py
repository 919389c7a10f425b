"""What each stage runs on: pools, Kubernetes tags and retry policies, each with its reason."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg

from madvision_assets.defs import dagster_inside
from madvision_assets.domain.queue import PipelineStep

# Pools bound what runs at once over all runs; why each does, `madvision pools` tells (defs/pools.py).
POOLS: Mapping[PipelineStep, str] = MappingProxyType(
    {
        PipelineStep.RAW_VIDEO: "download",
        PipelineStep.TRANSCRIPT: "gpu",
        PipelineStep.CONTENT_TYPE: "llm",
        PipelineStep.CLIP_CANDIDATES: "llm",
        PipelineStep.CLIPS: "render",
    }
)

# One GPU here, two encoders a machine: a larger installation sets its own.
POOL_LIMITS: Mapping[str, int] = MappingProxyType({"download": 4, "gpu": 1, "llm": 4, "render": 2})


def limit_pools(instance: dg.DagsterInstance) -> None:
    """Give each pool that has no limit yet ours; one that an operator has set stays."""
    for pool in POOL_LIMITS.keys() - dagster_inside.pool_limits(instance).keys():
        dagster_inside.limit_pool(instance, pool, POOL_LIMITS[pool])


# The transcript alone needs a GPU; the taint keeps everything else off those nodes.
GPU_NODE_LABEL = {"madvision.io/node-pool": "gpu"}
GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
GPU_RESOURCES = {"nvidia.com/gpu": "1"}

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
# A preempted or evicted pod is retried by its policy; the job itself must not (Dagster issue 33755).
JOB_SPEC = {"backoff_limit": 0, "ttl_seconds_after_finished": 3600}


def _k8s(requests: dict[str, str], limits: dict[str, str], deadline_s: int, **pod: object) -> dict[str, Any]:
    """The tag of a stage; a pod that waits for its node uses up the deadline too."""
    return {
        "dagster-k8s/config": {
            "container_config": {"resources": {"requests": requests, "limits": limits}},
            "pod_template_spec_metadata": {"annotations": STAY},
            "pod_spec_config": {**STEP_POD, **pod},
            "job_spec_config": {**JOB_SPEC, "active_deadline_seconds": deadline_s},
        }
    }


# Disk is for the scratch folder: the video as it comes and as it is kept, the clips.
OP_TAGS: Mapping[PipelineStep, dict[str, Any]] = MappingProxyType(
    {
        PipelineStep.RAW_VIDEO: _k8s(
            {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "10Gi"},
            {"memory": "2Gi", "ephemeral-storage": "60Gi"},
            3 * 3600,
        ),
        PipelineStep.TRANSCRIPT: _k8s(
            {"cpu": "2", "memory": "8Gi"},
            {"memory": "16Gi", **GPU_RESOURCES},
            4 * 3600,
            node_selector=GPU_NODE_LABEL,
            tolerations=[GPU_TAINT],
        ),
        PipelineStep.CONTENT_TYPE: _k8s({"cpu": "250m", "memory": "512Mi"}, {"memory": "1Gi"}, 1800),
        PipelineStep.CLIP_CANDIDATES: _k8s({"cpu": "250m", "memory": "512Mi"}, {"memory": "1Gi"}, 1800),
        PipelineStep.CLIPS: _k8s(
            {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "5Gi"},
            {"memory": "4Gi", "ephemeral-storage": "60Gi"},
            2 * 3600,
        ),
    }
)


def k8s_executor_config(gpu_image: str | None) -> dict[str, Any]:
    """What ``k8s_job_executor`` is told beyond the tags of the stages.

    Args:
        gpu_image: image of the transcript's pod; None for that of the others.
    """
    image = {PipelineStep.TRANSCRIPT.value: {"container_config": {"image": gpu_image}}} if gpu_image else {}
    # With its owner gone, a step's pod goes too, and holds no GPU for a run that was lost.
    return {"enable_owner_references": True, "per_step_k8s_config": image}


# For a lost pod only: failures of the taxonomy leave an asset with retries forbidden, since the queue owns those.
LOST_WORKER_POLICY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL)
