"""Claims about the pages over a real socket, as a browser without JavaScript has them."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from madvision_assets.domain import failures
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.app import make_app
from madvision_assets.intake.pages.render import MEDIA_TYPES, STATIC_FOLDER
from madvision_assets.intake.services import make_services
from madvision_assets_tests import stores
from madvision_assets_tests.intake.serving import settings_in
from madvision_assets_tests.intake.video_states import VideoStates, served
from madvision_assets_tests.real_servers import S3Server

MOMENTS = (("A claim", "It stands alone."), ('<img src=x onerror=alert(1)> "quoted"', "<script>alert(2)</script>"))
UNKNOWN_TOKEN = "A" * 43
MIN_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> VideoStates:
    return VideoStates(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def client(states: VideoStates) -> Iterator[httpx.Client]:
    with served(make_app(states.services)) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


# --- the form ---


def test_scripts_of_one_page_share_no_name() -> None:
    """A function of a later script would take the place of an earlier one's of that name."""
    for template in (STATIC_FOLDER.parent / "templates").glob("*.html"):
        scripts = re.findall(r"static\('(\w+\.js)'\)", template.read_text())
        texts = [(STATIC_FOLDER / script).read_text() for script in scripts]
        names = [name for text in texts for name in re.findall(r"(?m)^(?:async )?(?:function|const|let) (\w+)", text)]
        assert sorted(names) == sorted(set(names)), template.name


def test_a_form_without_javascript_leads_to_the_page_of_its_video(client: httpx.Client) -> None:
    answer = client.post("/", data={"url": "https://example.org/form.mp4"})

    assert answer.status_code == 303
    assert re.fullmatch(r"/video/[A-Za-z0-9_-]{43}", answer.headers["location"])
    page = client.get(answer.headers["location"])
    assert page.status_code == 200
    assert "In the queue" in page.text
    assert "https://example.org/form.mp4" in page.text


def test_the_address_has_a_label_and_a_help_text_and_the_focus(client: httpx.Client) -> None:
    page = client.get("/").text

    field = _tag(page, 'id="url"')
    assert '<label for="url">' in page
    assert 'aria-describedby="url-help"' in field
    assert 'id="url-help"' in page
    assert all(each in field for each in ("autofocus", "required", 'inputmode="url"', 'maxlength="4096"'))
    assert page.count("autofocus") == 1


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", "Give the full address"),
        ("javascript:alert(1)", "only http:// and https://"),
        ("http://127.0.0.1/x.mp4", "private or local network"),
        ("Watch this: http://127.0.0.1/x.mp4", "private or local network"),
        ("https://example.org/a and https://example.org/b", "several addresses"),
        ("https://user:secret@example.org/", "credentials"),
        ("x" * 5000, "Give the full address"),
        ("https://example.org/\x00", "control characters"),
    ],
)
def test_a_refused_address_stands_there_again_with_the_reason_beside_it(
    client: httpx.Client, address: str, told: str
) -> None:
    answer = client.post("/", data={"url": address, "max_clips": "7"})

    field = unescape(_tag(answer.text, 'id="url"'))
    assert answer.status_code == 422
    assert f'value="{address}"' in field
    assert 'aria-invalid="true"' in field
    assert "autofocus" in field
    assert 'aria-describedby="url-error url-help"' in field
    assert told in _text_of(answer.text, 'id="url-error"')
    assert 'value="7"' in _tag(answer.text, 'id="max_clips"')


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"max_clips": "0"}, "max_clips"),
        ({"max_clips": "1.5"}, "max_clips"),
        ({"max_clips": "9" * 5000}, "max_clips"),
        ({"min_clip_s": "nan"}, "min_clip_s"),
        ({"min_clip_s": "90", "max_clip_s": "30"}, "min_clip_s"),
        ({"max_clip_s": "soon"}, "max_clip_s"),
        ({"language": "klingon"}, "language"),
        ({"title_language": "klingon"}, "title_language"),
        ({"topic": "x" * 201}, "topic"),
        ({"start_s": "soon"}, "start_s"),
        ({"start_s": "1:00", "end_s": "0:59"}, "end_s"),
        ({"vocabulary": "x" * 61}, "vocabulary"),
        ({"vocabulary": ",".join(f"word{n}" for n in range(51))}, "vocabulary"),
        ({"captions": "comic"}, "captions"),
        ({"priority": "1"}, "priority"),
    ],
)
def test_a_refused_option_is_told_beside_its_own_field_in_the_open_part(
    client: httpx.Client, typed: dict[str, str], field: str
) -> None:
    answer = client.post("/", data={"url": "https://example.org/options.mp4", **typed})

    assert answer.status_code == 422
    assert re.findall(r'id="(\w+)-error"', answer.text) == [field]
    assert "autofocus" in _tag(answer.text, f'id="{field}"')
    assert re.search(r"<details\s+open", answer.text)


def test_what_was_typed_under_more_counts(client: httpx.Client, states: VideoStates) -> None:
    typed = {"max_clips": "3", "min_clip_s": "12.5", "max_clip_s": "40", "priority": "-5"}

    answer = client.post("/", data={"url": "https://example.org/more.mp4", **typed})

    tracked = states.services.submissions.find(answer.headers["location"].removeprefix("/video/"))
    assert tracked is not None
    assert tracked.options.model_dump() == {"max_clips": 3, "min_clip_s": 12.5, "max_clip_s": 40}
    assert tracked.row.priority == -5


def test_what_is_asked_of_the_pictures_counts_and_stands_there_again(client: httpx.Client, states: VideoStates) -> None:
    typed = {"vertical": "1", "portrait": "1", "captions": "karaoke"}

    answer = client.post("/", data={"url": "https://example.org/pictures.mp4", **typed})
    refused = client.post("/", data={"url": "x", **typed}).text

    tracked = states.services.submissions.find(answer.headers["location"].removeprefix("/video/"))
    assert tracked is not None
    asked = tracked.options.model_dump(mode="json", exclude_defaults=True)
    assert asked == {"renditions": ["vertical", "portrait"], "captions": "karaoke"}
    assert ["checked" in _tag(refused, f'id="{shape}"') for shape in ("vertical", "square")] == [True, False]
    assert "selected" in _tag(refused, 'value="karaoke"')


def test_what_is_asked_of_the_words_counts_and_stands_there_again(client: httpx.Client, states: VideoStates) -> None:
    typed = {"language": " DE", "vocabulary": "Ada Lovelace, , Dagster", "translate": "1"}

    answer = client.post("/", data={"url": "https://example.org/words.mp4", **typed})
    refused = client.post("/", data={"url": "x", **typed}).text

    tracked = states.services.submissions.find(answer.headers["location"].removeprefix("/video/"))
    assert tracked is not None
    assert tracked.options.speech == {"language": "de", "vocabulary": ["Ada Lovelace", "Dagster"], "translate": True}
    assert "checked" in _tag(refused, 'id="translate"')
    assert 'value="Ada Lovelace, , Dagster"' in _tag(refused, 'id="vocabulary"')


def test_the_part_and_the_topic_that_are_asked_for_count_and_stand_there_again(
    client: httpx.Client, states: VideoStates
) -> None:
    typed = {"topic": "the price", "start_s": "1:30", "end_s": "1:02:00", "title_language": "de"}

    answer = client.post("/", data={"url": "https://example.org/part.mp4", **typed})
    refused = client.post("/", data={"url": "x", **typed}).text

    tracked = states.services.submissions.find(answer.headers["location"].removeprefix("/video/"))
    assert tracked is not None
    asked = tracked.options.model_dump(mode="json", exclude_defaults=True)
    assert asked == {"topic": "the price", "start_s": 90, "end_s": 3720, "title_language": "de"}
    assert 'value="1:30"' in _tag(refused, 'id="start_s"')


def test_a_link_fills_the_address_in_and_no_more(client: httpx.Client) -> None:
    page = client.get("/", params={"url": '"><script>alert(1)</script>'}).text

    assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in page
    assert "<script>" not in page


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 303), ("none", 303)])
def test_a_form_that_another_site_sends_is_refused(client: httpx.Client, site: str, status: int) -> None:
    sent = {"url": "https://example.org/sites.mp4"}

    answer = client.post("/", data=sent, headers={"Sec-Fetch-Site": site})

    assert answer.status_code == status


def test_too_many_submissions_are_told_as_a_page(tmp_path: Path) -> None:
    app = make_app(VideoStates(tmp_path, requests_per_minute=1).services)
    with served(app) as base_url, httpx.Client(base_url=base_url, headers={"Accept": "text/html"}) as client:
        client.post("/", data={"url": "https://example.org/1.mp4"})
        answer = client.post("/", data={"url": "https://example.org/2.mp4"})

    assert answer.status_code == 429
    assert answer.headers["content-type"].startswith("text/html")
    assert f"{answer.headers['retry-after']} seconds" in answer.text


def test_a_database_that_is_away_is_told_as_a_page(tmp_path: Path) -> None:
    nobody = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
    services = make_services(settings_in(tmp_path, database_url=nobody))
    with served(make_app(services)) as base_url, httpx.Client(base_url=base_url) as client:
        answers = [client.post("/", data={"url": "https://example.org/1.mp4"}), client.get(f"/video/{UNKNOWN_TOKEN}")]

    for answer in answers:
        assert answer.status_code == 503
        assert "Out of order for a moment" in answer.text
        assert int(answer.headers["retry-after"]) > 0


# --- the page of a video ---


def test_a_waiting_video_tells_why_and_when_it_is_tried_again(client: httpx.Client, states: VideoStates) -> None:
    step, failure = PipelineStep.CONTENT_TYPE, failures.AnalystBadAnswerError("not JSON")
    shown = states.failed("https://example.org/waiting.mp4", step, failure)

    page = unescape(client.get(shown.path).text)

    row = states.queue.get(shown.row.video_id)
    assert row is not None
    assert failure.sentence in page
    assert f'data-countdown datetime="{row.next_attempt_at.isoformat()}"' in page
    assert f"{row.next_attempt_at:%H:%M UTC}" in page
    assert _states(page) == ["done", "done", "waiting", "pending", "pending"]


@pytest.mark.parametrize("failure", [failures.PrivateVideoError("members only"), failures.PoisonInputError("again")])
def test_a_video_that_failed_tells_what_to_do(client: httpx.Client, states: VideoStates, failure: Failure) -> None:
    address = f"https://example.org/{failure.code}.mp4?a=1&b=2"
    shown = states.failed(address, PipelineStep.RAW_VIDEO, failure)

    page = client.get(shown.path).text

    assert failure.sentence in unescape(page)
    assert _states(page)[0] == "failed"
    links = [attributes["href"] or "" for tag, attributes in _Tags(page).found if tag == "a"]
    again = [parse_qs(urlsplit(link).query).get("url") for link in links if link.startswith("/?")]
    assert again == ([[address]] if failure.code == "private_video" else [])


@pytest.mark.parametrize(
    ("failure", "button", "keeps_address"),
    [
        (failures.NotFoundError("HTTP 404"), "Correct the address", True),
        (failures.LoginRequiredError("HTTP 401"), "Submit it again", True),
        (failures.CorruptMediaError("no frame"), "Submit another video", False),
    ],
)
def test_what_can_be_done_fits_the_cause_and_the_technical_words_are_folded(
    client: httpx.Client, states: VideoStates, failure: Failure, button: str, keeps_address: bool
) -> None:
    address = f"https://example.org/{failure.code}.mp4"
    shown = states.failed(address, PipelineStep.RAW_VIDEO, failure)

    page = unescape(client.get(shown.path).text)

    folded = re.search(r"<details>(.*?)</details>", page, re.DOTALL)
    assert folded
    assert failure.details in folded[1]
    told = re.search(r'<section class="reason.*?</section>', page.replace(folded[0], ""), re.DOTALL)
    assert told
    assert failure.sentence in told[0]
    assert failure.details not in told[0]
    [link] = re.findall(r'<a class="button" href="([^"]*)">([^<]*)</a>', told[0])
    assert link == (f"/?url={quote(address, safe='')}" if keeps_address else "/", button)


@pytest.mark.parametrize("outcome", [Outcome.NO_SPEECH, Outcome.NOTHING_INSIGHTFUL, Outcome.TOO_SHORT])
def test_a_video_without_clips_tells_the_reason(client: httpx.Client, states: VideoStates, outcome: Outcome) -> None:
    shown = states.done(f"https://example.org/{outcome}.mp4", outcome, f"because of {outcome}")

    page = client.get(shown.path).text

    assert f"because of {outcome}" in page
    assert "ready" not in page
    assert "<video" not in page


def test_each_clip_is_there_to_watch_and_to_take(client: httpx.Client, states: VideoStates) -> None:
    shown = states.done("https://example.org/clips.mp4", Outcome.CLIPS, moments=MOMENTS)

    page = client.get(shown.path).text

    assert "2 clips are ready" in page
    assert "1:02 to 1:47" in page
    unfolded = re.sub(r'<details class="files">.*?</details>', "", page, flags=re.DOTALL)
    links = re.findall(r'(?:src|href|poster)="(/video/[^"]+/clips/[^"]+)"', unfolded)
    assert [link.rpartition(".")[2] for link in links] == ["jpg", "mp4", "vtt", "mp4?download=1", "srt?download=1"] * 2
    assert {client.get(link).status_code for link in links} == {200}


def test_a_video_has_its_name_on_its_page_and_in_its_status(client: httpx.Client, states: VideoStates) -> None:
    shown = states.done("https://named.example.org/v.mp4", Outcome.NO_SPEECH)
    before = client.get(shown.path).text
    raw = stores.raw_video()
    named = raw.source.model_copy(update={"title": "Why <b>old</b> bicycles", "uploader": "Ada"})
    assert raw.provenance is not None
    run = raw.provenance.model_copy(update={"run_id": f"run-{shown.row.video_id}"})
    raw = raw.model_copy(update={"video_id": shown.row.video_id, "source": named, "provenance": run})
    states.services.database.add_lineage(raw, "there")

    page = client.get(shown.path).text
    status = client.get("/public/video/status", headers={"Authorization": f"Bearer {shown.token}"}).json()

    assert '<p class="facts" dir="auto">named.example.org</p>' in before
    assert '<p class="name" dir="auto">Why &lt;b&gt;old&lt;/b&gt; bicycles</p>' in page
    assert "Ada · 1 min 0 s · named.example.org" in page
    assert {name: status[name] for name in ("title", "uploader", "duration_s", "language", "kind", "host")} == {
        "title": "Why <b>old</b> bicycles",
        "uploader": "Ada",
        "duration_s": 60,
        "language": None,
        "kind": None,
        "host": "named.example.org",
    }


def test_what_a_title_smuggles_in_stays_text(client: httpx.Client, states: VideoStates) -> None:
    shown = states.done("https://example.org/smuggled.mp4", Outcome.CLIPS, moments=MOMENTS)

    page = client.get(shown.path).text

    assert "<img src=x" not in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page


def test_the_address_is_text_and_shortened_where_it_is_long(client: httpx.Client, states: VideoStates) -> None:
    address = f"https://example.org/{'long/' * 60}end.mp4"
    shown = states.submitted(address)

    page = client.get(shown.path).text

    told = _text_of(page, 'class="address"')
    assert len(told) < 80
    assert (told[:20], told[-7:]) == (address[:20], "end.mp4")
    assert f'href="{address}' not in page


@pytest.mark.parametrize("token", [UNKNOWN_TOKEN, "abc", "%00", "%ff", "a" * 3000])
def test_an_unknown_token_is_told_what_to_do(client: httpx.Client, token: str) -> None:
    answer = client.get(f"/video/{token}")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "copied whole" in answer.text
    assert 'href="/"' in answer.text


def test_without_javascript_a_page_looks_again_until_it_is_final(client: httpx.Client, states: VideoStates) -> None:
    under_way = states.submitted("https://example.org/looks-again.mp4")
    final = states.done("https://example.org/final.mp4", Outcome.NO_SPEECH)

    assert '<noscript><meta http-equiv="refresh"' in client.get(under_way.path).text
    assert "refresh" not in client.get(final.path).text


# --- headers and files ---


def test_pages_are_kept_nowhere_and_run_nothing_but_their_own_script(client: httpx.Client, states: VideoStates) -> None:
    shown = states.done("https://example.org/headers.mp4", Outcome.CLIPS, moments=MOMENTS)
    for path in ("/", shown.path, f"/video/{UNKNOWN_TOKEN}"):
        answer = client.get(path)

        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for tag, attributes in _Tags(answer.text).found:
            assert tag != "style"
            assert tag != "script" or (attributes["src"] or "").startswith("/static/")
            assert [name for name in attributes if name == "style" or name.startswith("on")] == []


def test_static_files_are_kept_until_they_change(client: httpx.Client) -> None:
    named = set(re.findall(r'"(/static/[^"]+\?v=[0-9a-f]{16})"', client.get("/").text))

    assert len(named) == 4
    for path in named:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert {path.name for path in STATIC_FOLDER.iterdir()} == set(MEDIA_TYPES)
    assert client.get("/static/routes.py").status_code == 404
    assert client.get("/static/..%2froutes.py").status_code == 404


@pytest.mark.whole
def test_clips_in_a_bucket_are_let_through_by_the_policy(tmp_path: Path, s3_server: S3Server) -> None:
    s3_server.create_bucket("pages")
    states = VideoStates(
        tmp_path,
        store_url="s3://pages/states",
        aws_endpoint_url_s3=s3_server.endpoint_url,
        aws_region=s3_server.region,
        aws_access_key_id=s3_server.access_key_id,
        aws_secret_access_key=s3_server.secret_access_key,
    )
    shown = states.done("https://example.org/bucket.mp4", Outcome.CLIPS, moments=MOMENTS)
    with served(make_app(states.services)) as base_url, httpx.Client(base_url=base_url) as client:
        page = client.get(shown.path)
        link = re.search(r'src="(/video/[^"]+mp4)"', page.text)
        assert link
        led_to = client.get(link[1]).headers["location"]

    origin = s3_server.endpoint_url
    assert led_to.startswith(f"{origin}/")
    assert f"media-src 'self' {origin};" in page.headers["content-security-policy"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    light, dark = re.findall(r":root \{(.*?)\}", (STATIC_FOLDER / "pages.css").read_text(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))

    pairs = [(ink, ground) for ink in ("ink", "soft", "pencil", "good", "pause") for ground in ("paper", "sheet")]
    pairs += [("ink", "wash"), ("on-pencil", "pencil"), ("on-pencil", "pencil-down"), ("sheet", "good")]
    weak = {pair for pair in pairs if _contrast(colours[pair[0]], colours[pair[1]]) < MIN_CONTRAST}
    assert weak == set()


class _Tags(HTMLParser):
    """Every opening tag of a page, with its attributes, as a browser would read them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _tag(page: str, attribute: str) -> str:
    """The opening tag that has this attribute."""
    found = re.search(rf"<[^<>]*{re.escape(attribute)}[^<>]*>", page)
    assert found, attribute
    return found[0]


def _text_of(page: str, attribute: str) -> str:
    """What the element with this attribute says."""
    found = re.search(rf"<[^<>]*{re.escape(attribute)}[^<>]*>([^<]*)<", page)
    assert found, attribute
    return unescape(found[1])


def _states(page: str) -> list[str]:
    """State of each step, in order."""
    return re.findall(r'<li class="step (\w+)"', page)


def _contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
