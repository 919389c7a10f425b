"""Claims about changing clips in a real browser, out of a real video: exactly what was changed is rendered again."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from madvision_assets.domain.clips import Change, ClipCandidates, Clips
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.documents import Document
from madvision_assets.domain.renditions import CaptionStyle, PictureOptions, Shape
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment, Transcript, Word
from madvision_assets.domain.video import RawVideo, SourceMetadata
from madvision_assets.intake.app import make_app
from madvision_assets.tools.media.probe import probe
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets.work.dispatch import missing_steps
from madvision_assets.work.publish import Finished, Publisher
from madvision_assets.work.render import ClipRenderer
from madvision_assets_tests import footage
from madvision_assets_tests.editing import candidates
from madvision_assets_tests.intake.browsing import DESK
from madvision_assets_tests.intake.test_pages_in_a_browser import PHONE
from madvision_assets_tests.intake.video_states import Shown, VideoStates, served
from madvision_assets_tests.stores import sealed

pytestmark = pytest.mark.whole

AVC = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "40")
LENGTH_S, SENTENCES, WORDS_EACH = 24.0, 6, 8
FRAME_S = 0.04  # clips are widened to whole frames
NAMES = ("One", "Two", "Three")


class Desk:
    """A video of three clips, each of a sentence, with the work of its renderer by hand."""

    def __init__(self, folder: Path) -> None:
        self.states = VideoStates(folder)
        self.store = self.states.services.store
        self.film = footage.numbered(folder / "film.mp4", LENGTH_S, video=AVC, mux=("-movflags", "+faststart"))

    def video(self, name: str) -> Shown:
        """A video that is done."""
        shown = self.states.submitted(f"https://example.org/{name}.mp4")
        video_id = shown.row.video_id
        media = self.store.store_media(self.film, video_id, "mp4", "video/mp4")
        raw = sealed(
            RawVideo(
                video_id=video_id, address=f"https://example.org/{name}.mp4", media=media, audio=media,
                info=probe(self.film), source=SourceMetadata(extractor="generic"),
            )
        )  # fmt: skip
        said = sealed(spoken(video_id), raw)
        kind = ContentType(video_id=video_id, kind=ContentKind.NEWS, confidence=Confidence.LOW, reason="it says so")
        kind = sealed(kind, raw, said)
        taken = candidates().candidates
        cut = tuple(
            taken[n].model_copy(
                update={
                    "title": title, "quote": "", "start_s": 8.0 * n, "end_s": 8.0 * n + 4,
                    "first_segment": 2 * n, "last_segment": 2 * n,
                }
            )
            for n, title in enumerate(NAMES)
        )  # fmt: skip
        chosen = candidates().model_copy(update={"video_id": video_id, "candidates": cut, "rejected": ()})
        documents: list[Document] = [raw, said, kind, sealed(chosen, raw, said, kind)]
        for document in documents:
            write_document(self.store, document)
            point_current(self.store, document)
        self.render(video_id)
        return shown

    def render(self, video_id: str) -> int:
        """The renderer's stage, as a worker does it; gives how many clips it rendered."""
        claimed = self.states.queue.claim_due(1000)
        (row,) = [each for each in claimed if each.video_id == video_id]
        assert missing_steps(self.store, video_id, row.from_step) == (PipelineStep.CLIPS,)
        self.states.queue.begin(video_id, f"run-{row.attempt}", row.attempt, PipelineStep.CLIPS)
        raw, said = (read_current(self.store, kind, video_id) for kind in (RawVideo, Transcript))
        assert isinstance(raw, RawVideo)
        assert isinstance(said, Transcript)
        folder = self.states.folder / "scratch"
        folder.mkdir(exist_ok=True)
        chosen, before = self.chosen(video_id), self.noted(video_id)
        made = ClipRenderer(self.store).render(raw, said, chosen, folder, lambda *_: None)
        document = sealed(made.document, raw, said, chosen, run_id=f"run-{row.attempt}")
        publisher = Publisher(self.store, self.states.services.database, self.states.queue)
        publisher.publish(Finished(document), attempt=row.attempt, ends=True)
        return len(self.noted(video_id) - before)

    def noted(self, video_id: str) -> set[str]:
        """Of what the renderer has noted that it made it."""
        return {key for key, _ in self.store.list_sizes(f"rendered/{video_id}")}

    def chosen(self, video_id: str) -> ClipCandidates:
        """What is cut."""
        return read_current(self.store, ClipCandidates, video_id)

    def clips(self, video_id: str) -> Clips:
        """What was cut."""
        return read_current(self.store, Clips, video_id)


def spoken(video_id: str) -> Transcript:
    """Six sentences of eight words, four seconds each."""
    step_s = Fraction(3, WORDS_EACH)
    segments = []
    for n in range(SENTENCES):
        words = tuple(
            Word(text=f"w{WORDS_EACH * n + at}", start_s=float(4 * n + 0.5 + at * step_s),
                 end_s=float(4 * n + 0.5 + (at + 1) * step_s))
            for at in range(WORDS_EACH)
        )  # fmt: skip
        text = " ".join(word.text for word in words)
        segments.append(Segment(id=n, start_s=words[0].start_s, end_s=words[-1].end_s, text=text, words=words))
    return Transcript(
        video_id=video_id, language="en", duration_s=LENGTH_S, audible_s=18, covered_s=18, segments=tuple(segments)
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def base_url(desk: Desk) -> Iterator[str]:
    with served(make_app(desk.states.services)) as base_url:
        yield base_url


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of either size; anything it complains about, such as what the policy forbids, fails the test."""
    viewport: ViewportSize = request.param
    context = browser.new_context(viewport=viewport)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert [each for each in complaints if "Failed to load resource" not in each] == []


def test_trim_retitle_drop_add_and_render_again_renders_exactly_the_changed_clips(
    page: Page, base_url: str, desk: Desk, request: pytest.FixtureRequest
) -> None:
    shown = desk.video(f"mouse-{request.node.callspec.id}")
    video_id = shown.row.video_id
    was = desk.clips(video_id)
    page.goto(base_url + shown.path)
    page.get_by_role("link", name="Change the clips").click()
    expect(page.get_by_role("heading", name="Change the clips")).to_be_visible()
    expect(page.get_by_role("button", name="Render again")).to_be_disabled()

    page.get_by_label("Title of clip 1").fill("Renamed")
    page.get_by_label("Work on clip 2").check()
    page.locator('[data-word="18"]').click()
    page.get_by_role("button", name="Begin here").click()
    page.locator('[data-word="22"]').click()
    page.get_by_role("button", name="End here").click()
    page.get_by_role("button", name="Drop clip 3").click()
    page.locator('[data-word="40"]').click()
    page.locator('[data-word="47"]').click(modifiers=["Shift"])
    page.get_by_role("button", name="Add as a new clip").click()
    page.get_by_label("Title of the new clip").fill("Added")
    expect(page.locator("#summary")).to_have_text("2 clips will be rendered, 1 clip stays as cut.")
    wide = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(wide)
    page.get_by_role("button", name="Render again").click()

    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    made = desk.chosen(video_id)
    assert [(each.change, each.rank) for each in made.edits] == [
        (Change.RETITLE, 1), (Change.TRIM, 2), (Change.DROP, 3), (Change.ADD, 4),
    ]  # fmt: skip
    assert desk.render(video_id) == 2
    now = desk.clips(video_id)
    assert [(each.rank, each.title) for each in now.clips] == [(1, "Renamed"), (2, "Two"), (4, "Added")]
    assert now.clips[0].files == was.clips[0].files
    assert now.clips[1].files["source"] != was.clips[1].files["source"]
    words = [word for segment in spoken(video_id).segments for word in segment.words]
    assert words[17].end_s - FRAME_S < now.clips[1].start_s <= words[18].start_s
    assert words[22].end_s <= now.clips[1].end_s < words[23].start_s + FRAME_S


def test_with_the_keyboard_alone_a_clip_is_trimmed_and_one_added(
    page: Page, base_url: str, desk: Desk, request: pytest.FixtureRequest
) -> None:
    shown = desk.video(f"keys-{request.node.callspec.id}")
    page.goto(f"{base_url}{shown.path}/edit")

    page.get_by_label("Work on clip 1").focus()
    page.keyboard.press("Space")
    page.locator("#words [tabindex='0']").focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "i", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowDown", "a"):
        page.keyboard.press(key)
    expect(page.locator("#marked")).to_contain_text("is marked: 9 words")
    page.get_by_role("button", name="Render again").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#problem")).to_contain_text("would overlap")
    page.get_by_label("Work on clip 2").focus()
    page.keyboard.press("Space")
    expect(page.locator("[data-word='16']")).to_have_attribute("tabindex", "0")
    page.locator("[data-word='16']").focus()
    for key in ("ArrowRight", "i"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Render again").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    made = desk.chosen(shown.row.video_id)
    assert [(each.change, each.rank) for each in made.edits] == [
        (Change.TRIM, 1), (Change.TRIM, 2), (Change.ADD, 4),
    ]  # fmt: skip


def test_shapes_and_captions_are_chosen_and_nothing_but_their_pictures_is_rendered(
    page: Page, base_url: str, desk: Desk, request: pytest.FixtureRequest
) -> None:
    shown = desk.video(f"shapes-{request.node.callspec.id}")
    video_id = shown.row.video_id
    was = desk.clips(video_id)
    page.goto(f"{base_url}{shown.path}/edit")

    page.get_by_label("Vertical 9:16").check()
    page.get_by_label("Captions burnt in").select_option("bold")
    expect(page.locator("#summary")).to_have_text("Made of every clip: vertical, vertical with captions.")
    page.get_by_label("Title of clip 1").fill("Renamed")
    expect(page.locator("#summary")).to_contain_text("No clip will be rendered, 3 clips stay as cut. Made of every")
    assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_role("button", name="Render again").click()

    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    expect(page.get_by_text("The clips below are those from before.")).to_be_visible()
    expect(page.get_by_text("Watch it as")).to_have_count(0)
    assert desk.render(video_id) == 2 * len(NAMES)
    expect(page.get_by_role("link", name="Vertical , “Renamed”")).to_be_visible()
    link = page.get_by_role("link", name="Vertical captions , “Three”")
    expect(link).to_be_visible()
    captioned = f"{base_url}{link.get_attribute('href')}"
    assert page.request.get(captioned).headers["content-type"] == "video/mp4"
    for old, new in zip(was.clips, desk.clips(video_id).clips, strict=True):
        assert new.files.keys() - old.files.keys() == {"vertical", "vertical_captions"}
        assert {role: new.files[role] for role in old.files} == old.files
        assert (new.failed, new.framings["vertical"].finished_height > new.framings["vertical"].finished_width) == (
            {},
            True,
        )

    page.goto(f"{base_url}{shown.path}/edit")
    expect(page.get_by_label("Vertical 9:16")).to_be_checked()
    expect(page.get_by_label("Captions burnt in")).to_have_value("bold")
    page.get_by_label("Captions burnt in").select_option("")
    expect(page.locator("#summary")).to_have_text("Not delivered any more: vertical with captions.")
    page.get_by_role("button", name="Render again").click()
    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    assert desk.render(video_id) == 0
    expect(page.get_by_role("heading", name="3 clips are ready")).to_be_visible()
    expect(page.get_by_role("link", name="Vertical , “Three”")).to_be_visible()
    expect(page.get_by_role("link", name="Vertical captions , “Three”")).to_have_count(0)
    assert page.request.get(captioned).status == 404


def test_with_the_keyboard_alone_shapes_and_captions_are_chosen(
    page: Page, base_url: str, desk: Desk, request: pytest.FixtureRequest
) -> None:
    shown = desk.video(f"shape-keys-{request.node.callspec.id}")
    page.goto(f"{base_url}{shown.path}/edit")
    expect(page.get_by_label("Captions in the source's own shape, too")).to_be_disabled()

    page.get_by_label("Vertical 9:16").focus()
    for key in ("Tab", "Space", "Tab", "Tab", "ArrowDown", "ArrowDown", "Tab", "Space"):
        page.keyboard.press(key)
    expect(page.locator("#summary")).to_have_text(
        "Made of every clip: square, source with captions, square with captions."
    )
    page.get_by_role("button", name="Render again").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
    assert desk.chosen(shown.row.video_id).pictures == PictureOptions(
        renditions=(Shape.SOURCE, Shape.SQUARE), captions=CaptionStyle.KARAOKE
    )


def test_a_word_that_is_clicked_shows_the_picture_of_the_chosen_clip_there(
    page: Page, base_url: str, desk: Desk, request: pytest.FixtureRequest
) -> None:
    shown = desk.video(f"watch-{request.node.callspec.id}")
    page.goto(f"{base_url}{shown.path}/edit")
    page.get_by_label("Work on clip 2").check()
    preview = page.get_by_label("The chosen clip as it is cut")
    expect(preview).to_have_attribute("src", f"{shown.path}/clips/{shown.row.video_id}.02.mp4")
    page.wait_for_function("() => document.getElementById('preview').readyState > 0")

    page.locator('[data-word="20"]').click()
    page.wait_for_function("() => !document.getElementById('preview').seeking")

    word = spoken(shown.row.video_id).words[20]
    assert abs(preview.evaluate("video => video.currentTime") - (word.start_s - 8)) < 2 * FRAME_S
    page.get_by_role("button", name="Add as a new clip").click()
    expect(preview).to_be_hidden()


def test_what_was_changed_meanwhile_is_told_and_what_was_typed_stays(
    page: Page, base_url: str, desk: Desk, request: pytest.FixtureRequest
) -> None:
    shown = desk.video(f"both-{request.node.callspec.id}")
    page.goto(f"{base_url}{shown.path}/edit")
    page.get_by_label("Title of clip 1").fill("Mine")
    version = desk.chosen(shown.row.video_id).origin.data_version
    other = page.request.patch(
        f"{base_url}/public/video/clips",
        headers={"Authorization": f"Bearer {shown.token}"},
        data={"version": version, "edits": [{"change": "drop", "clip": 2}]},
    )
    assert other.ok

    page.get_by_role("button", name="Render again").click()

    expect(page.locator("#problem")).to_contain_text("The clips were changed meanwhile")
    expect(page.get_by_label("Title of clip 1")).to_have_value("Mine")
