"""Claims about what Dagster sees."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig

from madvision_assets.definitions import build_defs
from madvision_assets.defs import compute
from madvision_assets.defs.assets import PIPELINE
from madvision_assets.defs.partitions import videos
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import Executor, Settings
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.openai_analyst import OpenAIAnalyst
from madvision_assets.work.staleness import code_versions

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(Settings(store_url="memory://"))


def test_the_assets_are_the_five_steps_in_order() -> None:
    assert [asset.key.to_user_string() for asset in PIPELINE] == [step.value for step in PipelineStep]


def test_each_asset_reads_what_the_step_says() -> None:
    for asset in PIPELINE:
        step = PipelineStep(asset.key.to_user_string())
        assert {key.to_user_string() for key in asset.dependency_keys} == {i.value for i in step.inputs}


def test_each_asset_has_what_operators_look_for() -> None:
    for step, asset in zip(PipelineStep, PIPELINE, strict=True):
        spec = asset.get_asset_spec(asset.key)
        assert spec.description
        assert spec.group_name == "madvision"
        assert spec.owners
        assert spec.kinds
        assert spec.code_version
        assert asset.op.output_defs[0].dagster_type.typing_type is step.stage.document
        assert asset.partitions_def is not None
        assert asset.op.pool == step.stage.pool


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, {"raw_video": {"ytdlp", "filesystem"}, "content_type": {"python"}, "transcript": {"whisper", "pytorch"}}),
        (
            {"store_url": "s3://bucket/p", "OPENAI_API_KEY": "sk-of-a-test", "whisper_engine": "api"},
            {"raw_video": {"ytdlp", "s3"}, "content_type": {"openai"}, "transcript": {"api"}},
        ),
    ],
)
def test_the_kinds_of_an_asset_are_what_is_really_used(
    tmp_path: Path, settings: dict[str, Any], kinds: dict[str, set[str]]
) -> None:
    made = build_defs(Settings(_env_file=None, home=tmp_path, **settings))

    for name, expected in kinds.items():
        key = dg.AssetKey(name)
        assert set(made.resolve_assets_def(key).get_asset_spec(key).kinds) == expected


def test_only_the_transcript_goes_to_the_gpu_nodes() -> None:
    for asset in PIPELINE:
        raw = asset.op.tags["dagster-k8s/config"]
        config = json.loads(raw) if isinstance(raw, str) else raw
        wants_gpu = "nvidia.com/gpu" in json.dumps(config)
        assert wants_gpu == (asset.key.to_user_string() == "transcript")
        assert config["job_spec_config"]["backoff_limit"] == 0
        assert config["job_spec_config"]["active_deadline_seconds"] > 0
    transcript = compute.op_tags(PipelineStep.TRANSCRIPT)["dagster-k8s/config"]
    assert transcript["pod_spec_config"]["node_selector"] == compute.GPU_NODE_LABEL
    assert compute.GPU_TAINT in transcript["pod_spec_config"]["tolerations"]


def test_speech_behind_an_api_is_heard_without_a_gpu_by_a_pod_that_reaches_it() -> None:
    own = compute.k8s_executor_config("gpu-image", speech_api=True)["per_step_k8s_config"]["transcript"]
    tags = compute.op_tags(PipelineStep.TRANSCRIPT)["dagster-k8s/config"]
    read: Any = UserDefinedDagsterK8sConfig  # it carries no types
    both = [K8sContainerContext(run_k8s_config=read.from_dict(each)) for each in (tags, own)]

    pod: Any = both[0].merge(both[1]).run_k8s_config

    assert "nvidia.com/gpu" not in json.dumps(pod.to_dict())
    assert not pod.pod_spec_config["node_selector"]
    assert not pod.pod_spec_config["tolerations"]
    assert pod.pod_template_spec_metadata["labels"][compute.REACH_LABEL] == "analyst"
    assert pod.pod_spec_config["service_account_name"] == "madvision-step"
    assert {"secret_ref": {"name": "madvision-transcript"}} in pod.container_config["env_from"]
    plain = compute.k8s_executor_config("gpu-image")["per_step_k8s_config"]["transcript"]
    assert plain == {"container_config": {"image": "gpu-image"}}


def test_the_checks_are_their_assets_own_and_money_is_guarded_by_blocking_ones(definitions: dg.Definitions) -> None:
    known = [key.to_user_string() for key in definitions.resolve_asset_graph().asset_check_keys]
    specs = [spec for asset in PIPELINE for spec in asset.check_specs]

    assert not definitions.asset_checks
    assert {f"{spec.asset_key.to_user_string()}:{spec.name}": spec.blocking for spec in specs} == {
        "raw_video:media_decodes": True,
        "transcript:transcript_covers_speech": False,
        "transcript:transcript_in_order": True,
        "clip_candidates:candidates_fit_transcript": True,
        "clips:clips_match_plan": False,
    }
    assert len(known) == len(specs)
    assert all(spec.description and spec.partitions_def is videos for spec in specs)


@pytest.mark.parametrize(
    ("choice", "name"),
    [(Executor.IN_PROCESS, "in_process"), (Executor.MULTIPROCESS, "multiprocess"), (Executor.K8S, "k8s")],
)
def test_the_executor_is_the_one_asked_for(choice: Executor, name: str) -> None:
    executor = build_defs(Settings(executor=choice, store_url="memory://")).executor

    assert isinstance(executor, dg.ExecutorDefinition)
    assert executor.name == name


@pytest.mark.whole
def test_dg_checks_the_definitions_and_lists_them(tmp_path: Path) -> None:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)  # which says: no telemetry
    programs = Path(sys.executable).parent
    environment = {
        "DAGSTER_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "PATH": f"{programs}:/usr/bin:/bin",
        "VIRTUAL_ENV": str(programs.parent),
    }

    def run_dg(*words: str) -> str:
        return subprocess.run(
            ["dg", *words], cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=LIMIT_S
        ).stdout

    assert "All definitions loaded successfully." in run_dg("check", "defs")
    assert {each["asset_key"] for each in json.loads(run_dg("list", "defs", "--json"))["assets"]} == {
        *PipelineStep,
        "catalogue",
    }


@pytest.mark.parametrize("key", [None, "sk-test"])
def test_stages_have_the_version_of_whatever_decides_what_they_come_to(key: str | None) -> None:
    settings = Settings(store_url="memory://", openai_api_key=key, _env_file=None)
    analyst = OpenAIAnalyst("sk-test") if key else OfflineAnalyst()
    assets = build_defs(settings).resolve_all_asset_specs()

    names = {spec.key.to_user_string(): spec.code_version for spec in assets}
    versions = {PipelineStep(name): version for name, version in names.items() if name != "catalogue"}
    assert versions == code_versions(analyst)
