"""Claims about what comes next: each common change, made to a copy of the house, in the files that CONTRIBUTING names.

The copy is type-checked and run, so a place that had to know of the change and does not is found here.
"""

import re
from pathlib import Path

import pytest

from madvision_assets_tests.house import PACKAGE, House, after

ROW = """
    HEADLINE = (
        "headline",
        Stage(
            document=Headline,
            inputs=(Transcript,),
            share=0.05,
            guard=Resource.ANALYST,
            pool=Pool.LLM,
            kinds=frozenset({"openai"}),
            title="Write a headline",
            doing="Writing a headline",
            needs=Needs(
                cores=0.5,
                memory_gib=(0.5, 1),
                disk_gib=None,
                gpu=False,
                reach=Reach.ANALYST,
                secrets=frozenset({OPENAI_KEY}),
                deadline_s=600,
            ),
            effort=Effort(per_video_s=2.0),
            resumes=False,
            settings=frozenset(),
        ),
    )
"""
DOCUMENT = '''"""A headline for the whole video."""

from typing import ClassVar

from madvision_assets.domain.documents import Document


class Headline(Document):
    """A line that says what a video is about."""

    asset: ClassVar[str] = "headline"

    text: str
'''
WORK = '''"""Headlines."""

from madvision_assets.domain.documents import Made
from madvision_assets.domain.headline import Headline
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.transcript import Transcript


def write_headline(transcript: Transcript) -> Made[Headline]:
    """The first sentence, in capitals."""
    text = transcript.segments[0].text.upper()
    return Made(Headline(video_id=transcript.video_id, text=text), Recipe(engine="capitals"))
'''
ASSET = '''
@asset_of(PipelineStep.HEADLINE)
def headline(
    context: dg.AssetExecutionContext, transcript: Transcript, runtime: dg.ResourceParam[StageRuntime]
) -> dg.MaterializeResult[Finished]:
    """A line that says what the video is about."""
    with runtime.stage(context, transcript) as stage:
        made = write_headline(transcript)
        return stage.done(made, {"text": made.document.text})

'''
# Everything that derives from the rows, asked of the copy.
ASK = """
import json, sys
from pathlib import Path
from madvision_assets.command.display_scale import estimate
from madvision_assets.defs import compute
from madvision_assets.domain.costs import Plan
from madvision_assets.domain.prices import PRICES, Price
from madvision_assets.domain.sizing import Load
from madvision_assets.domain.stages import PipelineStep, overall_progress, resource_of
from madvision_assets.intake.pages import words
from madvision_assets.intake.services import make_services
from madvision_assets.intake.status import status_of
from madvision_assets.lineage.queries import video_lineage
from madvision_assets_tests import footage
from madvision_assets_tests.harness import open_harness

home = Path(sys.argv[1])
step = PipelineStep("headline")
with open_harness(home, footage.talking(home / "talk.mp4")) as harness:
    token = harness.submit().token
    [result] = harness.tick()
    services = make_services(harness.settings)
    status = status_of(services, token, "http://intake")
    lineage = video_lineage(services.database, services.store, "web-a")
    [again] = [harness.by_hand("a", step)]
    prices = {**PRICES, "gpt-4o.input": Price(1, "t", "t"), "gpt-4o.output": Price(1, "t", "t")}
    plan = Plan(Load(24.0))
    print(json.dumps({
        "ran": [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()],
        "again": [again.success, harness.row().status],
        "row": [harness.row().status, harness.row().pipeline_step, harness.row().progress],
        "status": [status.status, status.progress, [each.step for each in status.steps]],
        "lineage": [[stage.asset, [used.asset for used in stage.inputs]] for stage in lineage.stages],
        "progress": overall_progress(step, 1.0),
        "resource": resource_of(step, "host"),
        "words": [words.STEP_NAMES[step], step.stage.doing],
        "pods": compute.op_tags(step)["dagster-k8s/config"],
        "cost": [line.name for line in estimate(plan, prices).lines if step in line.name],
        "seconds": plan.seconds()[step] * plan.video_minutes - plan.pod_start_s,
    }))
"""

# A rendition: the picture as a square, with the sound as it is.
ROUND = """
        case Role.ROUND:
            source = ffmpeg.source(clip.path)
            picture = source.video.filter("crop", "min(iw,ih)", "min(iw,ih)")
            ffmpeg.run(
                ffmpeg.target([picture, source.audio], out, acodec="copy"), timeout_s=60, what="making a square"
            )
"""
ASK_FOR_FILES = """
import json, sys
from pathlib import Path
import av
from madvision_assets.domain.clips import Clips, Role
from madvision_assets.tools.store.documents import read_current
from madvision_assets.work.restoring import inspect
from madvision_assets_tests import footage
from madvision_assets_tests.intake.serving import serving
from madvision_assets_tests.harness import open_harness

home = Path(sys.argv[1])
words = "The most important lesson: measure first, because a wrong answer never improved a result."
talk = footage.talking(home / "talk.mp4", 6.0)
with open_harness(home, talk, allow_private=True) as harness, serving(harness.settings) as intake:
    harness.tools.words = words
    receipt = intake.submit(options={"min_clip_s": 1})
    [result] = harness.tick()
    status = intake.status(receipt["token"])
    [clip] = status["clips"]
    fetched = intake.client.get(clip["files"]["round"])
    (home / "round.mp4").write_bytes(fetched.content)
    with av.open(str(home / "round.mp4")) as film:
        shape = [film.streams.video[0].width, film.streams.video[0].height, len(film.streams.audio)]
    made = read_current(intake.services.store, Clips, receipt["video_id"])
    print(json.dumps({
        "roles": list(clip["files"]),
        "answer": [fetched.status_code, fetched.headers["content-type"], fetched.headers["accept-ranges"]],
        "link": clip["files"]["round"].rpartition("/")[2],
        "shape": shape,
        "key": made.clips[0].files[Role.ROUND].key.rpartition(".")[2],
        "verified": inspect(intake.services.database, intake.services.store).missing,
    }))
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def add_stage(house: House, row: str = ROW, *, last: bool = False) -> None:
    """The four places of a new stage."""
    house.write("domain/headline.py", DOCUMENT)
    house.write("work/headline.py", WORK)
    at = "    @property\n    def inputs(self)" if last else "    CLIPS = (\n"
    house.edit(
        "domain/stages.py",
        (at, f"{row.lstrip(chr(10))}{at}"),
        ("            share=0.2,\n", "            share=0.15,\n"),
        after(
            "from madvision_assets.domain.content_type import ContentType\n",
            f"from {PACKAGE}.domain.headline import Headline\n",
        ),
    )
    pipeline = "clip_candidates, clips, headline)" if last else "clip_candidates, headline, clips)"
    house.edit(
        "defs/assets.py",
        ("clip_candidates, clips)", pipeline),
        ("\nPIPELINE = ", f"{ASSET}\nPIPELINE = "),
        after(
            "from madvision_assets.work.ingest import Ingest\n", f"from {PACKAGE}.work.headline import write_headline\n"
        ),
    )


@pytest.mark.long
@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "at the end"])
def test_a_new_stage_is_a_row_a_document_the_work_and_an_asset(house: House, tmp_path: Path, *, last: bool) -> None:
    add_stage(house, last=last)
    (tmp_path / "home").mkdir()

    told = house.ask(ASK, str(tmp_path / "home"))

    steps = ["raw_video", "transcript", "content_type", "clip_candidates", "clips"]
    steps.insert(5 if last else 4, "headline")
    assert house.touched == {"domain/stages.py", "domain/headline.py", "work/headline.py", "defs/assets.py"}
    assert sorted(told["ran"]) == sorted(steps)
    assert told["again"] == [True, "done"]
    assert told["row"] == ["done", steps[-1], 1.0]
    assert told["status"] == ["done", 1.0, steps]
    assert [asset for asset, _ in told["lineage"]] == steps
    assert dict(told["lineage"])["headline"] == ["transcript"]
    assert told["progress"] == (1.0 if last else 0.85)
    assert told["resource"] == "analyst"
    assert told["words"] == ["Write a headline", "Writing a headline"]
    assert told["pods"]["container_config"]["resources"]["requests"] == {"cpu": "500m", "memory": "512Mi"}
    assert told["pods"]["pod_template_spec_metadata"]["labels"] == {"madvision.io/reach": "analyst"}
    assert told["cost"] == ["headline: pods"]
    assert told["seconds"] == pytest.approx(2.0)
    assert house.faults(*house.touched) == []


def test_a_row_that_lacks_a_field_does_not_type_check(house: House) -> None:
    for field in ("document", "inputs", "share", "guard", "pool", "kinds", "title", "doing", "needs", "effort"):
        assert f"            {field}=" in ROW
    add_stage(house, re.sub(r"            guard=.*\n", "", re.sub(r"                gpu=.*\n", "", ROW)))

    faults = "\n".join(house.faults("domain/stages.py"))

    assert 'Missing named argument "guard" for "Stage"' in faults
    assert 'Missing named argument "gpu" for "Needs"' in faults


def test_a_stage_without_a_row_is_refused_when_it_is_loaded(house: House) -> None:
    add_stage(house, '\n    HEADLINE = "headline"\n')

    with pytest.raises(AssertionError, match="'headline' needs its row"):
        house.ask("import madvision_assets.domain.stages")


@pytest.mark.long
def test_a_rendition_is_a_role_and_what_makes_it(house: House, tmp_path: Path) -> None:
    house.edit(
        "domain/clips.py",
        after('    SOURCE = "source", "mp4", "video/mp4"\n', '    ROUND = "round", "round.mp4", "video/mp4"\n'),
    )
    house.edit(
        "tools/media/outputs.py",
        ("        case _:\n", f"{ROUND.lstrip(chr(10))}        case _:\n"),
        ("import thumbnails\n", "import ffmpeg, thumbnails\n"),
    )
    (tmp_path / "home").mkdir()

    told = house.ask(ASK_FOR_FILES, str(tmp_path / "home"))

    assert house.touched == {"domain/clips.py", "tools/media/outputs.py"}
    assert told["roles"][:2] == ["source", "round"]
    assert told["answer"] == [200, "video/mp4", "bytes"]
    assert told["link"].endswith(".01.round.mp4")
    assert told["shape"] == [180, 180, 1]
    assert told["key"] == "mp4"
    assert told["verified"] == []
    assert house.faults(*house.touched) == []


@pytest.mark.whole
def test_a_role_that_nothing_makes_does_not_type_check(house: House) -> None:
    house.edit(
        "domain/clips.py",
        after('    SOURCE = "source", "mp4", "video/mp4"\n', '    ROUND = "round", "round.mp4", "video/mp4"\n'),
    )

    assert "Role.ROUND" in "\n".join(house.faults("tools/media/outputs.py"))
