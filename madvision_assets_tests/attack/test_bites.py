"""The suite bites: with a control an attack is stopped, and without it the very same one is seen to get through."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets.command import display
from madvision_assets.domain import networks
from madvision_assets.tools.media import apart
from madvision_assets.tools.sandbox import controls, policy
from madvision_assets_tests import claims
from madvision_assets_tests.attack import addresses, door, fetching, files, pages, suite, ways
from madvision_assets_tests.attack.canaries import Canaries
from madvision_assets_tests.attack.rows import Attack, End, Ended, Family

pytestmark = pytest.mark.whole

MB = 1_000_000
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canaries]:
    with Canaries(tmp_path_factory.mktemp("canaries") / "secrets") as running:
        yield running


@pytest.fixture
def few() -> Iterator[None]:
    """Little memory for a child, so that a bomb is a small one."""
    before = policy.memory_bytes()
    policy.set_memory_bytes(250 * MB)
    yield
    policy.set_memory_bytes(before)


def row(family: Family, name: str) -> Attack:
    [found] = [each for each in family.attacks if f"{each.kind}: {each.name}".endswith(f": {name}")]
    return found


def troubles(family: Family, attack: Attack, folder: Path, canaries: Canaries) -> str:
    """What is told of one attack; empty where it was stopped."""
    [played] = suite.play(family, [attack], folder, canaries)
    return "; ".join(played.troubles)


def test_an_address_reaches_the_inside_where_no_network_is_known_as_private(
    tmp_path: Path, canaries: Canaries, monkeypatch: Patch
) -> None:
    attack = row(addresses.FAMILY, "127.0.0.1, decimal")
    assert not troubles(addresses.FAMILY, attack, tmp_path / "with", canaries)

    monkeypatch.setattr(networks, "NOT_PUBLIC_V4", ())
    assert "connections to the inside (127.0.0.1" in troubles(addresses.FAMILY, attack, tmp_path / "without", canaries)


def test_a_redirect_reaches_the_inside_where_private_addresses_are_allowed(
    tmp_path: Path, canaries: Canaries, monkeypatch: Patch
) -> None:
    attack = row(ways.FAMILY, "302 to loopback")
    assert not troubles(ways.FAMILY, attack, tmp_path / "with", canaries)

    monkeypatch.setattr(fetching, "ALLOW_PRIVATE", True)
    told = troubles(ways.FAMILY, attack, tmp_path / "without", canaries)
    assert "connections to the inside" in told
    assert "the secret is in" in told


@pytest.mark.usefixtures("few")
def test_a_page_takes_the_memory_that_it_is_not_kept_from(
    tmp_path: Path, canaries: Canaries, monkeypatch: Patch
) -> None:
    make = pages.answer(pages.gzipped(220), Content_Encoding="gzip")
    attack = Attack("gzip", "bombs", make, pages.FAILS)
    assert not troubles(pages.FAMILY, attack, tmp_path / "with", canaries)

    monkeypatch.setattr(policy.Policy, "limit_bytes", property(lambda _: 8 << 30))
    assert "MB of memory, of 250" in troubles(pages.FAMILY, attack, tmp_path / "without", canaries)


@pytest.mark.parametrize("name", ["concat", "dref by alias"])
def test_a_file_opens_another_where_nothing_keeps_it_to_itself(
    tmp_path: Path, canaries: Canaries, monkeypatch: Patch, name: str
) -> None:
    attack = row(files.FAMILY, name)
    assert not troubles(files.FAMILY, attack, tmp_path / "with", canaries)

    monkeypatch.setattr(apart, "CHILD", "madvision_assets_tests.attack.unguarded")
    monkeypatch.setattr(controls, "active", tuple)
    assert "it opened secret." in troubles(files.FAMILY, attack, tmp_path / "without", canaries)


@pytest.mark.usefixtures("few")
def test_a_claim_takes_the_memory_that_nobody_looked_for(
    tmp_path: Path, canaries: Canaries, monkeypatch: Patch
) -> None:
    make = lambda out, _: claims.samples(out, 12_000_000)  # noqa: E731
    attack = Attack("12 million samples", "claims", make, files.FAILS)
    assert not troubles(files.FAMILY, attack, tmp_path / "with", canaries)

    monkeypatch.setattr(apart, "CHILD", "madvision_assets_tests.attack.unguarded")
    monkeypatch.setattr(controls, "active", tuple)
    monkeypatch.setattr(policy.Policy, "limit_bytes", property(lambda _: 4 << 30))
    assert "MB of memory, of 250" in troubles(files.FAMILY, attack, tmp_path / "without", canaries)


def test_an_escape_reaches_the_terminal_where_it_is_not_made_visible(
    tmp_path: Path, canaries: Canaries, monkeypatch: Patch
) -> None:
    attack = row(door.FAMILY, "escapes, printed")
    assert not troubles(door.FAMILY, attack, tmp_path / "with", canaries)

    monkeypatch.setattr(display, "visible", str)
    assert "it ended as nothing that is right" in troubles(door.FAMILY, attack, tmp_path / "without", canaries)


def test_a_secret_that_a_failure_tells_is_seen(tmp_path: Path, canaries: Canaries) -> None:
    """Of the canaries themselves: whatever is told is looked through."""
    attack = Attack("a word", "bad", lambda *_: Ended(End.HARMLESS, canaries.secret), (End.HARMLESS,))
    assert "the secret is in" in troubles(door.FAMILY, attack, tmp_path, canaries)
