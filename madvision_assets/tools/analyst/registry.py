"""The analysts that there are; a new one is a file beside this one and its name here."""

from collections.abc import Mapping

from madvision_assets.domain.choices import chosen
from madvision_assets.tools.analyst import AnalystDescriptor, AnalystOptions, offline, openai_analyst

# In order of preference: without a word, the first that has what it needs is taken.
ANALYSTS: Mapping[str, AnalystDescriptor] = {
    analyst.DESCRIPTOR.name: analyst.DESCRIPTOR for analyst in (openai_analyst, offline)
}
OPENAI = openai_analyst.DESCRIPTOR.name


def find_analyst(name: str | None, options: AnalystOptions) -> AnalystDescriptor:
    """The analyst of this name; for None the first that has what it needs.

    Raises:
        ValueError: there is none of this name; the sentence lists those that there are.
    """
    if name is None:
        return next(each for each in ANALYSTS.values() if options.api_key or not each.needs_key)
    return chosen(ANALYSTS, name, "MADVISION_ANALYST")
