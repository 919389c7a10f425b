"""Claims about the doctor: what each image must hold, and variables that nobody reads."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import packaging
import pytest

from madvision_assets.domain.health import Finding, Health
from madvision_assets.settings import variable_names
from madvision_assets.tools.media import detector
from madvision_assets.tools.speech.registry import ENGINES
from madvision_assets.work import doctor

ROOT = Path(__file__).resolve().parents[2]
SPEECH = "openai-whisper"
# Python without any installed package but those of one folder.
ASK = """
import sys
sys.path += sys.argv[1:2]
from madvision_assets.work.doctor import packages
found = packages(sys.argv[2], transcript_elsewhere=sys.argv[3] == "k8s")
print(found.health.value, found.found)
"""


def packages_where(folder: Path, installed: set[str] | frozenset[str], executor: str = "in_process") -> str:
    """What the doctor tells where these packages are installed, which it knows by their metadata, and no others."""
    (folder / "madvision_assets").symlink_to(ROOT / "madvision_assets")
    (folder / "packaging").symlink_to(Path(packaging.__file__).parent)
    for name in installed:
        metadata = folder / f"{name.replace('-', '_')}-1.dist-info" / "METADATA"
        metadata.parent.mkdir()
        needs = distribution(name).requires if name == doctor.OURS else ()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1", *(f"Requires-Dist: {n}" for n in needs or ())]
        metadata.write_text("\n".join(lines))
    command = [sys.executable, "-I", "-S", "-c", ASK, str(folder), SPEECH, executor]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_here_everything_is_installed() -> None:
    assert doctor.packages(SPEECH).health is Health.OK


def test_a_plain_install_brings_what_is_needed_anywhere() -> None:
    ours = distribution(doctor.OURS)
    assert [line for line in ours.requires or () if "extra ==" not in line] == ["madvision-assets[gpu]"]

    extras = set(ours.metadata.get_all("Provides-Extra") or ()) - {"dev", "models"}
    assert {"intake", "pipeline", "k8s", *(engine.extra for engine in ENGINES.values())} <= extras
    assert doctor.required(*extras) == doctor.required("gpu")


def test_the_image_of_the_intake_needs_no_dagster(tmp_path: Path) -> None:
    told = packages_where(tmp_path, doctor.required("intake"), executor="k8s")

    assert told.startswith("ok")
    assert "takes submissions, and processes nothing" in told


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        ("k8s", "ok all are installed but openai-whisper and torch"),
        ("in_process", "failed missing: openai-whisper, torch"),
    ],
)
def test_without_torch_the_transcript_must_run_elsewhere(tmp_path: Path, executor: str, expected: str) -> None:
    told = packages_where(tmp_path, doctor.required("pipeline"), executor=executor)

    assert told.startswith(expected)


@pytest.mark.parametrize("missing", ["dagster-k8s", "obstore", "av"])
def test_a_package_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    assert packages_where(tmp_path, doctor.required("gpu") - {missing}).strip() == f"failed missing: {missing}"


def test_where_our_own_metadata_is_missing_it_says_so(tmp_path: Path) -> None:
    assert packages_where(tmp_path, frozenset()).strip() == "failed missing: madvision-assets"


def test_each_image_installs_what_the_doctor_asks_for_there() -> None:
    def pinned(image: str) -> set[str]:
        lines = (ROOT / "deployments" / "docker" / f"{image}.txt").read_text().splitlines()
        return {line.partition("==")[0] for line in lines}

    intake, pipeline, gpu = (doctor.required(image) - {doctor.OURS} for image in ("intake", "pipeline", "gpu"))

    assert intake <= pinned("intake")
    assert not [name for name in pinned("intake") if name.startswith("dagster")]
    assert pipeline <= pinned("pipeline")
    assert doctor.required(SPEECH).isdisjoint(pinned("pipeline"))
    assert gpu - {"torch"} <= pinned("gpu")  # the Dockerfile installs torch


def test_whether_faces_are_found_is_told_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.faces() == Finding("faces in pictures", Health.OK, f"found by {detector.NAME}")

    with monkeypatch.context() as without:
        without.setattr(detector, "weights", lambda: None)
        detector.name.cache_clear()
        found = doctor.faces()
    detector.name.cache_clear()

    assert found.health is Health.WARNING
    assert "blurred background" in found.found
    listed = next(word.rstrip(";") for word in found.remedy.split() if word.endswith(".txt;"))
    assert detector.PACKAGE in (ROOT / listed).read_text()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MADVISION_DATABASE_ULR", "Perhaps it should be MADVISION_DATABASE_URL."),
        ("MADVISION_STORE_URI", "Perhaps it should be MADVISION_STORE_URL."),
        ("MADVISION_COLOUR", "Remove it; .env.example lists those that are read."),
    ],
)
def test_a_variable_that_nobody_reads_is_told_with_the_one_that_was_meant(name: str, meant: str) -> None:
    (found,) = doctor.variables(["PATH", "MADVISION_HOME", name], variable_names())

    assert (found.part, found.health, found.remedy) == (name, Health.WARNING, meant)


def test_variables_that_we_or_others_read_are_not_told() -> None:
    present = [*variable_names(), *doctor.OTHERS_VARIABLES, "PATH", "OPENAI_ORG_ID", "XMADVISION_HOME"]

    assert doctor.variables(present, variable_names()) == []


def test_what_kubernetes_tells_every_pod_of_our_services_is_not_told() -> None:
    tcp = "MADVISION_INTAKE_PORT_8000_TCP"
    links = ["MADVISION_INTAKE_SERVICE_HOST", "MADVISION_INTAKE_SERVICE_PORT", "MADVISION_INTAKE_SERVICE_PORT_HTTP"]
    links += ["MADVISION_INTAKE_PORT", tcp, f"{tcp}_ADDR", f"{tcp}_PORT", f"{tcp}_PROTO"]

    assert doctor.variables(links, variable_names()) == []
