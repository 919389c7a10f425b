"""What was considered besides the clips, and what was looked for, as the lineage tells of it."""

from collections.abc import Mapping

from madvision_assets.domain.clips import RejectionRule
from madvision_assets.domain.documents import Json
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.intake.schemas import ConsideredView

MOST = 50
STEP = PipelineStep.CLIP_CANDIDATES
SENTENCES: Mapping[RejectionRule, str] = {
    RejectionRule.MALFORMED: "The proposal could not be read.",
    RejectionRule.NOT_TALK: "It is not talk, but something like music or an advertisement.",
    RejectionRule.UNKNOWN_SEGMENT: "It does not lie in what is said, or in what was asked for.",
    RejectionRule.QUOTE_NOT_FOUND: "The words that it was to be known by are not said there.",
    RejectionRule.QUOTE_TOO_SHORT: "The words that it was to be known by are too few to be sure of it.",
    RejectionRule.TOO_SHORT: "It is too short for a clip.",
    RejectionRule.OVERLAPS_BETTER: "Most of it is in a better moment.",
    RejectionRule.OVER_LIMIT: "As many better moments as were asked for were chosen.",
    RejectionRule.WEAK: "Its score is too low.",
}
UNKNOWN_RULE = "It was not taken."


def considered(summary: Json | None) -> list[ConsideredView]:
    """The moments that were not taken, best first; another version's summary may lack anything."""
    moments = [each for each in (summary or {}).get("moments", ()) if each.get("rule")]
    best_first = sorted(moments, key=lambda each: -(each.get("score") or 0.0))
    return [_view(each) for each in best_first[:MOST]]


def criteria_of(kind: str | None, prompt_version: str | None) -> str | None:
    """What a language model was told to look for; None where it was none, or was told so by another version of us."""
    from madvision_assets.tools.analyst.prompts import PROPOSE

    if kind is None or PROPOSE.version not in (prompt_version or "").split("+"):
        return None
    return PROPOSE.criteria.get(kind)


def _view(moment: Json) -> ConsideredView:
    rule = moment["rule"]
    sentence = SENTENCES[RejectionRule(rule)] if rule in set(RejectionRule) else UNKNOWN_RULE
    return ConsideredView(
        title=moment.get("title") or "",
        score=moment.get("score") or 0.0,
        rule=rule,
        sentence=sentence,
        details=moment.get("reason") or "",
    )
