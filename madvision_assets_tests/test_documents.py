"""Claims about what people read: what a document points at is there, and what it tells people to type can be typed."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from madvision_assets.command.main import main
from madvision_assets.domain.failures import leaf_of, leaves
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.settings import variable_names

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "madvision_assets_tests"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
INCIDENTS = 10
# What stands for something that the reader has, in capitals, and is no value of an option.
PLACE = re.compile(r"^-?[A-Z][A-Z_/]*$")
BEFORE_A_COMMAND = {"|", "||", "&&", ";", "--", "do", "nice"}
CAUSES = {leaf.code for leaf in leaves()}
# Names in dagster.yaml.
DAGSTERS = {"max_concurrent_runs"}
ENDS_A_COMMAND = {"|", "||", "&&", ";", ">", ")"}


def documents() -> list[Path]:
    """What people read; decisions, the changelog and the tests' samples tell of their day and are left out."""
    return [
        path
        for folder in (ROOT, ROOT / "docs", *sorted((ROOT / "deployments").glob("**/")), ROOT / "benchmarks")
        for path in sorted(folder.glob("*.md"))
        if path.name != "CHANGELOG.md"
    ]


each_document = pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))


@each_document
def test_what_a_document_points_at_is_there(path: Path) -> None:
    text = path.read_text()
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    rooms = (ROOT, path.parent, ROOT / "madvision_assets", TESTS)
    modules = re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py|test_\w+\.py)`", text)

    assert [link for link in links if not (path.parent / link).exists()] == []
    assert [name for name in modules if not any((room / name).exists() for room in rooms)] == []


def typed(text: str) -> list[str]:
    """What somebody is told to type: lines of shell blocks without prompts and comments, and code within a line."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.strip().removeprefix("$ ") for line in lines] + re.findall(r"`([^`\n]+)`", without_blocks(text))


def without_blocks(text: str) -> str:
    """The text with its blocks of code left out."""
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each ``madvision …`` in what is to be typed."""
    for line in typed(text):
        try:
            words = shlex.split(line.replace(";", " ; "), comments=True)
        except ValueError:  # a quotation within a sentence
            continue
        for at, word in enumerate(words[:-1]):
            begins = at == 0 or words[at - 1] in BEFORE_A_COMMAND or words[max(0, at - 2)] == "exec"
            if Path(word).name == "madvision" and begins:
                given = words[at + 1 :]
                ends = [n for n, each in enumerate(given) if each in ENDS_A_COMMAND]
                yield given[: ends[0] if ends else None]


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command, as far as can be seen without running it."""
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.commands.get(rest[0])
        if found is None:
            return None if PLACE.match(rest[0]) or rest[0] == "…" else f"there is no command {rest[0]}"
        command, rest = found, rest[1:]
    options = {name: each for each in command.params for name in (*each.opts, *each.secondary_opts)}
    known = {*options, "--help", "-h", "--version"}
    for name, value in zip(rest, [*rest[1:], ""], strict=False):
        if name == "--":
            break
        if not name.startswith("-") or name == "-" or PLACE.match(name):
            continue
        if name not in known:
            return f"{command.name} has no option {name}"
        kind = options[name].type if name in options else None
        if isinstance(kind, click.Choice) and not PLACE.match(value) and value not in kind.choices:
            return f"{command.name} {name} takes no {value}"
        if name == "--cause" and not PLACE.match(value) and value not in CAUSES:
            return f"there is no cause {value}"
    return None


@each_document
def test_what_a_document_tells_people_to_type_can_be_typed(path: Path) -> None:
    told = [(words, complaint(words)) for words in commands(path.read_text())]

    assert [(" ".join(words), why) for words, why in told if why] == []


@pytest.mark.parametrize(
    "line",
    [
        "madvision requeu --video ID",
        "madvision requeue --vidoe ID",
        "madvision requeue --cause api_key_wrong",
        "madvision requeue --video ID --from transcripts",
        "docker compose exec code-server madvision status --stats parked",
        "madvision status --format json | madvision forgett -",
        "madvision store veryfy",
    ],
)
def test_a_command_that_is_mistyped_is_found(line: str) -> None:
    for text in (f"```sh\n{line}\n```", f"Type `{line}`."):
        assert [complaint(words) for words in commands(text) if complaint(words)]


# --- the runbooks ---


def incidents() -> dict[str, str]:
    """The text of each, by its heading."""
    _, *parts = re.split(r"^## ", RUNBOOKS.read_text(), flags=re.MULTILINE)
    return {heading: body for heading, _, body in (part.partition("\n") for part in parts)}


def test_there_is_a_runbook_for_each_of_the_likeliest_incidents_that_says_what_one_needs() -> None:
    assert len(incidents()) == INCIDENTS
    for heading, body in incidents().items():
        for word in ("**By itself:**", "**Do:**", "**Over:**", "**Lost, paid:**"):
            assert word in body, heading
        assert list(commands(body)), heading


def measured() -> set[str]:
    """What Prometheus' rules ask for, which their own test holds against ``/metrics``."""
    return set(re.findall(r"madvision(?:_[a-z]+)+", (ROOT / "deployments/monitoring/alerts.yaml").read_text()))


def test_causes_and_variables_in_the_runbooks_are_ours() -> None:
    text = RUNBOOKS.read_text()
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))
    variables = set(re.findall(r"MADVISION_[A-Z_]+|OPENAI_[A-Z_]+", text))

    assert named - CAUSES - {step.value for step in PipelineStep} - DAGSTERS - measured() == set()
    assert variables - set(variable_names()) == set()


def test_what_the_runbooks_show_is_told_in_these_words() -> None:
    outputs = " ".join(" ".join(re.findall(r"```text\n(.*?)```", RUNBOOKS.read_text(), re.DOTALL)).split())
    told = re.findall(r"requeue --cause (\w+)", outputs) + re.findall(r"(\w+): (?=[A-Z])", outputs)

    assert {code for code in told if code in CAUSES and leaf_of(code).sentence not in outputs} == set()
    assert len(CAUSES.intersection(told)) > INCIDENTS / 2
