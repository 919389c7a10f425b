"""Claims about languages: what most speak for wins, and a change has to be worth more than their doubts."""

import pytest

from madvision_assets.domain.language_spans import Vote, changes, likeliest


def votes(*told: tuple[str, float]) -> list[Vote]:
    return [Vote(100.0 * n, language, sure) for n, (language, sure) in enumerate(told)]


def test_one_excerpt_of_music_or_of_a_quotation_changes_nothing() -> None:
    assert likeliest(votes(("en", 0.98), ("en", 0.97), ("nn", 0.5), ("en", 0.99))) == ["en"] * 4
    assert likeliest(votes(("en", 0.98), ("en", 0.97), ("de", 0.99), ("en", 0.99))) == ["en"] * 4
    assert likeliest(votes(("la", 0.6), ("en", 0.97), ("en", 0.99))) == ["en"] * 3


@pytest.mark.parametrize("told", ["ddee", "eeddee", "eeeeeeddd"])
def test_a_second_speaker_with_another_language_is_followed(told: str) -> None:
    assert "".join(likeliest(votes(*((each, 0.97) for each in told)))) == told


def test_the_language_of_the_site_is_preferred_where_it_is_near_and_not_where_the_engine_knows_better() -> None:
    unsure = votes(("no", 0.5), ("sv", 0.5), ("no", 0.45))

    assert likeliest(unsure) == ["no"] * 3
    assert likeliest(unsure, usual="da") == ["da"] * 3
    assert likeliest(votes(("no", 0.95), ("no", 0.9)), usual="da") == ["no"] * 2


def test_where_a_change_is_it_is_between_two_votes() -> None:
    ((before, after),) = changes(votes(("en", 0.9), ("en", 0.9), ("fr", 0.95), ("fr", 0.95)))

    assert (before.at_s, before.language, after.at_s, after.language) == (100.0, "en", 200.0, "fr")


def test_nobody_votes_for_nothing() -> None:
    assert likeliest([], usual="en") == []
    assert changes([]) == []
