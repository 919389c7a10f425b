"""Words: how text is taken apart and compared, in every language that writes letters."""

import re
import unicodedata
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?\u2026\u3002\uff01\uff1f])\s+")
_TERMINAL = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")
_CLOSERS = "\"'\u201d\u2019)]\u300d\u00bb"

MINUTES_PER_HOUR = 60

_SUFFIXES = ("ations", "ation", "ings", "ing", "edly", "ness", "ies", "ied", "ed", "ly", "es", "s", "e")
_MIN_STEM_CHARS = 3


def words_of(text: str) -> list[str]:
    """The words of a text, folded to one case and one apostrophe, in order."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return _WORD.findall(folded)


def content_stems(words: Iterable[str]) -> list[str]:
    """Of these words (as ``words_of`` gives them) the stems of those that carry a topic, in order."""
    return [stem(word) for word in words if is_content(word)]


def is_content(word: str) -> bool:
    """Whether a word carries a topic: neither function word nor noise nor a lone Latin letter."""
    return word not in STOP_WORDS and (len(word) > 1 or not word.isascii())


def stem(word: str) -> str:
    """A word without its commonest English endings, so that ``model`` and ``models`` are one; crude on purpose."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM_CHARS:
            return word.removesuffix(suffix)
    return word


def letters(text: str) -> str:
    """Letters and digits only, folded: equal for texts that differ in case, spacing and punctuation."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, split after terminal punctuation."""
    return [part for part in (piece.strip() for piece in _SENTENCE_END.split(text)) if part]


def ends_sentence(text: str) -> bool:
    """Whether a text ends with terminal punctuation (closing quotes and brackets aside)."""
    return text.rstrip().rstrip(_CLOSERS).endswith(_TERMINAL)


def timecode(time_s: float) -> str:
    """Seconds for a person: ``m:ss.t``, or ``h:mm:ss.t`` from an hour on, hours without limit."""
    minutes, tenths = divmod(round(time_s * 10), 600)
    seconds = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds}" if minutes >= MINUTES_PER_HOUR else f"{minutes}:{seconds}"


def shortened(text: str, max_chars: int) -> str:
    """The text on one line, cut at a word's end and marked with an ellipsis where it is longer than allowed."""
    line = " ".join(text.split())
    if len(line) <= max_chars:
        return line
    head = line[: max_chars - 1]
    return (head.rsplit(" ", 1)[0] if " " in head else head).rstrip(" ,;:-") + "\u2026"


# English words that carry no topic, and the noises of speech.
STOP_WORDS = frozenset(
    words_of("""
  a about above after again all also am an and any are aren't as at back be because been before being below between both
  but by can can't could couldn't did didn't do does doesn't doing don't down during each every few for from further get
  gets go goes going gonna got had has have having he he's her here here's hers him his how i i'd i'll i'm i've if in
  into is isn't it it's its itself just kind know let let's like lot made make makes many may me mean might more most
  much must my myself no nor not now of off on once one only or other our ours out over own put quite rather really said
  same say says see she should so some something sort such take than that that's the their them then there there's these
  they they're they've thing things think this those through to too under until up us very want was wasn't way we we'd
  we'll we're we've well went were weren't what what's when where which while who whom why will with won't would yes yet
  you you'd you'll you're you've your yours
  ah alright eh er hello hey hi hmm huh mhm mm oh okay ok please right thank thanks uh um wow yeah yep
  """)
)
