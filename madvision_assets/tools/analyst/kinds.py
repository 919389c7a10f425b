"""What kind of video a transcript is of, judged by rules: keywords, and the shape of the sentences.

Every rule is a rate (per 100 words or per sentence) compared with a rate that is typical of its kind, so that a kind's
evidence is near 1 where the text looks like it. The kind with the most evidence wins; with little, it is ``other``.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

from madvision_assets.domain.content_type import Confidence, ContentKind, ContentType
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import SourceMetadata
from madvision_assets.domain.wording import is_content, is_question, sentences_of, stem, words_of
from madvision_assets.tools.analyst.lexicon import language_of

# Evidence below this is none; a lead over the second kind of at least this much makes it sure enough.
MIN_EVIDENCE = 0.35
CLEAR_LEAD = 0.5
# The title tells more than any single sentence.
TITLE_EVIDENCE = 0.8
# An interview is one whatever it is about: its subject's keywords fill it, and count for little beside its form.
INTERVIEW_FORM = 1.6
# Questions to somebody, of all sentences, that make an interview; and how many there must be.
INTERVIEW_QUESTIONS, MIN_QUESTIONS = 0.05, 3
MAX_TOPICS = 5
# A text so short is judged by the little that there is.
SHORT_SENTENCES = 20

# Words per 100 words at which a kind is as good as certain: one keyword in forty words.
FULL_KEYWORD_RATE = 2.5
KEYWORDS: dict[ContentKind, str] = {
    ContentKind.BUSINESS: r"revenue|market(s|ing)?|customers?|compan(y|ies)|startups?|investors?|profits?|"
    r"sales|business(es)?|founders?|funding|strategy|pric(e|ing)|budgets?",
    ContentKind.KNOWLEDGE: r"research(ers)?|stud(y|ies)|theor(y|ies)|evidence|scien(ce|tists?|tific)|experiments?|"
    r"data|models?|systems?|measured?|explains?|scores?|tests?|tested|algorithms?|physics|history|because",
    ContentKind.NEWS: r"the news|headlines at|spokesm[ae]n|council|strike|reported|reporters?|"
    r"officials?|announced|according|president|government|minister|police|"
    r"spokes(man|woman|person)|breaking|headlines?|authorities|elections?",
    ContentKind.REVIEW: r"i bought|tested|available in|if you have only|the best part|the worst part|reviews?|"
    r"pros|cons|recommend(ed)?|ratings?|stars|worth|versus|verdict|unboxing|features?",
    ContentKind.OPINION: r"i think that|i think|i believe|everybody says|we should|in my (opinion|view)|"
    r"should|disagree|agree|argument|frankly|honestly",
    ContentKind.SPEECH: r"ladies and gentlemen|today i want to|thank you|my fellow|welcome|tonight|let us|"
    r"we must|next slide|as you can see|this talk|our story|(my|your) questions?|audience",
    ContentKind.ENTERTAINMENT: r"laughs?|laughter|haha|lol|joke|funny|prank|game|crazy|dude|guys|applause|movie",
    ContentKind.MUSIC: r"♪|♫|la la|lyrics|chorus|verse|oh oh|yeah yeah",
    ContentKind.TUTORIAL: r"click|steps?|how to|first you|install|open the|settings|tutorial|make sure|go ahead|"
    r"type in|we('ll| will) (add|use|need)|select",
}
TITLES: dict[ContentKind, str] = {
    ContentKind.TUTORIAL: r"how to|tutorial|guide|course|lesson|step by step|for beginners",
    ContentKind.INTERVIEW: r"interview|podcast|in conversation|talks? (to|with)|q ?& ?a|episode \d+",
    ContentKind.REVIEW: r"review(ed)?|tested|worth it|test von|im test|unboxing| vs\.? |hands[- ]on",
    ContentKind.NEWS: r"news|breaking|headlines|report",
    ContentKind.MUSIC: r"official (music )?video|lyrics?|live at|remix|album|\bfeat\b|\bft\.",
    ContentKind.SPEECH: r"keynote|speech|address|ted ?x?|talk|commencement|conference",
    ContentKind.OPINION: r"opinion|debate|why i|rant",
    ContentKind.EXPERIENCE: r"my (story|journey|life|year|experience)|vlog|day in the life|what i learned",
    ContentKind.BUSINESS: r"startup|business|earnings|pitch|investor|marketing",
    ContentKind.ENTERTAINMENT: r"funny|comedy|prank|stand-?up|gameplay|let's play|trailer",
}
_TO_SOMEBODY = re.compile(
    r"\b(you|your|you've|you're|did you|sie|ihr|ihnen|du|dein|vous|votre|tu|usted|tú|voi|você|je|jij)\b", re.IGNORECASE
)
_HOSTED = re.compile(
    r"\b(thank(s| you)( so much)? for (having me|joining|coming|being here)|welcome to the (show|podcast)|my guest|"
    r"our guest|joined by|tell us|zu gast|mein gast|notre invitée?|mon invitée?|nuestro invitado|il nostro ospite)\b",
    re.IGNORECASE,
)
_IMPERATIVES = re.compile(
    r"(now |then |next |first |and )?(click|open|add|take|put|press|go|type|select|choose|make|cut|mix|turn|drag|pull|"
    r"install|run|use|remove|set|start|try|write|pour|place|hold|remember|don't)\b",
    re.IGNORECASE,
)
_FIRST_PERSON_PAST = re.compile(
    r"\b(i|we) (was|were|had|did|went|felt|thought|met|lost|left|came|got|made|knew|said|told|\w+ed)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class _Evidence:
    kind: ContentKind
    weight: float
    reason: str


def verdict_on(transcript: Transcript, source: SourceMetadata) -> ContentType:
    """The kind with the most evidence; ``other`` where nobody speaks or nothing stands out."""

    def verdict(kind: ContentKind, confidence: Confidence, reason: str, topics: tuple[str, ...] = ()) -> ContentType:
        return ContentType(
            video_id=transcript.video_id,
            kind=kind,
            confidence=confidence,
            reason=reason,
            topics=topics,
            provisional=True,
        )

    if transcript.no_speech:
        return verdict(ContentKind.OTHER, Confidence.LOW, "Nobody speaks in it.")
    evidence = [*_by_keywords(transcript.text), *_by_shape(transcript.text)]
    evidence += [*_by_talking(transcript), *_by_title(source.title)]
    totals: defaultdict[ContentKind, float] = defaultdict(float)
    for item in evidence:
        totals[item.kind] += item.weight
    ranked = sorted(totals, key=lambda kind: (-totals[kind], kind.value))
    topics = topics_of(transcript)
    if not ranked or totals[ranked[0]] < MIN_EVIDENCE:
        return verdict(ContentKind.OTHER, Confidence.LOW, "Neither its words nor its shape tell a kind.", topics)
    kind = ranked[0]
    lead = totals[kind] - (totals[ranked[1]] if len(ranked) > 1 else 0.0)
    reasons = [item.reason for item in sorted(evidence, key=lambda item: -item.weight) if item.kind is kind]
    confidence = Confidence.MEDIUM if lead >= CLEAR_LEAD else Confidence.LOW
    return verdict(kind, confidence, f"By rules: {'; '.join(reasons)}.", topics)


def topics_of(transcript: Transcript) -> tuple[str, ...]:
    """The words said most often that carry a topic and are said at least twice, in their commonest form."""
    language = language_of(transcript.language, [words_of(segment.text) for segment in transcript.segments])
    forms: dict[str, Counter[str]] = {}
    for word in words_of(transcript.text):
        if is_content(word, language) and not word.isdigit():
            forms.setdefault(stem(word, language), Counter())[word] += 1
    often = [(sum(counts.values()), key) for key, counts in forms.items() if sum(counts.values()) > 1]
    most = sorted(often, key=lambda pair: (-pair[0], pair[1]))[:MAX_TOPICS]
    return tuple(forms[key].most_common(1)[0][0] for _, key in most)


def _by_keywords(text: str) -> list[_Evidence]:
    words = max(1, len(words_of(text)))
    found = []
    for kind, keywords in KEYWORDS.items():
        hits = [hit.group().lower() for hit in re.finditer(rf"(?<!\w)(?:{keywords})(?!\w)", text, re.IGNORECASE)]
        if hits:
            weight = min(1.0, 100 * len(hits) / words / FULL_KEYWORD_RATE)
            commonest = ", ".join(f"\u201c{word}\u201d" for word, _ in Counter(hits).most_common(3))
            found.append(_Evidence(kind, weight * min(1.0, len(hits) / 3), f"it says {commonest}"))
    return found


def _by_shape(text: str) -> list[_Evidence]:
    """Tutorials give orders, experiences are told in the first person."""
    sentences = sentences_of(text)
    orders = sum(bool(_IMPERATIVES.match(sentence)) for sentence in sentences)
    told = sum(bool(_FIRST_PERSON_PAST.search(sentence)) for sentence in sentences)
    rules = (
        (ContentKind.TUTORIAL, orders, 0.25, "sentences that tell the viewer what to do"),
        (ContentKind.EXPERIENCE, told, 0.5, "sentences about what the speaker did"),
    )
    return [
        _Evidence(kind, min(1.0, count / len(sentences) / typical), f"{count} of {len(sentences)} are {what}")
        for kind, count, typical, what in rules
        if count > 1
    ]


def _by_talking(transcript: Transcript) -> list[_Evidence]:
    """Interviews: somebody is asked, and answers; where it is known who speaks, more than one does."""
    sentences = sentences_of(transcript.text)
    asked = [is_question(sentence) for sentence in sentences]
    to_somebody = sum(
        question and not following and bool(_TO_SOMEBODY.search(sentence) or len(sentences) < SHORT_SENTENCES)
        for sentence, (question, following) in zip(sentences, pairwise(asked), strict=False)
    )
    hosted = len(_HOSTED.findall(transcript.text))
    speakers = len({segment.speaker for segment in transcript.segments if segment.speaker})
    share = to_somebody / max(1, len(sentences)) / INTERVIEW_QUESTIONS if to_somebody >= MIN_QUESTIONS else 0.0
    certain = min(1.0, 0.6 * min(1.0, share) + 0.3 * min(2, hosted) + 0.4 * (speakers > 1) * min(1.0, share))
    if certain < MIN_EVIDENCE:
        return []
    told = f"{to_somebody} of {len(sentences)} sentences are questions that are answered"
    return [_Evidence(ContentKind.INTERVIEW, INTERVIEW_FORM * certain, told)]


def _by_title(title: str) -> list[_Evidence]:
    return [
        _Evidence(kind, TITLE_EVIDENCE, f"its title says \u201c{found.group().strip()}\u201d")
        for kind, pattern in TITLES.items()
        if (found := re.search(rf"(?<!\w)(?:{pattern})(?!\w)", title, re.IGNORECASE))
    ]
