"""The images: what goes in, and that it is enough. Without a Docker engine; packages and commands are real."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths  # type: ignore[import-untyped]

from madvision_assets_tests.real_servers import free_port
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deployments" / "docker"
TARGETS = ("intake", "pipeline", "gpu")
LIMIT_S = 60
INSTALL_LIMIT_S = 240

Instruction = tuple[str, str]


def instructions() -> dict[str, list[Instruction]]:
    """What each stage of the Dockerfile does, by the stage's name."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    stages: dict[str, list[Instruction]] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages[rest.split()[-1]] = []
        if word:
            stages[list(stages)[-1]].append((word, rest))
    return stages


def said(word: str) -> list[str]:
    """All that follows a word of the Dockerfile."""
    return [rest for stage in instructions().values() for each, rest in stage if each == word]


def lineage(target: str) -> list[Instruction]:
    """What was done for an image, in order, beginning with the first stage it stands on."""
    stages = instructions()
    base = stages[target][0][1].split()[0]
    return [*(lineage(base) if base in stages else []), *stages[target]]


def copied() -> set[str]:
    """What is copied out of the repository."""
    sources = [rest.split()[:-1] for rest in said("COPY") if "--from=" not in rest]
    return {source for each in sources for source in each if not source.startswith("--")}


def pins(name: str) -> dict[str, str]:
    """Package and version of each line of a file of pins."""
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.lower().replace("_", "-").split("==") for line in lines if line and not line.startswith("#"))


def test_the_locked_packages_are_those_that_are_installed() -> None:
    checked = subprocess.run(
        [sys.executable, FOLDER / "lock.py", "--check"], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("target", TARGETS)
def test_images_hold_the_versions_that_are_tested(target: str) -> None:
    tested = pins("constraints.txt") | {"setuptools": distribution("setuptools").version}

    assert {name: tested.get(name) for name in pins(f"deployments/docker/{target}.txt")} == pins(
        f"deployments/docker/{target}.txt"
    )


def test_each_image_holds_what_it_needs_and_no_model_that_it_does_not() -> None:
    intake, pipeline, gpu = (pins(f"deployments/docker/{target}.txt") for target in TARGETS)

    assert not [
        name for name in intake if name.startswith(("dagster", "av", "kubernetes", "numpy", "openai", "pandas"))
    ]
    assert {"dagster-webserver", "dagster-k8s", "dagster-aws", "dagster-postgres", "av"} <= pipeline.keys()
    assert gpu.keys() - pipeline.keys() >= {"openai-whisper", "tiktoken", "numba", "llvmlite"}
    assert pipeline.items() <= gpu.items()
    # torch comes with the CUDA libraries of its own choice, in the version that is tested.
    assert {"torch", "triton"}.isdisjoint(gpu)
    assert f"torch=={pins('constraints.txt')['torch']}" in (FOLDER / "Dockerfile").read_text()


def test_base_images_are_pinned() -> None:
    outside = [name for name in (rest.split()[0] for rest in said("FROM")) if name not in instructions()]

    assert outside
    assert [name for name in outside if not re.fullmatch(r"[a-z]+:\d+\.\d+\.\d+-[a-z-]+", name)] == []


@pytest.mark.parametrize("target", TARGETS)
def test_images_run_as_nobody_in_particular_and_pass_signals_on(target: str) -> None:
    done = lineage(target)
    last = {word: rest for word, rest in done if word != "RUN"}

    assert last["USER"] == "10001:10001"
    assert json.loads(last["ENTRYPOINT"]) == ["/usr/bin/tini", "--"]
    assert json.loads(last["CMD"])[0] in {"madvision", "dagster"}
    for check in said("HEALTHCHECK"):
        assert json.loads(check.partition("CMD ")[2])


def test_what_is_copied_and_installed_is_there() -> None:
    assert [source for source in copied() if not list(ROOT.glob(source))] == []
    locks = re.findall(r"-[rc] /locks/(\S+)", " ".join(said("RUN")))
    assert set(locks) == {"faces.txt", *(f"{target}.txt" for target in TARGETS)}


def test_the_build_context_is_what_is_copied_and_nothing_else() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    wanted = [path for source in copied() for path in ROOT.glob(source)]

    sent = {ROOT / path for path in exclude_paths(str(ROOT), rules) if (ROOT / path).is_file()}
    sent.discard(ROOT / ".dockerignore")  # always sent

    assert {path for path in wanted if path.is_file()} <= sent
    assert [path for path in sent if not any(path == each or each in path.parents for each in wanted)] == []
    assert [path for path in sent if path.suffix == ".pyc"] == []


def closed(folder: Path, target: str) -> dict[str, str]:
    """An environment in which Python finds the packages of a target and our own, and no others; they are links."""
    folder.mkdir()
    for name in pins(f"deployments/docker/{target}.txt"):
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(package.locate_file(top))))
    (folder / "madvision_assets").symlink_to(ROOT / "madvision_assets")
    return environment(folder.parent / "home") | {"PYTHONPATH": str(folder)}


def environment(home: Path) -> dict[str, str]:
    """Ours without what belongs to this project."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MADVISION_", "PYTHON"))}
    return ours | {"MADVISION_HOME": str(home)}


@contextmanager
def intake(command: list[str], folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """The address of ``madvision serve``, after ``madvision migrate``; SIGTERM ends it at the end of the block."""
    subprocess.run([*command, "migrate"], cwd=folder, env=variables, check=True, timeout=LIMIT_S, capture_output=True)
    port = free_port()
    log = folder / "serve.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "serve", "--port", str(port)], cwd=folder, env=variables, stdout=output, stderr=output
        ) as server,
    ):
        try:
            wait_for(lambda: server.poll() is not None or _answers(port), LIMIT_S, f"the intake; see {log}")
            assert server.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(LIMIT_S)


def _answers(port: int) -> bool:
    try:
        return _get(f"http://127.0.0.1:{port}/healthz") == {"status": "alive"}
    except OSError:
        return False


def _get(address: str | urllib.request.Request) -> object:
    with urllib.request.urlopen(address, timeout=LIMIT_S) as answer:
        return json.load(answer)


def expect_a_submission_taken(address: str) -> None:
    """It is ready, and takes an address in, which yt-dlp is asked about."""
    body = json.dumps({"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}).encode()
    receipt = _get(urllib.request.Request(f"{address}/public/video", body, {"Content-Type": "application/json"}))

    assert isinstance(receipt, dict)
    assert receipt["video_id"] == "youtube-dQw4w9WgXcQ"
    ready = _get(f"{address}/readyz")
    assert isinstance(ready, dict)
    assert {"database", "store"} <= {check["name"] for check in ready["checks"] if check["status"] == "ok"}


def test_the_intake_runs_on_its_packages_alone(tmp_path: Path) -> None:
    variables = closed(tmp_path / "packages", "intake")

    with intake([sys.executable, "-S", "-m", "madvision_assets.command.main"], tmp_path, variables) as address:
        expect_a_submission_taken(address)


def test_the_pipeline_loads_on_its_packages_alone(tmp_path: Path) -> None:
    variables = closed(tmp_path / "packages", "pipeline") | {"MADVISION_EXECUTOR": "k8s"}
    code = (
        "import dagster_aws.s3, dagster_k8s, dagster_postgres, dagster_webserver.cli; "
        "import madvision_assets.definitions as d; print(d.defs().executor.name)"
    )

    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert loaded.stdout == b"k8s\n", loaded.stderr.decode()


@pytest.mark.long
def test_the_intake_image_installs_and_serves(tmp_path: Path) -> None:
    """The pip lines of the Dockerfile, in a new environment: from the package index to a submission."""
    python = [sys.executable, "-m", "pip", "--python", str(tmp_path / "venv"), "install", "--quiet", "--no-deps"]
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "madvision_assets"):
        (source / name).symlink_to(ROOT / name)

    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")],
        [*python, "-r", str(FOLDER / "intake.txt")],
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)],
    ):
        subprocess.run(command, check=True, timeout=INSTALL_LIMIT_S)
    subprocess.run([*python, *map(str, tmp_path.glob("*.whl"))], check=True, timeout=INSTALL_LIMIT_S)

    with intake([str(tmp_path / "venv" / "bin" / "madvision")], tmp_path, environment(tmp_path / "home")) as address:
        expect_a_submission_taken(address)
