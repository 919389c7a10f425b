"""Claims about the templates in ``deployments/aws`` themselves: they are sound, and refuse a likely slip."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

from madvision_assets.domain.costs import PRIVATE_ENDPOINTS, ZONES
from madvision_assets_tests.deployments.cloudformation import FOLDER, GUIDE, TEMPLATES


def test_cfn_lint_finds_nothing_not_even_for_information() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "I", "--", *map(str, TEMPLATES)]
    lint = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert lint.stdout + lint.stderr == ""
    assert lint.returncode == 0


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_wrong_parameter_is_told_what_is_right(template: Path) -> None:
    for name, parameter in load(template)["Parameters"].items():
        bounded = {"AllowedValues", "AllowedPattern", "MinValue"} & parameter.keys()
        assert bounded, f"{name} takes anything"
        assert "AllowedValues" in bounded or "ConstraintDescription" in parameter, name


@pytest.mark.parametrize(
    ("template", "parameter", "wrong"),
    [
        ("network", "SystemName", "MadVision"),
        ("network", "SystemName", "a-name-too-long-for-buckets"),
        ("network", "VpcPrefix", "172.32"),
        ("data", "DatabaseVersion", "18.1"),
        ("data", "DatabaseClass", "t4g.medium"),
        ("cluster", "KubernetesVersion", "1.35.2"),
        ("cluster", "AdminArn", "admin"),
        ("cluster", "ApiCidrs", "198.51.100.7"),
        ("cluster", "GpuInstanceTypes", "m7i.xlarge"),
        ("access", "OidcIssuer", "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC"),
        ("alarms", "AlarmEmail", "operators"),
    ],
)
def test_a_likely_slip_does_not_pass(template: str, parameter: str, wrong: str) -> None:
    pattern = load(FOLDER / f"{template}.yaml")["Parameters"][parameter]["AllowedPattern"]
    assert not re.fullmatch(pattern, wrong)


def test_an_estimate_counts_the_private_endpoints_that_there_are() -> None:
    text = (FOLDER / "network.yaml").read_text()

    assert text.count("VpcEndpointType: Interface") == PRIVATE_ENDPOINTS
    assert len(re.findall(r"^  PrivateSubnet[A-Z]:$", text, re.MULTILINE)) == ZONES


def test_the_guide_sets_parameters_that_there_are() -> None:
    calls = re.findall(r"deploy (\w+) --parameter-overrides ([^`\n]+)", GUIDE)
    assert {template for template, _ in calls} == {"cluster", "access", "alarms"}
    for template, values in calls:
        parameters = load(FOLDER / f"{template}.yaml")["Parameters"]
        assert set(re.findall(r"(\w+)=", values)) <= parameters.keys()
