"""Text of strangers, made fit to be read: one form for each character, and none that hides or turns others round."""

import unicodedata

from madvision_assets.domain.normal_form import normal_form
from madvision_assets.domain.wording import shortened

# Controls, format characters (zero-width, bidirectional), halves of pairs, and what Unicode keeps for private use.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

# What a spreadsheet reads behind these is worked out, and may call addresses.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cleaned(text: str, max_chars: int | None = None) -> str:
    """The text in composed form (NFC) on one line, without characters that are not seen.

    Args:
        text: of anybody.
        max_chars: a longer one is cut at a word's end; None keeps all of it.
    """
    seen = "".join(" " if c.isspace() else c for c in normal_form("NFC", text) if c.isspace() or _is_seen(c))
    line = " ".join(seen.split())
    return line if max_chars is None else shortened(line, max_chars)


def as_cell(text: str) -> str:
    """Text for a table that a spreadsheet may open: what that would take for a formula has an apostrophe before it.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in _UNSEEN
