"""An error that is sent with status 200, as proxies before language models send what went wrong behind them."""

from collections.abc import Mapping

_RATE_LIMITED, _SERVER_ERROR = 429, 500
_STATUSES = {str(status) for status in range(400, 600)}


def hidden_error(body: object) -> tuple[int, object] | None:
    """The status that it would have had, and the error as it is told; None where there is none.

    Args:
        body: of the answer, read as JSON. The error stands in it by itself, or in its first choice.
    """
    if not isinstance(body, Mapping):
        return None
    told = body.get("error") or _of_choice(body.get("choices"))
    if not told:
        return None
    parts: Mapping[str, object] = told if isinstance(told, Mapping) else {}
    code = str(parts.get("code"))
    if code in _STATUSES:
        return int(code), told
    return _RATE_LIMITED if "rate_limit" in f"{code} {parts.get('type')}" else _SERVER_ERROR, told


def _of_choice(choices: object) -> object:
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping):
        return None
    return choice.get("error") or (choice.get("finish_reason") == "error" and "the model broke off")
