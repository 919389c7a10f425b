"""Claims about work that is done and not published: kept on its machine, and published by whoever comes next."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from madvision_assets.connections import make_database
from madvision_assets.defs import checks, resources
from madvision_assets.defs.launch import run_video
from madvision_assets.defs.runtime.scratch import Scratch
from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import StoreUnavailableError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import LineageRow
from madvision_assets.tools.media import probe
from madvision_assets.tools.store.documents import read_current
from madvision_assets.work import publish
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.real_servers import postgres_server

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
VIDEO = "web-a"


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        made.submit()
        yield made


@contextmanager
def dying(act: str, step: PipelineStep) -> Iterator[None]:
    """The process dies in this act of publishing the step's document."""
    true = getattr(publish, act)

    def dies(store: Any, document: Document) -> Any:
        if document.asset == step:
            raise SystemExit
        return true(store, document)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, act, dies)
        yield


def taken_back(harness: Harness) -> None:
    """The reconciler finds that the run has ended."""
    harness.resources()["reconciler"].look(harness.instance, {})
    assert harness.row().status is QueueStatus.WAITING, harness.row()


def done_but_not_published(harness: Harness, step: PipelineStep, act: str = "write_document") -> None:
    """A worker that died when the step's work was done, and whose video is to be tried again."""
    with dying(act, step):
        harness.tick()
    assert kept(harness, step).exists()
    taken_back(harness)


def kept(harness: Harness, step: PipelineStep) -> Path:
    return harness.settings.work_folder / VIDEO / f"{step}.made.json"


def lineage(harness: Harness) -> list[LineageRow]:
    return make_database(harness.settings).lineage_of(VIDEO)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def assert_done(harness: Harness, step: PipelineStep, *, times: int) -> None:
    """The video is done, the step's work was done so often, every other's once, and nothing is left on this machine."""
    assert harness.row().status is QueueStatus.DONE, harness.row()
    assert harness.tools.calls == {each: times if each is step else 1 for each in PipelineStep}
    assert list(harness.settings.work_folder.iterdir()) == []


@pytest.mark.parametrize("step", PipelineStep)
def test_work_whose_worker_died_before_it_was_published_is_published_by_the_next_one(
    harness: Harness, step: PipelineStep
) -> None:
    done_but_not_published(harness, step)

    harness.tick()

    assert_done(harness, step, times=1)
    assert [row.asset for row in lineage(harness) if row.asset == step] == [step]


def test_a_transcript_survives_a_database_that_is_away_for_longer_than_publishing_waits(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "Publisher", partial(publish.Publisher, patience_s=0.1))
    with postgres_server(tmp_path) as (url, server):
        Database(url).migrate()
        with open_harness(tmp_path / "home", media, database_url=url) as harness:
            harness.submit()
            harness.tools.plan(HEARD, server.kill)

            harness.tick()
            server.start()
            taken_back(harness)

            assert harness.row().failure_cause == "database_unavailable"
            harness.tick()
            assert_done(harness, HEARD, times=1)


def test_an_outage_during_a_check_costs_no_second_download(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailableError

    with monkeypatch.context() as outage:
        outage.setattr(probe, "verify_decodes", away)
        harness.tick()
    assert harness.row().failure_cause == "store_unavailable"

    harness.tick()

    assert_done(harness, RAW, times=1)


@pytest.mark.parametrize("act", ["write_document", "point_current"])
def test_what_the_work_cost_is_told_once_with_the_time_that_it_took(harness: Harness, act: str) -> None:
    done_but_not_published(harness, CHOSEN, act)
    told = json.loads(kept(harness, CHOSEN).read_text())
    rewrite(kept(harness, CHOSEN), lambda kept: kept.update(wall_s=7200.5))
    before = lineage(harness)

    harness.tick()

    [row] = [row for row in lineage(harness) if row.asset == CHOSEN]
    if act == "write_document":
        assert (row.run_id, row.wall_s) == (harness.row().run_id, 7200.5)
    else:  # the one who did it had told of it
        assert row in before
        assert row.run_id == told["run_id"] != harness.row().run_id
    assert_done(harness, CHOSEN, times=1)


# --- when it is done again all the same ---


def requeued_from(harness: Harness) -> None:
    Operations(make_database(harness.settings)).requeue(video_ids=[VIDEO], from_step=HEARD)
    harness.tick()


def by_hand(harness: Harness) -> None:
    harness.by_hand("a", *HEARD.onwards())


def by_command(harness: Harness, from_step: PipelineStep | None = HEARD) -> None:
    tools = dict.fromkeys(("ingest", "transcriber", "analyst", "renderer"), harness.tools)
    take = partial(harness.queue.take, VIDEO, lambda _: HEARD.onwards(), from_step)
    run_video({**harness.resources(), **tools}, harness.instance, VIDEO, take)


@pytest.mark.parametrize("ask", [requeued_from, by_hand, by_command])
def test_a_stage_that_is_asked_for_anew_is_done_anew(harness: Harness, ask: Callable[[Harness], None]) -> None:
    done_but_not_published(harness, HEARD)

    ask(harness)

    assert_done(harness, HEARD, times=2)


@contextmanager
def dying_before_the_queue_is_told(step: PipelineStep) -> Iterator[None]:
    """The process dies when the pointer names the step's document."""
    true = Queue.finish_step

    def dies(queue: Queue, video_id: str, run_id: str, done: PipelineStep, **told: Any) -> None:
        if done is step:
            raise SystemExit
        true(queue, video_id, run_id, done, **told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queue, "finish_step", dies)
        yield


@pytest.mark.parametrize("ask", [requeued_from, by_command])
@pytest.mark.parametrize("dies", [partial(dying, "write_document"), dying_before_the_queue_is_told])
def test_a_redo_that_was_not_published_is_published_by_the_next_try(
    harness: Harness, ask: Callable[[Harness], None], dies: Callable[[PipelineStep], AbstractContextManager[None]]
) -> None:
    harness.tick()
    harness.tools.words = "Other words, since it is done anew."
    with dies(HEARD):
        ask(harness)
    assert harness.tools.calls[HEARD] == 2
    harness.resources()["reconciler"].look(harness.instance, {})
    assert harness.row().status is QueueStatus.WAITING, harness.row()

    harness.tick()

    assert harness.row().status is QueueStatus.DONE, harness.row()
    assert harness.tools.calls == Counter([RAW] + [each for each in HEARD.onwards() for _ in "12"])
    assert harness.row().from_step is None


def test_a_stage_that_is_asked_for_anew_once_more_is_done_once_more(harness: Harness) -> None:
    harness.tick()
    requeued_from(harness)
    requeued_from(harness)

    assert harness.tools.calls[HEARD] == 3


def test_what_was_done_under_other_settings_is_done_again_where_they_matter(harness: Harness, media: Path) -> None:
    done_but_not_published(harness, RAW)
    with open_harness(harness.settings.home, media, instance=harness.instance, whisper_model="base") as other:
        other.tools.plan(RAW, AssertionError("the download does not depend on it"))
        with dying("write_document", HEARD):
            other.tick()
        taken_back(other)
        assert other.tools.calls == Counter([HEARD])

    harness.tick()

    assert harness.row().status is QueueStatus.DONE
    assert harness.tools.calls == Counter(PipelineStep)


def test_a_command_that_asks_for_nothing_anew_takes_it_up(harness: Harness) -> None:
    done_but_not_published(harness, HEARD)

    by_command(harness, None)

    assert_done(harness, HEARD, times=1)


def test_what_a_blocking_check_turned_down_is_not_kept_even_where_its_worker_dies(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = dg.AssetCheckResult(passed=False, check_name="transcript_in_order", description="out of order")
    with monkeypatch.context() as strict:
        strict.setattr(checks, "transcript_in_order", lambda *_: refused)
        with dying("write_document", HEARD):
            harness.tick()
    assert not kept(harness, HEARD).exists()
    taken_back(harness)

    harness.tick()

    assert_done(harness, HEARD, times=2)


def media_gone(harness: Harness) -> None:
    store = harness.tools.store
    store.delete([key for key in store.list_keys("media") if VIDEO in key])


def media_cut_short(harness: Harness) -> None:
    store = harness.tools.store
    [key] = store.list_keys(f"media/{VIDEO}")
    store.put_bytes(key, store.get_bytes(key)[:-1], media_type="video/mp4")


def damaged(harness: Harness) -> None:
    kept(harness, RAW).write_text(kept(harness, RAW).read_text()[:-20])


def of_a_newer_form(harness: Harness) -> None:
    rewrite(kept(harness, RAW), lambda told: told.update(form=2))


def of_a_newer_document(harness: Harness) -> None:
    rewrite(kept(harness, RAW), lambda told: told["document"].update(schema_version=99))


def of_other_code(harness: Harness) -> None:
    rewrite(kept(harness, RAW), lambda told: told["basis"].update(code_version="0"))


def of_other_settings(harness: Harness) -> None:
    rewrite(kept(harness, RAW), lambda told: told["basis"]["settings"].update(max_height=144))


def of_other_inputs(harness: Harness) -> None:
    rewrite(kept(harness, RAW), lambda told: told["basis"].update(inputs=[["another", "0123"]]))


@pytest.mark.parametrize(
    "change",
    [
        media_gone,
        media_cut_short,
        damaged,
        of_a_newer_form,
        of_a_newer_document,
        of_other_code,
        of_other_inputs,
        of_other_settings,
    ],
)
def test_what_cannot_be_published_as_it_is_is_done_again(harness: Harness, change: Callable[[Harness], None]) -> None:
    done_but_not_published(harness, RAW)
    change(harness)

    harness.tick()

    assert_done(harness, RAW, times=2)


def test_a_disk_that_keeps_nothing_fails_no_stage(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("madvision_assets.defs.runtime.kept.os.fsync", full)

    harness.tick()

    assert harness.row().status is QueueStatus.DONE
    assert read_current(harness.tools.store, Transcript, VIDEO)


def test_what_is_kept_of_a_video_that_is_given_up_is_removed(harness: Harness) -> None:
    done_but_not_published(harness, HEARD)
    scratch = Scratch(harness.settings.work_folder)

    scratch.sweep_given_up(harness.resources()["reconciler"].is_given_up)
    assert kept(harness, HEARD).exists()
    scratch.sweep_given_up(lambda _video: True)

    assert list(harness.settings.work_folder.iterdir()) == []
