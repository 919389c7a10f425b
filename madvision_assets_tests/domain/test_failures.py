"""Claims about the taxonomy."""

import re

import pytest

from madvision_assets.domain.failures import (
    Failure,
    FailureClass,
    MissingInputError,
    Resource,
    UnexpectedError,
    leaf_of,
    leaves,
)
from madvision_assets.domain.redaction import without_secrets


def test_codes_are_unique_and_stable_in_form() -> None:
    codes = [leaf.code for leaf in leaves()]

    assert len(codes) == len(set(codes)) > 40
    assert all(re.fullmatch(r"[a-z][a-z_]+", code) for code in codes)


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.code)
def test_each_leaf_has_a_class_and_a_sentence_for_a_person(leaf: type[Failure]) -> None:
    assert leaf.failure_class in FailureClass
    assert leaf.sentence[0].isupper()
    assert leaf.sentence.endswith(".")
    assert str(leaf()) == leaf.sentence


def test_every_class_has_leaves() -> None:
    assert {leaf.failure_class for leaf in leaves()} == set(FailureClass)


def test_a_failure_is_found_again_by_its_code_and_one_of_old_counts_as_unexpected() -> None:
    assert [leaf_of(leaf.code) for leaf in leaves()] == list(leaves())
    assert leaf_of("of_an_older_version") is UnexpectedError


def test_what_concerns_the_video_alone_speaks_against_nothing_that_others_use() -> None:
    alone = {FailureClass.PERMANENT, FailureClass.POISON}

    assert [leaf for leaf in leaves() if leaf.failure_class in alone and leaf.resource] == []


def test_a_host_that_turns_us_away_is_what_is_paused() -> None:
    turned_away = [leaf for leaf in leaves() if leaf.failure_class is FailureClass.SOURCE]

    assert {leaf.resource for leaf in turned_away} == {Resource.HOST}


def test_each_shared_thing_can_be_spoken_against() -> None:
    assert {leaf.resource for leaf in leaves()} == {None, *Resource}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://user:hunter2@db/x failed", "hunter2"),
        ("GET https://b.example/k?X-Amz-Signature=deadbeef&x=1", "deadbeef"),
        ("Incorrect API key provided: sk-proj-abcdef123456", "abcdef123456"),
        ("http://h/v?token=topsecret", "topsecret"),
        ("http://user:p@ss@h/x", "p@ss"),
        ("https://cdn/x?Policy=abc123&Key-Pair-Id=APKAXYZ", "abc123"),
        ("Authorization: Bearer eyJhbGciOi", "eyJhbGciOi"),
        ("AWS_SECRET_ACCESS_KEY=verysecret", "verysecret"),
        ("key AKIAIOSFODNN7EXAMPLE is wrong", "IOSFODNN7EXAMPLE"),
    ],
)
def test_details_hold_no_secret(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in without_secrets(text)
    assert secret not in str(MissingInputError(text))


def test_details_are_short_and_on_one_line() -> None:
    failure = MissingInputError("a\n  b " + "x" * 5000)

    assert failure.details.startswith("a b x")
    assert len(failure.details) <= 600
