"""Claims about the system on Kubernetes: the manifests as they are, Dagster's real launcher and executor, real pods.

The cluster is ours (``madvision_assets_tests/cluster``): a real API server over HTTP with roles enforced, whose pods
are processes. It begins without a GPU node, as one that has scaled to zero; the node comes once its pod waits, and in
the middle of the transcript the pod is preempted.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import dagster as dg
import httpx
import pytest
from parts import has_loaded
from reach import read_overlay

from madvision_assets.defs.compute import REACH_LABEL
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep, Pool
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.store.documents import read_current
from madvision_assets_tests.cluster import PodRecord
from madvision_assets_tests.cluster.kubelet import PREEMPTED
from madvision_assets_tests.databases import history
from madvision_assets_tests.deployments.staging import GPU_NODE, OVERLAY, Staged, staged
from madvision_assets_tests.deployments.test_kubernetes_manifests import CHECK, NEEDS_KUBECTL, values_of
from madvision_assets_tests.real_servers import S3Request, S3Server
from madvision_assets_tests.waiting import wait_for

STAGE_LIMIT_S = 120
GPU_IMAGE, IMAGE = "madvision/gpu:0.2.0", "madvision/pipeline:0.2.0"

pytestmark = [
    pytest.mark.whole,
    NEEDS_KUBECTL,
    pytest.mark.timeout(400),
]


@dataclass(frozen=True)
class Story:
    """What became of the sample talk.

    Attributes:
        video_id: of the talk.
        status: what its submitter was told at the end.
        waited: what the cluster said of the transcript's pod while there was no GPU node.
        doctor: what ``madvision doctor`` said of it.
        requests: what the store was asked for.
    """

    system: Staged
    video_id: str
    status: dict[str, Any]
    waited: str
    doctor: str
    requests: list[S3Request]

    def pods_of(self, step: PipelineStep) -> list[PodRecord]:
        """The pods that a stage had, in their order."""
        return [pod for pod in self.system.cluster.history if pod.labels.get("dagster/op") == step]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, s3_server: S3Server) -> Iterator[Story]:
    """The sample talk, submitted over HTTP and followed to its end."""
    before = len(s3_server.requests())
    with staged(tmp_path_factory.mktemp("cluster"), postgres_url, s3_server) as system:
        video_id, token = system.submit()
        waited = wait_for(lambda: unschedulable(system), STAGE_LIMIT_S, "a transcript that waits for a GPU node")
        doctor = system.doctor()
        system.cluster.add_node(GPU_NODE)
        system.wait_heard(video_id)
        (pod,) = system.pods(PipelineStep.TRANSCRIPT)
        system.cluster.preempt(pod)
        system.wait_for_end(video_id)
        bearer = {"Authorization": f"Bearer {token}"}
        status = httpx.get(f"{system.intake}/public/video/status", headers=bearer).raise_for_status().json()
        yield Story(system, video_id, status, waited, doctor, s3_server.requests()[before:])


def unschedulable(system: Staged) -> str:
    """Why the transcript's pod is not scheduled; empty where it is none of that."""
    for pod in system.cluster.pods(labels={"dagster/op": PipelineStep.TRANSCRIPT.value}):
        for condition in pod["status"].get("conditions", []):
            if condition.get("reason") == "Unschedulable":
                return str(condition["message"])
    return ""


def test_a_submission_becomes_clips(story: Story) -> None:
    assert story.status["status"] == QueueStatus.DONE
    assert story.status["retry"] == 0
    for clip in story.status["clips"]:
        address = f"{story.system.intake}{httpx.URL(clip['url']).path}"
        assert len(httpx.get(address, follow_redirects=True).raise_for_status().content) > 10_000


def test_the_transcript_alone_is_on_the_gpu_node_and_in_the_gpu_image(story: Story) -> None:
    places = {
        (pod.labels["dagster/op"], pod.node, pod.image)
        for pod in story.system.cluster.history
        if "dagster/op" in pod.labels
    }
    heard = {place for place in places if place[0] == PipelineStep.TRANSCRIPT}

    assert heard == {(PipelineStep.TRANSCRIPT, "gpu-1", GPU_IMAGE)}
    assert {place[0] for place in places - heard} >= set(PipelineStep) - {PipelineStep.TRANSCRIPT}
    assert {place[1:] for place in places - heard} == {("cpu-1", IMAGE)}


def test_a_transcript_waits_for_its_node_and_the_cluster_says_for_what(story: Story) -> None:
    assert story.waited == "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."


def test_the_doctor_says_what_a_transcript_waits_for_and_what_to_do(story: Story) -> None:
    (told,) = [line for line in story.doctor.splitlines() if "cluster" in line]

    assert "nvidia.com/gpu" in told
    assert "Add a node" in told
    assert "madvision.io/node-pool" in told


def test_a_preempted_transcript_costs_one_try_more_and_nothing_else(story: Story) -> None:
    taken, heard = story.pods_of(PipelineStep.TRANSCRIPT)
    made = Counter(row.asset for row in story.system.database.lineage_of(story.video_id))

    assert (taken.pod["status"]["reason"], heard.phase) == (PREEMPTED, "Succeeded")
    assert made == Counter(PipelineStep)
    assert [len(story.pods_of(step)) for step in PipelineStep] == [1, 2, 1, 1, 1]
    with story.system.instance() as instance:
        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.SUCCESS
    (attempt,) = history(story.system.database, story.video_id)
    assert (attempt["attempt"], attempt["failure_cause"]) == (1, None)


def test_every_job_that_dagster_submits_is_valid_and_never_repeats_itself(story: Story) -> None:
    for job in story.system.cluster.submitted_jobs:
        assert list(CHECK.kubernetes_findings(job)) == []
        if job["metadata"]["labels"]["app.kubernetes.io/name"] == "dagster":
            assert job["spec"]["backoffLimit"] == 0
            assert job["spec"]["activeDeadlineSeconds"] > 0
            assert job["spec"]["ttlSecondsAfterFinished"] > 0


def test_roles_grant_all_that_is_asked_of_the_cluster(story: Story) -> None:
    assert story.system.cluster.refused == []


def test_the_pods_that_ran_had_the_secrets_the_account_and_the_reach_that_the_document_tells(story: Story) -> None:
    told = {part.name: part for part in read_overlay(OVERLAY).parts}
    ran = {}
    for pod in story.system.cluster.history:
        labels, spec = pod.labels, pod.pod["spec"]
        component = labels["app.kubernetes.io/component"]
        step = labels.get("dagster/op", "").replace("_", "-")
        part = told[{"run_worker": "run", "step_worker": step}.get(component, component)]
        ran[part.name] = pod
        mounted = {each["secret"]["secretName"] for each in spec.get("volumes", []) if "secret" in each}
        assert {*values_of(spec, "secretRef", "secretKeyRef"), *mounted} == part.secrets, part.name
        assert (spec["serviceAccountName"], labels.get(REACH_LABEL)) == (part.account, part.labels.get(REACH_LABEL))

    assert ran.keys() == told.keys()


def test_the_gpu_pods_fetch_the_audio_and_no_video(story: Story) -> None:
    pods = story.pods_of(PipelineStep.TRANSCRIPT)
    document = read_current(story.system.store, RawVideo, story.video_id)
    fetched: Counter[str] = Counter()
    for request in story.requests:
        if request.method == "GET" and any(lived(pod, request.at_s) for pod in pods):
            fetched[request.path.partition("?")[0].rpartition(f"/{story.video_id}/")[2]] += request.sent_bytes
    audio = PurePosixPath(document.audio.key).name

    assert fetched[audio] <= len(pods) * document.audio.size_bytes
    assert sum(fetched.values()) - fetched[audio] < 100_000  # documents
    assert PurePosixPath(document.media.key).name not in fetched


def test_logs_of_runs_and_stages_are_in_the_store(story: Story) -> None:
    with story.system.instance() as instance:
        (run,) = instance.get_runs()
    puts = [request.path for request in story.requests if request.method == "PUT" and "/dagster/" in request.path]

    assert any(run.run_id in path for path in puts)


def test_nothing_is_held_when_a_run_has_ended(story: Story) -> None:
    with story.system.instance() as instance:
        pools = {name: instance.event_log_storage.get_concurrency_info(name) for name in map(str, Pool)}
    assert {name: pool.active_slot_count + pool.pending_step_count for name, pool in pools.items()} == dict.fromkeys(
        map(str, Pool), 0
    )


def test_the_dagster_ui_shows_the_code_location(story: Story) -> None:
    assert has_loaded(story.system.ui)


def lived(pod: PodRecord, at_s: float) -> bool:
    """Whether a pod ran at that time, seconds since the epoch."""
    assert pod.started is not None
    return pod.started.timestamp() <= at_s <= (pod.ended.timestamp() + 1 if pod.ended else math.inf)
