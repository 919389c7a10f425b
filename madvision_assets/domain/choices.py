"""What an operator chooses by its name, and how a name is told that nothing has."""

from collections.abc import Mapping
from typing import Protocol, TypeVar


class Choice(Protocol):
    """Something that can be chosen."""

    @property
    def name(self) -> str:
        """As it is chosen."""

    @property
    def needs(self) -> str:
        """What it takes to use it, in words."""


C = TypeVar("C", bound=Choice)


def chosen(choices: Mapping[str, C], name: str, variable: str) -> C:
    """The one of this name.

    Args:
        choices: by name.
        name: of one of them.
        variable: of the environment that holds the name.

    Raises:
        ValueError: none has this name; the sentence lists them all.
    """
    if name in choices:
        return choices[name]
    known = ", ".join(f"{choice.name} ({choice.needs})" for choice in choices.values())
    raise ValueError(f"Cannot use the configuration. {variable}: there is no {name!r}, but {known}. See .env.example.")
