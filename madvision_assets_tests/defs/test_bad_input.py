"""Claims about bad input: each ends in clips, an honest outcome, or a failure with a sentence; never in a trace."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from madvision_assets.domain.failures import leaves
from madvision_assets_tests import footage
from madvision_assets_tests.command_line import CommandLine
from madvision_assets_tests.site import Site

pytestmark = pytest.mark.whole

SENTENCES = {leaf.code: leaf.sentence for leaf in leaves()}
Maker = Callable[[Path, Path], Path]


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage.talking(tmp_path_factory.mktemp("footage") / "talk.mp4")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def assert_failed(command_line: CommandLine, source: str, cause: str) -> None:
    before = set(command_line.workplace().store.list_keys())

    result = command_line.run("process", source)
    told = " ".join(result.output.split())

    assert result.exit_code == 1, told
    assert f"({cause})" in told
    assert SENTENCES[cause] in told
    assert "Traceback" not in told
    assert set(command_line.workplace().store.list_keys()) == before, "something was published"
    assert command_line.leftovers() == []


def assert_ended_well(command_line: CommandLine, source: str, *outcomes: str) -> None:
    result = command_line.run("process", source)

    assert result.exit_code == 0, result.output
    ended = re.search(r"No clips \((\w+)\): .+", result.output)
    assert (ended.group(1) if ended else "clips") in outcomes, result.output
    assert command_line.leftovers() == []


@pytest.mark.parametrize(
    ("name", "make", "cause"),
    [
        ("music.mp3", lambda out, _: footage.audio_only(out), "no_video_track"),
        ("cover.mp3", lambda out, _: footage.audio_with_cover(out), "no_video_track"),
        ("mute.mp4", footage.mute, "no_audio_track"),
        ("no-index.mp4", footage.truncated_index, "corrupt_media"),
        ("cut-off.mp4", footage.truncated_media, "corrupt_media"),
        ("empty.mp4", lambda out, _: footage.empty(out), "empty_file"),
        ("text.mp4", lambda out, _: footage.text(out), "not_media"),
        ("playlist.mp4", footage.playlist, "not_media"),
        ("still.png", lambda out, _: footage.picture(out), "not_media"),
    ],
)
def test_a_file_that_is_no_whole_video_with_sound_fails_with_its_cause(
    command_line: CommandLine, talk: Path, tmp_path: Path, name: str, make: Maker, cause: str
) -> None:
    assert_failed(command_line, str(make(tmp_path / name, talk)), cause)


@pytest.mark.parametrize(
    ("name", "make", "outcomes"),
    [
        ("blink.mp4", lambda out, _: footage.tiny(out), ("too_short", "no_speech")),
        ("beep.mp4", lambda out, _: footage.one_sound_frame(out), ("too_short", "no_speech")),
        ("silent.mp4", lambda out, _: footage.silence(out), ("no_speech",)),
        ("phone.mp4", footage.rotated, ("too_short", "no_speech")),
        ("slides.mp4", lambda out, _: footage.slides(out), ("no_speech", "nothing_insightful", "clips", "too_short")),
        ("odd.mp4", lambda out, _: footage.odd(out), ("too_short", "no_speech")),
        (
            "a 'quoted' \"name\" \U0001f600.mp4",
            lambda out, of: out.write_bytes(of.read_bytes()) and out,
            ("too_short", "no_speech"),
        ),
        ("broadcast.ts", footage.transport_stream, ("too_short", "no_speech")),
    ],
)
def test_an_odd_video_ends_in_an_honest_outcome(
    command_line: CommandLine, talk: Path, tmp_path: Path, name: str, make: Maker, outcomes: tuple[str, ...]
) -> None:
    assert_ended_well(command_line, str(make(tmp_path / name, talk)), *outcomes)


def test_addresses_without_a_video_fail_with_their_cause(command_line: CommandLine, site: Site, talk: Path) -> None:
    page = site.html("/page", title="Words only")
    gone = site.fail("/gone.mp4", 410)
    many = site.html(
        "/many", videos=[site.serve(f"/{n}.mp4", talk.read_bytes(), content_type="video/mp4") for n in "ab"]
    )
    text = site.serve("/text.mp4", b"hello, this is text\n" * 50, content_type="text/plain")

    assert_failed(command_line, page, "unsupported_address")
    assert_failed(command_line, gone, "not_found")
    assert_failed(command_line, site.url("/missing.mp4"), "not_found")
    assert_failed(command_line, many, "playlist")
    assert_failed(command_line, text, "not_media")
    assert_failed(command_line, "http://nobody.invalid/talk.mp4", "host_unresolved")


def test_a_title_of_any_kind_is_only_a_title(command_line: CommandLine, site: Site, talk: Path) -> None:
    title = '"Quotes" / slashes \\ ../../etc | <b> \U0001f600 ' + "x" * 500
    media = site.serve("/odd-title.mp4", talk.read_bytes(), content_type="video/mp4")

    assert_ended_well(command_line, site.html("/odd-title", title=title, videos=[media]), "too_short", "no_speech")


def test_a_private_address_is_refused_unless_allowed(tmp_path: Path, site: Site, talk: Path) -> None:
    address = site.serve("/private.mp4", talk.read_bytes(), content_type="video/mp4")

    assert_failed(CommandLine(tmp_path, {"MADVISION_ALLOW_PRIVATE": "0"}), address, "refused_address")
    assert site.hits("/private.mp4") == []


@pytest.mark.parametrize(
    "limits", [("MADVISION_MAX_DURATION_S", "5", "too_long"), ("MADVISION_MAX_BYTES", "1000", "too_large")]
)
def test_admission_limits_hold_for_files_and_addresses(
    tmp_path: Path, site: Site, talk: Path, limits: tuple[str, str, str]
) -> None:
    name, value, cause = limits
    address = site.serve("/limit.mp4", talk.read_bytes(), content_type="video/mp4")

    for source in (str(talk), address):
        assert_failed(CommandLine(tmp_path, {name: value}), source, cause)


@pytest.mark.parametrize("source", ["no-such-file.mp4", "ftp://h/a.mp4", "javascript:alert(1)", ""])
def test_what_is_neither_file_nor_address_is_a_usage_error(command_line: CommandLine, source: str) -> None:
    result = command_line.run("process", source)

    assert result.exit_code == 2
    assert "neither a file" in result.output


def test_credentials_in_an_address_are_refused_and_not_repeated(command_line: CommandLine) -> None:
    result = command_line.run("process", "http://user:hunter2@127.0.0.1/a.mp4")

    assert result.exit_code == 1
    assert "invalid_address" in result.output
    assert "hunter2" not in result.output


def test_a_missing_model_stops_before_anything_is_lost(tmp_path: Path) -> None:
    from madvision_assets_tests.sample import SAMPLE

    command_line = CommandLine(tmp_path, {"MADVISION_WHISPER_MODEL": "no/such/model.pt"})
    result = command_line.run("process", str(SAMPLE))
    told = " ".join(result.output.split())

    assert result.exit_code == 1
    assert "transcript failed (model_missing)" in told
    again = command_line.run("process", str(SAMPLE))
    assert re.search(r"raw_video +already done", again.output)
