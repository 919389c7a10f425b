"""Claims about what is chosen by its name: a new speech engine, or a new analyst, is a file and its name in a table.

As ``test_house_grows`` does it: in a copy that is type-checked and run, from the command to the stored documents.
"""

from pathlib import Path

import pytest

from madvision_assets_tests import footage
from madvision_assets_tests.house import House

ENGINE = '''"""An engine that hears the word "measure" all the time, and keeps what it was given in its recipe."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.heard import Asked, HeardSegment, HeardWord
from madvision_assets.tools.speech import Device, EngineDescriptor, EngineOptions, Heard, Tell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Metronome:
    """See ``SpeechEngine``."""

    options: EngineOptions

    def prepare(self, tell: Tell) -> None:
        """See ``SpeechEngine``."""

    def transcribe(self, samples: "NDArray[np.float32]", asked: Asked) -> Heard:
        """A word each half second."""
        words = tuple(HeardWord(f" beat{n}", n / 2, (n + 1) / 2) for n in range(len(samples) // 8000))
        text = "".join(word.text for word in words)
        return Heard(asked.language or "nl", (HeardSegment(text, 0.0, len(words) / 2, words),))

    def check(self) -> tuple[bool, str]:
        """See ``SpeechEngine``."""
        return True, f"ticking as {self.options.model}"

    def recipe(self) -> Recipe:
        """See ``SpeechEngine``."""
        given = {"base_url": self.options.base_url, "key_length": len(self.options.api_key)}
        return Recipe(engine="metronome", model=self.options.model, parameters=given)


DESCRIPTOR = EngineDescriptor("metronome", Metronome, extra="k8s", devices=(Device.CPU,), models="any tempo")
'''
ANALYST = '''"""An analyst that takes everything for news, and for one moment."""

from dataclasses import dataclass

from madvision_assets.domain.clips import Moment
from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.paying import Desk
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst import AnalystDescriptor, AnalystOptions, Progress, Proposal


@dataclass(frozen=True)
class Editor:
    """See ``Analyst``."""

    options: AnalystOptions
    desk: Desk

    def classify(
        self, transcript: Transcript, source: SourceMetadata, progress: Progress | None = None
    ) -> Made[ContentType]:
        """See ``Analyst``."""
        verdict = ContentType(
            video_id=transcript.video_id, kind=ContentKind.NEWS, confidence=Confidence.LOW, reason="It is new."
        )
        return Made(verdict, Recipe(engine="editor", model=self.options.model))

    def propose(
        self,
        transcript: Transcript,
        kind: ContentKind,
        source: SourceMetadata,
        options: Options,
        progress: Progress | None = None,
    ) -> Proposal:
        """See ``Analyst``."""
        words = {"title": "All of it", "reason": "It is new.", "quote": "beat0 beat1 beat2 beat3"}
        moment = Moment(first_segment=0, last_segment=0, score=1.0, **words)
        return Proposal((moment,), provisional=False, recipe=Recipe(engine="editor"))

    def check(self) -> tuple[bool, str]:
        """See ``Analyst``."""
        return True, f"an editor of {self.options.model}"

    def fingerprint(self, step: str) -> str:
        """See ``Analyst``."""
        return f"editor {step} {self.options.model}"


DESCRIPTOR = AnalystDescriptor("editor", Editor, needs_key=True)
'''
ASK = """
import json, sys
from pathlib import Path
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.command_line import CommandLine

home, talk = map(Path, sys.argv[1:])
chosen = {
    "MADVISION_WHISPER_ENGINE": "metronome", "MADVISION_WHISPER_MODEL": "allegro",
    "MADVISION_ANALYST": "editor", "MADVISION_OPENAI_MODEL": "broadsheet",
    "OPENAI_API_KEY": "sk-secret", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
}
command_line = CommandLine(home, chosen)
doctor = command_line.run("doctor")
process = command_line.run("process", str(talk))
assert process.exit_code == 0, process.output
video_id, workplace = process.output.split()[1].rstrip(":"), command_line.workplace()
made = {step: workplace.provenance(video_id, step) for step in PipelineStep}
names = ("MADVISION_WHISPER_ENGINE", "MADVISION_ANALYST")
refused = [CommandLine(home, {**chosen, name: "siri"}).run("doctor") for name in names]
print(json.dumps({
    "doctor": [doctor.exit_code, doctor.output],
    "process": process.output,
    "made": {step: [each.engine, each.model, each.parameters] for step, each in made.items()},
    "refused": [[each.exit_code, each.output] for each in refused],
}))
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.long
def test_an_engine_or_an_analyst_is_a_file_and_its_name_in_a_table(house: House, tmp_path: Path) -> None:
    house.write("tools/speech/metronome.py", ENGINE)
    house.edit(
        "tools/speech/registry.py",
        ("    faster_whisper,\n", "    faster_whisper,\n    metronome,\n"),
        ("openai_whisper, sequential, api)", "openai_whisper, sequential, api, metronome)"),
    )
    house.write("tools/analyst/editor.py", ANALYST)
    house.edit(
        "tools/analyst/registry.py",
        ("AnalystOptions, offline", "AnalystOptions, editor, offline"),
        ("in (openai_analyst, offline)", "in (openai_analyst, editor, offline)"),
    )

    told = house.ask(ASK, str(tmp_path / "home"), str(footage.talking(tmp_path / "talk.mp4", 20.0)))

    assert len(house.touched) == 2 + 2
    ready, report = told["doctor"]
    assert (ready, "ticking as allegro" in report, "an editor of broadsheet" in report) == (0, True, True)
    assert told["made"]["transcript"] == [
        "metronome",
        "allegro",
        {"base_url": "http://127.0.0.1:9/v1", "key_length": 9},
    ]
    assert told["made"]["content_type"][:2] == ["editor", "broadsheet"]
    assert told["made"]["clip_candidates"][0] == "editor"
    assert "All of it" in told["process"]
    (no_engine, engines), (no_analyst, analysts) = told["refused"]
    assert (no_engine, no_analyst) == (2, 2)
    assert "metronome (on cpu; its model is any tempo)" in engines
    assert "editor (needs OPENAI_API_KEY)" in analysts
    assert house.faults(*house.touched) == []


@pytest.mark.whole
def test_an_engine_that_lacks_something_does_not_type_check(house: House) -> None:
    house.write(
        "tools/speech/metronome.py", ENGINE.replace("def recipe(", "def formula(").replace(', models="any tempo"', "")
    )

    faults = "\n".join(house.faults("tools/speech/metronome.py"))

    assert 'Missing positional argument "models"' in faults
    assert 'expected "Callable[[EngineOptions], SpeechEngine]"' in faults  # its recipe
