"""Claims about the table of analysts."""

import pytest

from madvision_assets.tools.analyst import AnalystOptions
from madvision_assets.tools.analyst.registry import ANALYSTS, find_analyst

KEYLESS = AnalystOptions(api_key="", base_url=None, model="gpt-4o")
WITH_KEY = AnalystOptions(api_key="sk-hide-me", base_url=None, model="gpt-4o")


def test_a_key_chooses_openai_unless_told_otherwise() -> None:
    assert find_analyst(None, WITH_KEY).name == "openai"
    assert find_analyst("offline", WITH_KEY).name == "offline"


def test_without_a_key_rules_stand_in() -> None:
    assert find_analyst(None, KEYLESS).name == "offline"


def test_one_that_is_asked_for_is_never_replaced_by_another() -> None:
    assert find_analyst("openai", KEYLESS).name == "openai"


def test_a_name_that_no_analyst_has_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="MADVISION_ANALYST: there is no 'oracle'") as told:
        find_analyst("oracle", WITH_KEY)

    assert [name for name in ANALYSTS if name not in str(told.value)] == []


def test_each_says_whether_its_calls_can_be_priced() -> None:
    unpriced = AnalystOptions(api_key="", base_url=None, model="local-llama")
    openai = ANALYSTS["openai"]

    assert ANALYSTS["offline"].price_known is None
    assert openai.price_known is not None
    assert (openai.price_known(KEYLESS), openai.price_known(unpriced)) == (True, False)


def test_what_an_analyst_is_given_does_not_show_the_key() -> None:
    assert "sk-hide-me" not in repr(WITH_KEY)
