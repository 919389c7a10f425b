"""Claims about ``docs/programs.md``: its programs, as they stand there, take a video from its address to its clips."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import PrivateVideoError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.figures import Figures
from madvision_assets.work.webhooks import standard_headers
from madvision_assets_tests.intake.serving import serving
from madvision_assets_tests.intake.video_states import VideoStates, wait_until

LIMIT_S = 300
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "programs.md"
MOMENTS = (("The first of them", "it stands alone"), ("The second", "so does it"))
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, yes").decode()
BODY = json.dumps({"event": "video.done", "title": "Größe"}).encode()


def block(heading: str, language: str) -> str:
    """The code of one language below a heading."""
    section = DOCUMENT.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(code)


@dataclass(frozen=True)
class Program:
    """One of the document: its heading and language, the file that it goes into, and what runs that."""

    heading: str
    language: str
    file: str
    interpreter: str
    wants: Sequence[str]

    def run(self, folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run it in a folder, to its end."""
        (folder / self.file).write_text(block(self.heading, self.language))
        return self.started(folder, self.file, *words, **variables)

    def started(self, folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run what runs it; skips where that is not installed."""
        missing = [each for each in self.wants if shutil.which(each) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")
        return subprocess.run(
            [self.interpreter, *words],
            cwd=folder,
            env={"PATH": os.environ["PATH"], **variables},  # and no proxy of whoever runs these tests
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )


PROGRAMS = (
    Program("curl", "sh", "clips.sh", "sh", ("sh", "curl", "jq")),
    Program("Python", "python", "clips.py", sys.executable, ()),
    Program("JavaScript", "javascript", "clips.mjs", "node", ("node",)),
)


@dataclass(frozen=True)
class Served:
    """Videos that a test moves, and the intake that tells of them."""

    states: VideoStates
    url: str

    def submissions(self) -> int:
        """So many were taken in."""
        return Figures(self.states.services.database).submissions()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    states = VideoStates(tmp_path_factory.mktemp("programs"))
    with serving(states.services.settings) as intake:
        yield Served(states, f"http://127.0.0.1:{intake.port}")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.heading)
def test_a_program_submits_waits_and_takes_the_clips(program: Program, served: Served, tmp_path: Path) -> None:
    states, address = served.states, f"https://media.example.org/{program.file}.mp4"
    shown, lease = states.running(address, PipelineStep.CLIPS)
    before = served.submissions()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(program.run, tmp_path, address, MADVISION_URL=served.url)
        wait_until(lambda: running.done() or served.submissions() > before)
        states.finish(lease, Outcome.CLIPS, moments=MOMENTS)
        done = running.result(LIMIT_S)

    assert (done.returncode, served.submissions()) == (0, before + 1), done.stderr
    film, _, _ = states._media
    taken = sorted(tmp_path.glob("*.mp4"))
    assert [file.stem for file in taken] == [f"{shown.row.video_id}.{rank:02}" for rank in (1, 2)]
    assert all(file.read_bytes() == film.read_bytes() for file in taken)
    assert all(file.name in done.stdout for file in taken)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.heading)
def test_a_program_says_why_there_are_no_clips_and_ends_badly(program: Program, served: Served, tmp_path: Path) -> None:
    address = f"https://media.example.org/private/{program.file}.mp4"
    served.states.failed(address, PipelineStep.RAW_VIDEO, PrivateVideoError())
    # Submitted again it would be tried again: so it fails for the second time while the program waits.
    before = served.submissions()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(program.run, tmp_path, address, MADVISION_URL=served.url)
        wait_until(lambda: running.done() or served.submissions() > before)
        served.states.failed(address, PipelineStep.RAW_VIDEO, PrivateVideoError())
        done = running.result(LIMIT_S)

    assert done.returncode != 0
    assert PrivateVideoError.sentence in done.stdout + done.stderr
    assert list(tmp_path.glob("*.mp4")) == []


def test_the_receiver_in_python_hears_a_message_once_and_from_us_alone() -> None:
    names: dict[str, Any] = {}
    exec(block("Callbacks", "python"), names)  # noqa: S102 - as it stands in the document
    heard, seen = names["heard"], set[str]()
    headers = standard_headers(SECRET, "msg_1", int(time.time()), BODY)

    assert heard(SECRET, headers, BODY, seen) == json.loads(BODY)
    assert heard(SECRET, headers, BODY, seen) is None
    with pytest.raises(Exception, match="No matching signature"):
        heard(SECRET, headers | {"webhook-id": "msg_2"}, BODY, seen)
    assert seen == {"msg_1"}


def test_the_receiver_in_javascript_hears_us_alone(tmp_path: Path) -> None:
    (tmp_path / "heard.mjs").write_text(block("Callbacks", "javascript"))
    now_s = int(time.time())
    ours, early = (standard_headers(SECRET, "msg_1", at_s, BODY) for at_s in (now_s, now_s - 600))
    given = [(ours, BODY), (early, BODY), (ours | {"webhook-id": "msg_2"}, BODY), (ours, BODY + b" ")]
    coded = json.dumps([(headers, base64.b64encode(body).decode()) for headers, body in given])
    script = f"""
        import {{ heard }} from "./heard.mjs";
        for (const [headers, body] of {coded}) {{
          try {{ console.log(heard("{SECRET}", headers, Buffer.from(body, "base64")).title); }}
          catch (error) {{ console.log(error.message); }}
        }}"""

    done = Program("Callbacks", "javascript", "heard.mjs", "node", ("node",)).started(
        tmp_path, "--input-type=module", "-e", script
    )

    refused = "not signed with our secret, or of another time"
    assert done.stdout.splitlines() == ["Größe", refused, refused, refused], done.stderr
