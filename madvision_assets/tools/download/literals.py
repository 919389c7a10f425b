"""Text that every match of a regular expression contains, so that most expressions need not be tried at all."""

from collections.abc import Callable, Iterable, Iterator
from re import _constants, _parser  # they have no public name
from typing import Any

# Told of nearly every address, so they say little.
_COMMON = ("https://www.", ".com/", "video")

# Of these texts at least one is in every match.
AnyOf = frozenset[str]


def required_texts(pattern: str) -> AnyOf:
    """Lower-case texts of which every match of the pattern has at least one, in lower case; empty where none is sure.

    Only where the text that is matched is ASCII: other letters may match in more than one case.
    """
    try:
        parsed = _parser.parse(pattern)
    except RecursionError:
        return frozenset()
    return max(_required(parsed), key=_worth, default=frozenset())


def _worth(texts: AnyOf) -> int:
    """How much is known where one of the texts is there: the length of the shortest, and little for common ones."""
    return min((len(text) * (1 if any(text in each for each in _COMMON) else 100) for text in texts), default=0)


def _required(parsed: Iterable[tuple[Any, Any]]) -> Iterator[AnyOf]:
    """Each thing that every match must contain."""
    run = ""
    for operator, argument in _flat(parsed):
        if operator is _constants.LITERAL:
            run += chr(argument).lower()
            continue
        if operator in _ZERO_WIDTH:
            continue
        if run:
            yield frozenset({run})
            run = ""
        yield from _INSIDE.get(operator, _nothing)(argument)
    if run:
        yield frozenset({run})


def _flat(parsed: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The sequence with its plain groups opened, since what stands around them continues inside."""
    for operator, argument in parsed:
        if operator is _constants.SUBPATTERN:
            yield from _flat(argument[3])
        elif operator is _constants.ATOMIC_GROUP:
            yield from _flat(argument)
        else:
            yield operator, argument


def _repeated(argument: Any) -> Iterator[AnyOf]:
    least, _, inner = argument
    if least:
        yield from _required(inner)


def _branches(argument: Any) -> Iterator[AnyOf]:
    best = [max(_required(branch), key=_worth, default=frozenset()) for branch in argument[1]]
    if all(best):
        yield frozenset().union(*best)


def _nothing(_: Any) -> Iterator[AnyOf]:
    return iter(())


_ZERO_WIDTH = {_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT}
_INSIDE: dict[Any, Callable[[Any], Iterator[AnyOf]]] = {
    _constants.MAX_REPEAT: _repeated,
    _constants.MIN_REPEAT: _repeated,
    _constants.POSSESSIVE_REPEAT: _repeated,
    _constants.BRANCH: _branches,
}
