"""Claims about the same bytes at two addresses: two videos, each with its own documents, and paid for once."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.connections import make_database, make_store
from madvision_assets.defs.partitions import VideoPartitions
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.quotas import Taken
from madvision_assets.domain.renditions import PictureOptions, Shape
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, RawVideo, Video, cut_id
from madvision_assets.tools.analyst import Proposal
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.submissions import NewSubmission
from madvision_assets.tools.store.documents import are_whole, point_current, read_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import forgetting
from madvision_assets.work.sharing import Sharing
from madvision_assets_tests import stores
from madvision_assets_tests.harness import Harness, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
WORDS = "What one remembers of a talk is a sentence that surprises and that one can repeat to somebody else."


SHORT = Options(min_clip_s=1, max_clip_s=6)


class Final(OfflineAnalyst):
    """One whose word counts as a language model's, and who finds nothing: clips name media of their own."""

    def classify(self, *given: Any) -> Made[ContentType]:
        """The verdict."""
        made = super().classify(*given)
        return replace(made, document=made.document.model_copy(update={"provisional": False}))

    def propose(self, *given: Any) -> Proposal:
        """The moments."""
        return replace(super().propose(*given), provisional=False, moments=())


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        made.tools.same_bytes, made.tools.words, made.tools.analyst = True, WORDS, Final()
        yield made


def done(harness: Harness, *names: str, options: Options = SHORT) -> None:
    """These videos, one after the other, to their end."""
    for name in names:
        video = Video(video_id=f"web-{name}", address=f"http://{name}.example.org/v.mp4", options=options)
        harness.submissions.add([NewSubmission(video)])
        harness.tick()
        assert harness.row(name).status is QueueStatus.DONE, harness.row(name)


def calls(harness: Harness) -> dict[PipelineStep, int]:
    return {step: harness.tools.calls[step] for step in PipelineStep}


def current(harness: Harness, name: str, step: PipelineStep) -> Any:
    return read_current(make_store(harness.settings), step.stage.document, f"web-{name}")


def test_the_same_bytes_at_another_address_are_not_heard_nor_asked_about_again(harness: Harness) -> None:
    done(harness, "a", "b")

    assert calls(harness) == {RAW: 2, HEARD: 1, KIND: 1, CHOSEN: 1, CUT: 1}
    for step in (HEARD, KIND, CHOSEN, CUT):
        first, second = current(harness, "a", step), current(harness, "b", step)
        without = {"video_id", "provenance"}
        assert second.model_dump(exclude=without) == first.model_dump(exclude=without)
        assert second.video_id == "web-b"
        assert second.origin.taken_from == first.key
        assert (second.origin.cost_usd, first.origin.taken_from) == (0.0, None)
        assert {used.asset for used in second.origin.inputs} == {used.asset for used in first.origin.inputs}
        assert all("/web-b/" in used.uri for used in second.origin.inputs)


def test_each_keeps_its_own_lineage_that_says_from_where(harness: Harness) -> None:
    done(harness, "a", "b")

    rows = make_database(harness.settings).lineage_of("web-b")

    assert [row.asset for row in rows] == list(PipelineStep)
    taken = {row.asset: row.taken_from for row in rows}
    assert taken == {
        RAW: None, **{step: current(harness, "a", step).key for step in (HEARD, KIND, CHOSEN, CUT)}
    }  # fmt: skip


def test_whoever_wants_other_clips_shares_what_is_said_and_not_what_is_chosen(harness: Harness) -> None:
    done(harness, "a")
    done(harness, "b", options=SHORT.model_copy(update={"max_clips": 1}))

    assert calls(harness) == {RAW: 2, HEARD: 1, KIND: 1, CHOSEN: 2, CUT: 2}


def test_whoever_wants_other_words_has_them_heard_and_shares_the_download_alone(harness: Harness) -> None:
    done(harness, "a")
    german = SHORT.model_copy(update={"language": "de"})
    other = cut_id("web-a", german)
    harness.submissions.add(
        [NewSubmission(Video(video_id=other, address="http://a.example.org/v.mp4", options=german))]
    )
    harness.tick()

    assert calls(harness) == {RAW: 1, HEARD: 2, KIND: 2, CHOSEN: 2, CUT: 2}


def test_another_cut_of_a_video_is_neither_fetched_nor_heard_again_and_outlives_the_first(
    harness: Harness, tmp_path: Path
) -> None:
    done(harness, "a", options=Options(min_clip_s=1, max_clip_s=5))
    first = current(harness, "a", RAW)
    other = cut_id("web-a", SHORT)
    harness.submissions.add([NewSubmission(Video(video_id=other, address="http://a.example.org/v.mp4", options=SHORT))])
    harness.tick()

    assert calls(harness) == {RAW: 1, HEARD: 1, KIND: 1, CHOSEN: 2, CUT: 2}
    database, store = make_database(harness.settings), make_store(harness.settings)
    raw = read_current(store, RawVideo, other)
    assert (raw.media.sha256, raw.options, raw.origin.taken_from) == (first.media.sha256, SHORT, first.key)

    list(forgetting.forget(database, store, tmp_path / "work", VideoPartitions(harness.instance), ["web-a"]))
    assert are_whole(store, (raw.media, raw.audio))
    row = harness.queue.get(other)
    assert row is not None
    assert row.status is QueueStatus.DONE


def test_a_download_that_is_asked_for_anew_is_not_taken_over(harness: Harness) -> None:
    done(harness, "a")
    other = cut_id("web-a", Options(max_clips=1))
    harness.submissions.add([NewSubmission(Video(video_id=other, address="http://a.example.org/v.mp4"))])
    Operations(make_database(harness.settings)).requeue(video_ids=[other], from_step=RAW)

    harness.tick()

    assert calls(harness)[RAW] == 2


def test_what_is_only_provisional_is_not_shared(harness: Harness) -> None:
    harness.tools.analyst = OfflineAnalyst()
    done(harness, "a", "b")

    assert calls(harness) == {RAW: 2, HEARD: 1, KIND: 2, CHOSEN: 2, CUT: 2}


def test_the_shapes_that_an_editor_chose_for_one_video_are_those_of_no_other(harness: Harness) -> None:
    done(harness, "a")
    chosen, store = current(harness, "a", CHOSEN), make_store(harness.settings)
    edited = chosen.origin.model_copy(update={"data_version": "f" * 32})
    pictures = PictureOptions(renditions=(Shape.SQUARE,))
    chosen = chosen.model_copy(update={"pictures": pictures, "provenance": edited})
    write_document(store, chosen)
    point_current(store, chosen)

    done(harness, "b")

    # The clips of the first are still those from before the choice, as the second wants them.
    assert calls(harness) == {RAW: 2, HEARD: 1, KIND: 1, CHOSEN: 2, CUT: 1}
    assert current(harness, "b", CHOSEN).pictures is None


def test_other_bytes_share_nothing(harness: Harness) -> None:
    harness.tools.same_bytes = False
    done(harness, "a", "b")

    assert calls(harness) == dict.fromkeys(PipelineStep, 2)


def test_what_is_asked_for_anew_is_done_anew(harness: Harness) -> None:
    done(harness, "a", "b")
    Operations(make_database(harness.settings)).requeue(video_ids=["web-b"], from_step=HEARD)

    harness.tick()

    assert calls(harness)[HEARD] == 2
    heard = [row for row in make_database(harness.settings).lineage_of("web-b") if row.asset == HEARD]
    assert [row.taken_from is None for row in heard] == [False, True]


def test_what_was_taken_over_outlives_the_video_that_it_is_of(harness: Harness, tmp_path: Path) -> None:
    done(harness, "a", "b")
    heard = current(harness, "b", HEARD)
    partitions = VideoPartitions(harness.instance)
    database, store = make_database(harness.settings), make_store(harness.settings)
    assert [each.videos for each in forgetting.forget(database, store, tmp_path / "work", partitions, ["web-a"])] == [1]

    assert current(harness, "b", HEARD) == heard
    done(harness, "c")
    assert calls(harness)[HEARD] == 1
    assert current(harness, "c", HEARD).origin.taken_from == heard.origin.taken_from


def test_another_cut_counts_as_long_as_the_first_though_nothing_is_fetched(tmp_path: Path) -> None:
    database, store = Database(f"sqlite:///{tmp_path}/db.sqlite"), ObjectStore.from_url("memory://")
    database.ensure_schema()
    path = tmp_path / "media.bin"
    path.write_bytes(b"any")
    first = stores.raw_video()
    media = store.store_media(path, first.video_id, "mp4", "video/mp4")
    raw = first.model_copy(update={"media": media, "audio": media})
    other = cut_id(raw.video_id, SHORT)
    for video_id in (raw.video_id, other):
        database.add_video(video_id, raw.address)
    write_document(store, raw)
    point_current(store, raw)
    counted: list[tuple[str, Taken]] = []
    sharing = Sharing(store, database, lambda *each: counted.append((each[0], each[1])))

    assert sharing.find_download(other, raw.origin.code_version) is not None
    assert counted == [(other, Taken(media_s=raw.info.duration_s))]


def test_what_names_media_of_its_own_is_not_taken_over(tmp_path: Path) -> None:
    database, store = Database(f"sqlite:///{tmp_path}/db.sqlite"), ObjectStore.from_url("memory://")
    database.ensure_schema()
    raw = stores.raw_video()
    spoken = stores.transcript(raw, "one", "two", "three")
    chosen = stores.clip_candidates(raw, spoken, stores.content_type(raw, spoken))
    with_media = stores.clips(raw, spoken, chosen)
    database.add_video(raw.video_id, raw.address)
    database.add_lineage(raw, "memory://raw")
    for document in (raw, spoken, chosen, with_media):
        write_document(store, document)
        point_current(store, document)
    ours = [each.model_copy(update={"video_id": "web-ours"}) for each in (raw, spoken, chosen)]
    find = partial(Sharing(store, database).find, code_version=with_media.origin.code_version)

    assert with_media.clips
    assert find(Clips, ours) is None
    assert find(Transcript, ours[:1]) is not None
