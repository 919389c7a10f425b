"""Claims about changing the clips afterwards: a new version, exactly the changed clips rendered."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from madvision_assets.connections import make_database, make_store
from madvision_assets.domain.clip_edits import EditRefusedError
from madvision_assets.domain.clips import Change, ClipCandidates, Clips, Moment
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment, Transcript, Word
from madvision_assets.domain.video import Options, RawVideo, Video
from madvision_assets.domain.wanted_edits import Edit
from madvision_assets.tools.analyst import Proposal
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.submissions import NewSubmission
from madvision_assets.tools.store.documents import read_current
from madvision_assets.work import staleness
from madvision_assets.work.dispatch import missing_steps
from madvision_assets.work.editing import Editing
from madvision_assets.work.render import ClipRenderer
from madvision_assets.work.replacing import BusyError, OutdatedError
from madvision_assets.work.staleness import Upgrader
from madvision_assets_tests.harness import Harness, InstantTools, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
OPTIONS = Options(min_clip_s=1, max_clip_s=5)
VIDEO = Video(video_id="web-a", address="http://a.example.org/v.mp4", options=OPTIONS)
SAID = (
    "We learned that labels save an hour.",
    "Nobody searched for parts any more.",
    "The secret is one honest price list.",
)


class _Tools(InstantTools):
    """Hears three sentences with their words, and tells which clips are rendered."""

    def transcribe(self, raw: RawVideo, _folder: Path, progress: Any) -> Made[Transcript]:
        self._begin(HEARD)
        progress(0.5, "half")
        made = tuple(_segment(n, text, 0.2 + 1.95 * n) for n, text in enumerate(SAID))
        return Made(
            Transcript(video_id=raw.video_id, language="en", duration_s=6, audible_s=5.4, covered_s=5.4, segments=made),
            Recipe(engine="quick"),
        )

    def render(self, raw: RawVideo, spoken: Transcript, chosen: ClipCandidates, folder: Path, progress: Any) -> Any:
        self._begin(CUT)
        told: list[str] = []

        def tell(share: float, text: str) -> None:
            told.append(text)
            progress(share, text)

        made = ClipRenderer(self.store).render(raw, spoken, chosen, folder, tell)
        self.rendered.append(len(set(told)))
        return made

    @property
    def rendered(self) -> list[int]:
        """Of each time that clips were made, how many pictures were."""
        found: list[int] = self.__dict__.setdefault("_rendered", [])
        return found


def _segment(number: int, text: str, start_s: float) -> Segment:
    parts = text.split()
    step_s = 1.75 / len(parts)
    words = tuple(
        Word(text=part, start_s=round(start_s + n * step_s, 3), end_s=round(start_s + (n + 1) * step_s, 3))
        for n, part in enumerate(parts)
    )
    return Segment(id=number, start_s=start_s, end_s=words[-1].end_s, text=text, words=words)


@pytest.fixture
def harness(tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setattr("madvision_assets_tests.harness.InstantTools", _Tools)
    with open_harness(tmp_path, media) as made:
        made.submissions.add([NewSubmission(VIDEO)])
        yield made


def edits(*told: dict[str, Any]) -> Sequence[Edit]:
    return TypeAdapter(list[Edit]).validate_python(list(told))


def editing(harness: Harness) -> Editing:
    return Editing(make_store(harness.settings), make_database(harness.settings), harness.queue)


def change(harness: Harness, *told: dict[str, Any], version: str | None = None, only_try: bool = False) -> Any:
    return editing(harness).make(VIDEO.video_id, edits(*told), version=version, who="ada", only_try=only_try)


def chosen(harness: Harness) -> ClipCandidates:
    return read_current(make_store(harness.settings), ClipCandidates, VIDEO.video_id)


def cut(harness: Harness) -> Clips:
    return read_current(make_store(harness.settings), Clips, VIDEO.video_id)


def rendered(harness: Harness) -> list[int]:
    assert isinstance(harness.tools, _Tools)
    return harness.tools.rendered


@pytest.fixture
def three(harness: Harness) -> Harness:
    """A video whose clips are a person's three, one of each sentence, rendered."""
    harness.tick()
    drops = [{"change": "drop", "clip": each.rank} for each in chosen(harness).candidates]
    adds = [
        {"change": "add", "first_word": first, "last_word": last, "title": f"No. {n}"}
        for n, (first, last) in enumerate(((0, 6), (7, 12), (13, 19)), 1)
    ]
    change(harness, *drops, *adds)
    harness.tick()
    rendered(harness).clear()
    return harness


def test_what_an_editor_changes_is_a_new_version_and_exactly_the_changed_clips_are_rendered(three: Harness) -> None:
    before, was = chosen(three), cut(three)
    first, second, third = (each.rank for each in before.candidates)
    calls = dict(three.tools.calls)

    made = change(
        three,
        {"change": "retitle", "clip": first, "title": "Labels save an hour"},
        {"change": "trim", "clip": second, "last_word": 10},
        {"change": "drop", "clip": third},
        version=before.origin.data_version,
    )

    after = chosen(three)
    assert after == made.clips
    assert made.to_render == (second,)
    assert after.origin.data_version != before.origin.data_version
    assert after.origin.inputs == before.origin.inputs
    assert (after.origin.engine, after.origin.parameters["who"]) == ("editor", "ada")
    assert after.origin.parameters["in_place_of"] == before.origin.data_version
    assert after.origin.parameters["edits"] == f"retitle {first}, trim {second}, drop {third}"
    assert missing_steps(make_store(three.settings), VIDEO.video_id, None) == (CUT,)
    assert (three.row().status, three.row().pipeline_step) == (QueueStatus.QUEUED, CUT)

    three.tick()

    now = cut(three)
    assert three.row().status is QueueStatus.DONE
    assert rendered(three) == [1]
    assert {**three.tools.calls} == {**calls, CUT: calls[CUT] + 1}
    assert [each.rank for each in now.clips] == [first, second]
    assert now.clips[0].files == was.clips[0].files
    assert (now.clips[0].title, now.clips[0].clip_id) == ("Labels save an hour", was.clips[0].clip_id)
    assert now.clips[1].files["source"] != was.clips[1].files["source"]
    assert now.clips[1].end_s < was.clips[1].end_s
    told = [row.engine for row in make_database(three.settings).lineage_of(VIDEO.video_id) if row.asset == CHOSEN]
    assert told[-1] == "editor"


def test_a_retitle_alone_renders_nothing(three: Harness) -> None:
    (clip, *_), was = chosen(three).candidates, cut(three)

    assert change(three, {"change": "retitle", "clip": clip.rank, "title": "Another"}).to_render == ()
    three.tick()

    assert rendered(three) == [0]
    assert [each.files for each in cut(three).clips] == [each.files for each in was.clips]
    assert cut(three).clips[0].title == "Another"


def test_shapes_that_are_chosen_afterwards_are_made_of_the_clips_as_they_were_edited_and_of_nothing_else(
    three: Harness,
) -> None:
    first, second, _ = (each.rank for each in chosen(three).candidates)
    change(three, {"change": "retitle", "clip": first, "title": "Mine"}, {"change": "drop", "clip": second})
    three.tick()
    was, calls = cut(three), dict(three.tools.calls)
    before = chosen(three)

    made = change(three, {"change": "pictures", "renditions": ["square"]}, version=before.origin.data_version)

    assert missing_steps(make_store(three.settings), VIDEO.video_id, None) == (CUT,)
    assert chosen(three).origin.inputs == before.origin.inputs
    assert chosen(three).origin.parameters == {
        "edits": "pictures square", "who": "ada", "in_place_of": before.origin.data_version,
    }  # fmt: skip
    assert made.to_render == tuple(each.rank for each in before.candidates)
    three.tick()
    now = cut(three)
    assert three.row().status is QueueStatus.DONE
    assert {**three.tools.calls} == {**calls, CUT: calls[CUT] + 1}, "nothing is heard and nobody is asked again"
    assert [each.title for each in now.clips] == [each.title for each in was.clips]
    assert [{**each.files} for each in now.clips] == [
        {**old.files, "square": new.files["square"]} for old, new in zip(was.clips, now.clips, strict=True)
    ]
    assert all(each.framings.keys() == {"square"} and not each.failed for each in now.clips)


def test_a_choice_of_shapes_stays_when_the_clips_are_done_again_and_ends_when_it_is_taken_back(three: Harness) -> None:
    change(three, {"change": "pictures", "renditions": ["square"]})
    three.tick()
    with_square = cut(three)
    Operations(make_database(three.settings)).requeue(video_ids=[VIDEO.video_id], from_step=CUT)
    three.tick()

    again = cut(three)
    change(three, {"change": "pictures", "renditions": []})
    three.tick()

    assert [each.files for each in again.clips] == [each.files for each in with_square.clips]
    assert all("square" in each.files for each in again.clips)
    assert all("square" not in each.files for each in cut(three).clips)
    assert rendered(three)[-1] == 0


class _Finds(OfflineAnalyst):
    """Finds what is said first; its word counts as that of rules, or as a language model's."""

    def __init__(self, *, provisional: bool) -> None:
        super().__init__()
        self.provisional = provisional

    def classify(self, *given: Any) -> Made[ContentType]:
        made = super().classify(*given)
        return replace(made, document=made.document.model_copy(update={"provisional": self.provisional}))

    def propose(self, *given: Any) -> Proposal:
        found = Moment(first_segment=0, last_segment=0, title="Labels", reason="So it is.", quote=SAID[0], score=0.9)
        return replace(super().propose(*given), provisional=self.provisional, moments=(found,))


def test_moments_that_are_provisional_are_chosen_anew_though_pictures_were_chosen_and_these_stay(
    harness: Harness,
) -> None:
    harness.tools.analyst = _Finds(provisional=True)
    harness.tick()
    before = chosen(harness)
    change(harness, {"change": "pictures", "renditions": ["square"]})
    harness.tick()
    shaped = chosen(harness)
    assert before.provisional
    assert (shaped.provisional, cut(harness).provisional) == (True, True)
    assert shaped.origin.engine == before.origin.engine
    assert ["square" in each.files for each in cut(harness).clips] == [True]

    harness.tools.analyst = _Finds(provisional=False)
    upgrader = Upgrader(make_database(harness.settings), {}, is_provisional=False, auto_redo=False)
    assert upgrader.upgrade() == 1
    harness.tick()

    anew = chosen(harness)
    assert harness.tools.calls[CHOSEN] == 2
    assert (anew.provisional, cut(harness).provisional) == (False, False)
    assert (anew.pictures, anew.pictures_chosen) == (shaped.pictures, 0)
    assert ["square" in each.files for each in cut(harness).clips] == [True]


def test_every_edit_is_kept_as_a_label_with_what_was_proposed(three: Harness) -> None:
    before = chosen(three)
    clip = before.candidates[0]

    change(three, {"change": "drop", "clip": clip.rank})

    last = chosen(three).edits[-1]
    assert chosen(three).edits[:-1] == before.edits
    assert (last.change, last.rank, last.before, last.after) == (Change.DROP, clip.rank, clip, None)
    assert (last.version, last.who) == (before.origin.data_version, "ada")


def test_edits_that_cannot_all_be_made_change_nothing(three: Harness) -> None:
    before, row = chosen(three), three.row()
    rank = before.candidates[0].rank

    with pytest.raises(EditRefusedError, match="There is no clip 99") as refused:
        change(three, {"change": "drop", "clip": rank}, {"change": "drop", "clip": 99})

    assert refused.value.number == 1
    assert (chosen(three), three.row()) == (before, row)


def test_trying_changes_nothing(three: Harness) -> None:
    before, row = chosen(three), three.row()

    tried = change(three, {"change": "drop", "clip": before.candidates[0].rank}, only_try=True)

    assert len(tried.clips.candidates) == len(before.candidates) - 1
    assert (chosen(three), three.row()) == (before, row)


def test_of_two_editors_the_second_is_told_and_loses_nothing_of_the_first(three: Harness) -> None:
    before = chosen(three)
    rank = before.candidates[0].rank
    change(three, {"change": "retitle", "clip": rank, "title": "The first"}, version=before.origin.data_version)

    with pytest.raises(OutdatedError, match="changed meanwhile"):
        change(three, {"change": "drop", "clip": rank}, version=before.origin.data_version)

    assert chosen(three).candidates[0].title == "The first"


def test_a_second_change_before_the_first_is_rendered_is_taken(three: Harness) -> None:
    rank = chosen(three).candidates[0].rank
    change(three, {"change": "retitle", "clip": rank, "title": "The first"})
    version = chosen(three).origin.data_version

    change(three, {"change": "retitle", "clip": rank, "title": "The second"}, version=version)
    three.tick()

    assert cut(three).clips[0].title == "The second"


def test_a_video_that_is_being_processed_is_left_alone(three: Harness) -> None:
    before = chosen(three)
    Operations(make_database(three.settings)).requeue(video_ids=[VIDEO.video_id], from_step=CUT)
    (claimed,) = three.queue.claim_due(1)

    with pytest.raises(BusyError, match="being processed"):
        change(three, {"change": "drop", "clip": before.candidates[0].rank})

    assert chosen(three) == before
    assert (three.row().status, three.row().attempt) == (QueueStatus.RUNNING, claimed.attempt)


def test_moments_that_are_to_be_found_anew_are_not_edited(three: Harness) -> None:
    before = chosen(three)
    Operations(make_database(three.settings)).requeue(video_ids=[VIDEO.video_id], from_step=HEARD)

    with pytest.raises(BusyError, match="moments anew"):
        change(three, {"change": "drop", "clip": before.candidates[0].rank})

    assert chosen(three) == before


def test_nothing_can_be_edited_before_moments_are_chosen(harness: Harness) -> None:
    with pytest.raises(MissingInputError):
        change(harness, {"change": "drop", "clip": 1})


def test_what_an_editor_made_is_not_done_again_by_itself(three: Harness) -> None:
    database = make_database(three.settings)

    assert [each.step for each in staleness.find(database, lambda _: "all")] == [CUT]


def test_another_video_of_the_same_bytes_gets_no_editors_choice(harness: Harness) -> None:
    harness.tools.same_bytes = True
    harness.tick()
    change(harness, {"change": "add", "first_word": 0, "last_word": 6, "title": "Mine alone"})
    harness.tick()

    harness.submit("b", options=OPTIONS)
    harness.tick()

    other = read_current(make_store(harness.settings), ClipCandidates, "web-b")
    assert (other.origin.engine, other.edits) == ("offline", ())
