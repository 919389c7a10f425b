"""The manifests of deployments/kubernetes on the test cluster: rendered by kubectl, changed where loopback demands it.

What changes: addresses of services (all pods share one network), the way to the API server (no service account is
mounted), one intake instead of several (they would share a port), and what an operator sets anyway.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import yaml  # type: ignore[import-untyped]
from keys import secrets_of
from parts import site
from reach import rendered
from sqlalchemy import create_engine, make_url, text
from system import MODEL, SAMPLE

from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.cluster import Cluster, Node, Taint
from madvision_assets_tests.real_servers import S3Server, free_port, over_tcp
from madvision_assets_tests.stores import s3_settings
from madvision_assets_tests.waiting import wait_for

OVERLAY = "self-hosted"
ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
IMAGES = {f"madvision/{name}:0.2.0" for name in ("pipeline", "gpu", "intake")}
GPU_NODE = Node(
    "gpu-1",
    {"madvision.io/node-pool": "gpu"},
    taints=[Taint("nvidia.com/gpu", "present", "NoSchedule")],
    gpus=1,
)
CPU_NODE = Node("cpu-1", {})
START_LIMIT_S = 120
STAGE_LIMIT_S = 420
TERMINATE = """
mutation Terminate($runs: [String!]!) {
  terminateRuns(runIds: $runs) { ... on TerminateRunsResult { terminateRunResults { __typename } } }
}
"""
PORTS = {"intake": 8000, "code-server": 4266, "daemon": 4267, "webserver": 3000}


@dataclass(frozen=True)
class Staged:
    """The system on a cluster.

    Attributes:
        store: documents and media.
        dagster_url: where Dagster keeps its state.
        variables: what an operator set.
        intake: address of the intake.
        ui: of the Dagster UI.
        sample: address of the sample talk.
    """

    cluster: Cluster
    database: Database
    store: ObjectStore
    dagster_url: str
    variables: Mapping[str, str]
    intake: str
    ui: str
    sample: str

    @property
    def queue(self) -> Queue:
        """The table that is the truth."""
        return Queue(self.database)

    def submit(self) -> tuple[str, str]:
        """Submit the sample talk; its video ID and the submitter's token."""
        receipt = (
            httpx.post(f"{self.intake}/public/video", json={"url": self.sample}, timeout=30).raise_for_status().json()
        )
        return receipt["video_id"], receipt["token"]

    def is_final(self, video_id: str) -> bool:
        """Whether nothing more happens to a video."""
        row = self.queue.get(video_id)
        return row is not None and row.status.is_final

    def pods(self, step: PipelineStep | None = None) -> list[str]:
        """Names of the pods of runs that have not ended, those of a stage alone where one is named."""
        labels = {"app.kubernetes.io/name": "dagster", **({"dagster/op": step.value} if step else {})}
        found = self.cluster.pods(labels=labels)
        return [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] in {"Pending", "Running"}]

    def wait_heard(self, video_id: str) -> None:
        """Wait until a worker is in the middle of the transcript."""

        def is_heard() -> bool:
            row = self.queue.get(video_id)
            return row is not None and row.pipeline_step is PipelineStep.TRANSCRIPT and "hear" in row.message

        wait_for(is_heard, STAGE_LIMIT_S, f"{video_id} in the middle of its transcript")

    def wait_for_end(self, video_id: str) -> None:
        """Wait until nothing more happens to a video, and no pod is left of its runs."""
        wait_for(lambda: self.is_final(video_id) and not self.pods(), STAGE_LIMIT_S, f"the end of {video_id}")

    def terminate(self, run_id: str) -> None:
        """Stop a run, as the Dagster UI does."""
        asked = {"query": TERMINATE, "variables": {"runs": [run_id]}}
        told = httpx.post(f"{self.ui}/graphql", json=asked, timeout=60).raise_for_status().json()
        (result,) = told["data"]["terminateRuns"]["terminateRunResults"]
        assert result["__typename"] == "TerminateRunSuccess", result

    def doctor(self) -> str:
        """What ``madvision doctor`` says in the code server's pod, and with its rights."""
        (pod,) = self.cluster.pods(labels={"app.kubernetes.io/component": "code-server"})
        kubeconfig = self.cluster.kubeconfig.with_name("code-server")
        self.cluster._write_kubeconfig(pod, kubeconfig)
        here = {"PATH": os.environ["PATH"], "COLUMNS": "500", "KUBECONFIG": str(kubeconfig)}
        command = [sys.executable, "-m", "madvision_assets.command.main", "doctor"]
        told = subprocess.run(
            command, env={**here, **self.variables}, check=False, capture_output=True, text=True, timeout=60
        )
        return told.stdout

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's instance, for somebody who only looks."""
        with tempfile.TemporaryDirectory() as folder:
            settings = {"storage": {"postgres": {"postgres_url": self.dagster_url}}, "telemetry": {"enabled": False}}
            Path(folder, "dagster.yaml").write_text(yaml.safe_dump(settings))
            with dg.DagsterInstance.from_config(folder) as instance:
                yield instance


@contextmanager
def staged(folder: Path, postgres_url: str, s3: S3Server) -> Iterator[Staged]:
    """Apply the manifests to a cluster without a GPU node, as one that has scaled to zero; until the intake answers."""
    names = {name: f"{name}_{secrets.token_hex(4)}" for name in ("madvision", "dagster")}
    with databases(postgres_url, *names.values()), site(SAMPLE.parent) as address:
        server = make_url(over_tcp(postgres_url))
        url = server.set(database=names["madvision"]).render_as_string(hide_password=False)
        ports = {part: free_port() for part in PORTS}
        variables = {
            **s3.environment(),
            "MADVISION_STORE_URL": f"s3://{names['madvision'].replace('_', '-')}/store",
            "MADVISION_LOG_BUCKET": names["madvision"].replace("_", "-"),
            "DAGSTER_PG_HOST": LOOPBACK,
            "DAGSTER_PG_PORT": str(server.port),
            "DAGSTER_PG_USERNAME": "postgres",
            "DAGSTER_PG_DB": names["dagster"],
            "MADVISION_WHISPER_MODEL": MODEL,
            "MADVISION_ANALYST": "offline",
            "MADVISION_ALLOW_PRIVATE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        s3.create_bucket(variables["MADVISION_LOG_BUCKET"])
        keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        given = {
            "MADVISION_DATABASE_URL": url,
            "DAGSTER_PG_PASSWORD": str(server.password),
            **{name: variables.pop(name) for name in keys},
        }
        database = Database(url)
        programs = Path(sys.executable).parent
        with Cluster(folder, nodes=[CPU_NODE], images=IMAGES, programs=programs, rbac=True) as cluster:
            objects = [on_loopback(each, variables, ports) for each in rendered(OVERLAY)]
            cluster.apply([each for each in objects if each["kind"] == "Namespace"])
            cluster.apply(secrets_of(given))
            cluster.apply(objects)
            intake = f"http://{LOOPBACK}:{ports['intake']}"
            wait_for(lambda: answers(f"{intake}/readyz"), START_LIMIT_S, "the intake")
            dagster_url = server.set(database=names["dagster"]).render_as_string(hide_password=False)
            yield Staged(
                cluster,
                database,
                ObjectStore.from_url(variables["MADVISION_STORE_URL"], s3=s3_settings(s3)),
                dagster_url,
                {
                    **variables,
                    **given,
                    "MADVISION_EXECUTOR": "k8s",
                    "MADVISION_HOME": str(folder),
                },
                intake,
                ui=f"http://{LOOPBACK}:{ports['webserver']}",
                sample=f"{address}/{SAMPLE.name}",
            )
        database.engine.dispose()


def answers(address: str) -> bool:
    """Whether somebody answers there, and well."""
    try:
        return httpx.get(address, timeout=5).is_success
    except httpx.TransportError:
        return False


@contextmanager
def databases(postgres_url: str, *names: str) -> Iterator[None]:
    """New databases, dropped at the end."""
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        for name in names:
            connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield
    finally:
        with server.connect() as connection:
            for name in names:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


def on_loopback(given: dict[str, Any], variables: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, Any]:
    """An object of the manifests, changed for one machine and no more."""
    name, kind = given["metadata"]["name"], given["kind"]
    if (kind, name) == ("ConfigMap", "madvision-env"):
        given["data"] |= variables
    elif (kind, name) == ("ConfigMap", "madvision-dagster"):
        instance = yaml.safe_load(given["data"]["dagster.yaml"])
        instance["run_launcher"]["config"]["load_incluster_config"] = False
        given["data"]["dagster.yaml"] = yaml.safe_dump(instance)
        server = f"{{host: {LOOPBACK}, port: {ports['code-server']}, location_name: madvision}}"
        given["data"]["workspace.yaml"] = f"load_from:\n  - grpc_server: {server}\n"
    elif kind == "Deployment":
        part = name.removeprefix("madvision-")
        given["spec"]["replicas"] = 1
        if part in PORTS:
            moved: dict[str, Any] = _with_port(given, PORTS[part], ports[part])
            return moved
    return given


def _with_port(value: Any, default: int, port: int) -> Any:
    if isinstance(value, dict):
        return {key: _with_port(each, default, port) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_port(each, default, port) for each in value]
    if value in (default, str(default)):
        return type(value)(port)
    return value
