"""Claims about where links of the Dagster UI lead: to a video and its clips in the intake, and to lines of code."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]

from madvision_assets.definitions import build_defs
from madvision_assets.defs.links import Links
from madvision_assets.domain.failures import NotFoundError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Options
from madvision_assets.settings import Settings
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.intake.serving import Intake, serving, settings_in

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-the-operators"
WORDS = "What one remembers of a talk is a sentence that surprises and that one can repeat to somebody else."
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "https://github.com/our-organisation/madvision"
INSTANCES = ("dagster.yaml", "deployments/compose/dagster.yaml", "deployments/kubernetes/base/dagster.yaml")
# Of dagster.yaml what asks for servers.
ELSEWHERE = {"storage", "compute_logs", "local_artifact_storage", "run_launcher"}


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    with serving(settings_in(tmp_path, internal_key=KEY)) as running:
        yield running


@pytest.fixture
def harness(tmp_path: Path, media: Path, intake: Intake) -> Iterator[Harness]:
    """Of the same home, where operators reach that intake."""
    with open_harness(tmp_path, media, internal_url=f"http://127.0.0.1:{intake.port}/", internal_key=KEY) as made:
        made.tools.words = WORDS
        yield made


def told(harness: Harness, step: PipelineStep) -> Mapping[str, dg.MetadataValue[Any]]:
    """What the newest materialisation of a stage tells."""
    event = harness.instance.get_latest_materialization_event(dg.AssetKey(step.value))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata


def links(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, str]:
    return {name: str(each.value) for name, each in metadata.items() if isinstance(each, dg.UrlMetadataValue)}


def everything(harness: Harness) -> str:
    """All that Dagster keeps of the runs, as it keeps it."""
    entries: list[Any] = [entry for each in harness.instance.get_run_ids() for entry in harness.instance.all_logs(each)]
    kept = [entry.to_json() for entry in entries]
    return "\n".join([*kept, *(str(run.tags) for run in harness.instance.get_runs())])


@pytest.mark.whole
def test_links_of_a_run_lead_to_the_video_and_play_its_clips_for_whoever_has_the_key(
    harness: Harness, intake: Intake
) -> None:
    receipt = harness.submit(options=Options(min_clip_s=1, max_clip_s=5))
    harness.tick()

    pages = {links(told(harness, step))["page"] for step in PipelineStep}
    clips = {name: url for name, url in links(told(harness, PipelineStep.CLIPS)).items() if name != "page"}

    assert list(clips) == ["clip_01"]
    [page] = pages
    shown = intake.client.get(page, auth=("anybody", KEY))
    assert shown.status_code == 200
    assert "What we learned" in shown.text
    part = intake.client.get(clips["clip_01"], auth=("anybody", KEY), headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.headers["content-type"], part.content) == (206, "video/mp4", b"ftyp")
    for url in (page, *clips.values()):
        assert intake.client.get(url).status_code == 401
    kept = everything(harness)
    assert page in kept
    assert KEY not in kept
    assert receipt.token not in kept


@pytest.mark.whole
def test_a_try_that_made_nothing_leads_to_the_video_too(harness: Harness, intake: Intake) -> None:
    harness.submit()
    harness.tools.plan(PipelineStep.RAW_VIDEO, NotFoundError("404"))
    harness.tick()

    [observed] = harness.instance.fetch_observations(dg.AssetKey("raw_video"), limit=9).records

    assert observed.asset_observation is not None
    page = links(observed.asset_observation.metadata)["page"]
    assert "not_found" in intake.client.get(page, headers={"Authorization": f"Bearer {KEY}"}).text


@pytest.mark.whole
def test_where_nobody_said_where_the_intake_is_there_are_no_links(tmp_path: Path, media: Path) -> None:
    with open_harness(tmp_path, media, public_url="https://clips.example.org") as harness:
        harness.tools.words = WORDS
        harness.submit(options=Options(min_clip_s=1, max_clip_s=5))
        harness.tick()

        assert [links(told(harness, step)) for step in PipelineStep] == [{}] * len(PipelineStep)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://127.0.0.1:8000/"])
def test_a_link_has_one_slash_wherever_the_intake_is(url: str) -> None:
    [page] = links(Links(url).video("web-a")).values()

    assert page == f"{url.rstrip('/')}/internal/video/web-a"


# --- code ---


def code_of(definitions: dg.Definitions) -> dict[str, list[Any]]:
    """The code references of each asset."""
    found = {spec.key.to_user_string(): spec.metadata for spec in definitions.resolve_all_asset_specs()}
    return {
        name: list(told["dagster/code_references"].code_references) if "dagster/code_references" in told else []
        for name, told in found.items()
    }


def made(**given: Any) -> dg.Definitions:
    return build_defs(Settings(_env_file=None, store_url="memory://", **given))


@pytest.mark.parametrize(
    ("url", "tree"),
    [
        (REPOSITORY, f"{REPOSITORY}/tree/{COMMIT}"),
        (f"{REPOSITORY}.git", f"{REPOSITORY}/tree/{COMMIT}"),
        ("https://gitlab.example.org/us/madvision/", f"https://gitlab.example.org/us/madvision/-/tree/{COMMIT}"),
        ("https://gitlab.example.org/us/madvision/-", f"https://gitlab.example.org/us/madvision/-/tree/{COMMIT}"),
        ("https://git.example.org/us/madvision/-/", f"https://git.example.org/us/madvision/-/tree/{COMMIT}"),
    ],
)
def test_each_asset_leads_to_its_lines_at_the_commit_that_runs(url: str, tree: str) -> None:
    for name, references in code_of(made(git_url=url, revision=COMMIT)).items():
        [reference] = references
        path, line = re.fullmatch(rf"{re.escape(tree)}/(\S+)#L(\d+)", reference.url).groups()  # type: ignore[union-attr]
        first, *following = (ROOT / path).read_text().splitlines()[int(line) - 1 :]
        assert first.startswith(("@asset_of(", "@dg.asset("))
        assert next(each for each in following if each.startswith("def ")).startswith(f"def {name}(")


@pytest.mark.parametrize("given", [{}, {"git_url": REPOSITORY, "revision": COMMIT}])
def test_where_the_code_lies_on_this_machine_is_told_nowhere(given: dict[str, Any]) -> None:
    metadata = [str(spec.metadata) for spec in made(**given).resolve_all_asset_specs()]

    assert not [each for each in metadata if str(ROOT) in each or "LocalFile" in each]
    assert all(code_of(made(**given)).values()) == bool(given)


def test_clips_are_expected_only_where_somebody_says_how_often() -> None:
    expecting = {
        spec.key.to_user_string(): spec.freshness_policy
        for spec in made(clips_expected_hours=24).resolve_all_asset_specs()
    }
    usual = {spec.freshness_policy for spec in made().resolve_all_asset_specs()}

    assert usual == {None}
    assert [name for name, policy in expecting.items() if policy] == ["clips"]
    assert expecting["clips"] == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24))


@pytest.mark.parametrize("file", INSTANCES)
def test_dagster_looks_whether_they_are_overdue_with_each_configuration_of_ours(tmp_path: Path, file: str) -> None:
    ours = yaml.safe_load((ROOT / file).read_text())
    here = {key: told for key, told in ours.items() if key not in ELSEWHERE}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(here))

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert "FRESHNESS_DAEMON" in instance.get_required_daemon_types()
