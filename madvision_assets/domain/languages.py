"""The languages that Whisper hears, by code and by name."""

import re
from collections.abc import Mapping
from types import MappingProxyType

# Codes of ISO 639-1; ``haw`` and ``yue`` have none there, and ``jw`` is Whisper's own for Javanese.
_NAMES = """
en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese, pt portuguese, tr turkish,
pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian, id indonesian, hi hindi, fi finnish, vi vietnamese,
he hebrew, uk ukrainian, el greek, ms malay, cs czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian,
th thai, ur urdu, hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak,
te telugu, fa persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian, kn kannada, et estonian,
mk macedonian, br breton, eu basque, is icelandic, hy armenian, ne nepali, mn mongolian, bs bosnian, kk kazakh,
sq albanian, sw swahili, gl galician, mr marathi, pa punjabi, si sinhala, km khmer, sn shona, yo yoruba, so somali,
af afrikaans, oc occitan, ka georgian, be belarusian, tg tajik, sd sindhi, gu gujarati, am amharic, yi yiddish, lo lao,
uz uzbek, fo faroese, ht haitian creole, ps pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish,
my myanmar, bo tibetan, tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa, ba bashkir,
jw javanese, su sundanese, yue cantonese
"""
NAMES: Mapping[str, str] = MappingProxyType(
    {code: name for code, _, name in (each.strip().partition(" ") for each in _NAMES.split(","))}
)
_CODES = {name: code for code, name in NAMES.items()}
_CODES |= {"burmese": "my", "mandarin": "zh", "castilian": "es", "flemish": "nl", "valencian": "ca", "moldovan": "ro"}
_CODES |= {
    "moldavian": "ro",
    "haitian": "ht",
    "letzeburgesch": "lb",
    "pushto": "ps",
    "panjabi": "pa",
    "sinhalese": "si",
}
# Other codes of the same, as sites tell them: written Norwegian, codes that ISO has replaced, those of ISO 639-3.
_CODES |= {"nb": "no", "iw": "he", "ji": "yi", "in": "id", "jv": "jw", "cmn": "zh", "fil": "tl", "filipino": "tl"}
_TAG = "(?!und|mul|mis|zxx)[a-z]{2,3}"  # but for those that name no language
ENGLISH = "en"


def language_code(told: str) -> str:
    """The code of a language that was told by code, by its tag (``pt-BR``) or by its English name; empty for no other.

    Servers of transcriptions tell it in either way, and sites by its tag.
    """
    plain = told.strip().lower().replace("_", "-")
    primary = plain.partition("-")[0]
    return _CODES.get(plain) or _CODES.get(primary) or (primary if primary in NAMES else "")


def is_language(told: str, code: str) -> bool:
    """Whether what was told of a language, as for ``language_code``, may be this one; of what nobody told, it may."""
    return not told.strip() or language_code(told) == code


def language_tag(told: str) -> str:
    """The code of a language, also of one that Whisper does not hear, by its tag; empty for what is none."""
    primary = told.strip().lower().replace("_", "-").partition("-")[0]
    return language_code(told) or (primary if re.fullmatch(_TAG, primary) else "")
