"""What choosing takes: calls of a language model for a talk, again with nothing changed, and our own CPU for ten hours.

The model is the tests' stand-in, spoken to over HTTP by the real SDK; the peer of the calls is version 0.2.0, which
read a window of 20 minutes at a time, from 60,000 tokens on.
"""

import sys
import time
from math import ceil

from measure import Figure, at_most, show

from madvision_assets.domain.content_type import ContentKind
from madvision_assets.domain.paying import Desk, NoBooks
from madvision_assets.domain.selection import select
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, SourceMetadata
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.openai_analyst import OpenAIAnalyst
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.ledger import KeptAnswers
from madvision_assets_tests.builders import SAMPLE_SECTIONS, transcript_of
from madvision_assets_tests.fakes import KEY, FakeOpenAI

SOURCE = SourceMetadata(extractor="generic", title="A long talk")
TEN_HOURS, LONG_TALK_CPU_S = 10.0, 2.0
# Of version 0.2.0, by its own code: minutes of a window, and what each repeats.
WINDOW_MIN, OVERLAP_MIN = 20, 1


def figures() -> list[Figure]:
    """Calls, and CPU seconds of one process."""
    hour, long = _talk(1), _talk(TEN_HOURS)
    with FakeOpenAI() as fake:
        desk = Desk(NoBooks(), KeptAnswers(ObjectStore.from_url("memory://")))
        analyst = OpenAIAnalyst(KEY, fake.base_url, desk=desk)
        first, again = (_calls(fake, analyst, hour) for _ in range(2))
        of_long = _calls(fake, analyst, long)
    before = 1 + ceil((TEN_HOURS * 60 - OVERLAP_MIN) / (WINDOW_MIN - OVERLAP_MIN))
    return [
        _calls_row("calls for a talk of an hour, which fits the context: kind and moments", first, 2),
        _calls_row("calls for it again, with nothing changed", again, 0),
        at_most("calls for ten hours, ranking included / version 0.2.0", of_long, before, 0.2, "{:.0f}"),
        at_most(
            "ten hours prepared, grounded and chosen by rules, CPU s", _cpu_s(long), LONG_TALK_CPU_S, 1.0, "{:.2f} s"
        ),
    ]


def _calls_row(claim: str, calls: int, limit: int) -> Figure:
    return Figure(claim, str(calls), "-", "-", f"<= {limit}", calls <= limit)


def _calls(fake: FakeOpenAI, analyst: OpenAIAnalyst, talk: Transcript) -> int:
    before = len(fake.completions)
    kind = analyst.classify(talk, SOURCE).document.kind
    moments = analyst.propose(talk, kind, SOURCE, Options()).moments
    select(moments, talk, Options(), talk.duration_s)
    return len(fake.completions) - before


def _cpu_s(talk: Transcript) -> float:
    analyst = OfflineAnalyst()
    analyst.classify(_talk(0.1), SOURCE)  # what is loaded once
    began_s = time.process_time()
    proposal = analyst.propose(talk, ContentKind.OTHER, SOURCE, Options())
    select(proposal.moments, talk, Options(), talk.duration_s)
    return time.process_time() - began_s


def _talk(hours: float) -> Transcript:
    """The sample talk over and over, a sentence every five seconds."""
    sentences = [text for section in SAMPLE_SECTIONS for text in section]
    timed = [(sentences[n % len(sentences)], 5.0 * n, 5.0 * n + 4.5) for n in range(int(hours * 720))]
    return transcript_of(timed)


if __name__ == "__main__":
    sys.exit(not show(figures()))
