"""Claims about which addresses are public, the same in every version of Python that is at hand."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from madvision_assets.domain import networks
from madvision_assets.domain.networks import is_allowed_where_private_ones_are, is_public, networks_of
from madvision_assets_tests.attack.networks import NOT_PUBLIC

PUBLIC = (
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0"),
    *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17"),
    *("2606:4700::1111", "2a00:1450:4001::1", "2001:4860::8888", "2001:200::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
)
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_of_no_public_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_lies_beside_them_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_says_the_same(python: str) -> None:
    """The file imports the standard library alone, so any interpreter can run it."""
    found = _interpreter(python)
    if found is None:
        pytest.skip(f"there is no {python} here")
    asked = json.dumps([*NOT_PUBLIC, *PUBLIC])
    said_of = "json.dumps([*map(is_public, json.loads(sys.argv[2]))])"
    code = f"import json, sys; exec(open(sys.argv[1]).read()); print({said_of})"
    command = [found, "-I", "-c", code, networks.__file__, asked]
    said = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    assert json.loads(said) == [False] * len(NOT_PUBLIC) + [True] * len(PUBLIC)


def test_where_private_ones_are_allowed_it_is_those_alone_that_give_no_credentials_away() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "::1", "fd12::1", "192.168.1.1"):
        assert is_allowed_where_private_ones_are(address)
    for address in map(str, (network[0] for network in networks.METADATA)):
        assert not is_allowed_where_private_ones_are(address)
    for carrying in (
        *("::ffff:a9fe:a9fe", "::169.254.169.254", "2002:a9fe:a9fe::1", "::ffff:168.63.129.16", "fd00:a9fe:a9fe::1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:12a9:fe:a9fe::"),
        *("64:ff9b:1:12:a9:fea9:fe00:0", "fe80::a9fe:a9fe%eth0", "fd12::5efe:a9fe:a9fe"),
    ):
        assert not is_allowed_where_private_ones_are(carrying)
    assert is_allowed_where_private_ones_are("64:ff9b:1:a01:2:300::")
    assert not is_allowed_where_private_ones_are("10.0.0.1", networks_of("10.0.0.0/8"))


def test_networks_are_read_from_commas_and_spaces() -> None:
    assert [str(each) for each in networks_of(" 10.1.2.3/8,2001:db8::1  8.8.8.8 ")] == [
        "10.0.0.0/8", "2001:db8::1/128", "8.8.8.8/32",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="nowhere"):
        networks_of("nowhere")


def _interpreter(name: str) -> str | None:
    by_pyenv = sorted(Path.home().glob(f".pyenv/versions/{name.removeprefix('python')}.*/bin/python"))
    found = str(by_pyenv[-1]) if by_pyenv else shutil.which(name)
    # What pyenv has in the path may stand for a version that is not there.
    works = (
        found is not None and subprocess.run([found, "-I", "-c", ""], check=False, capture_output=True).returncode == 0
    )
    return found if works else None
