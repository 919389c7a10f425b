"""The words that whisper-nano knows, and a generator of sentences made of them.

The generator's random draws are part of the recipe: the same seed must give the same sentences,
because training, held-out and demo texts are kept apart by seed.
"""

from __future__ import annotations

import argparse
import random

NOUN = """model data system network pipeline server cluster table file code test user team product
service video talk speech audio text word sentence language question answer problem idea example
result number value error report page link image picture memory disk machine computer cloud
database query search index engine tool library package function class method object field key
list map graph tree node edge layer token vector matrix weight loss score metric chart plan step
task job queue stream event message signal channel frame window sample batch feature label schema
version release branch bug review policy rule contract cost price budget part piece point line
level speed size rate slide story room book door music phone city house water paper light
color""".split()
PLURAL = """models systems networks servers tables files tests users teams products services videos
talks words sentences languages questions answers problems ideas examples results numbers values
errors reports pages links images pictures machines computers queries tools functions classes
objects fields keys lists graphs nodes layers tokens vectors weights scores steps tasks jobs
events messages frames samples features labels rules costs people things days weeks months years
hours minutes seconds slides""".split()
VERB = """build train test run check read write load save store send move copy change fix measure
compare count find show explain use need want love keep make take give get start stop open close
split join merge sort filter scan parse clean label publish review watch track follow learn teach
know see like understand improve remove add create design plan ask help call try bring hold share
reduce support update""".split()
VERB_S = """builds trains runs checks reads writes loads saves stores sends moves changes fixes
measures compares counts finds shows explains uses needs wants keeps makes takes gives gets starts
stops opens closes merges filters cleans follows learns helps reduces supports updates improves
removes creates""".split()
PAST = """built trained tested checked wrote loaded saved stored sent moved changed fixed measured
compared counted found showed explained used needed wanted kept made took gave started stopped
opened closed cleaned published learned improved removed added created designed asked called tried
shared reduced""".split()
ADJECTIVE = """new old big small fast slow simple hard easy good bad clean broken public private
local remote early late first last next real large short long deep wide strong weak cheap free safe
smart great better best main common different important possible useful empty full ready right
wrong""".split()
ADVERB = """now today tomorrow yesterday here there always never often again quickly slowly well
soon later together finally""".split()
PREPOSITION = """in on at with from to for by of over under after before into about between without
through""".split()
CONJUNCTION = "and but because so when if while".split()
PRONOUN = "we you they I".split()
MODAL = "can will should must could would may".split()
NUMBER = "one two three four five six seven eight nine ten twenty hundred".split()
NAME = "Anna Peter Maria David Sara Tom".split()
DETERMINER = "the a this that every our your their my".split()
PLURAL_DETERMINER = "the these our your their some many most all two three four five ten".split()
OTHER = """hello everyone welcome thank you very much what why how where who is are was were has
have had not do does did it he she us let look as name more than only also just or be been there no
yes please think back up down out off me them""".split()

# Written by hand for the first demo, and never trained on.
DEMO = [
    "Hello everyone and welcome to this talk.",
    "My name is Anna and I build data systems.",
    "Today I want to talk about speech and language models.",
    "The first question is simple.",
    "Why do we need a new pipeline?",
    "The old system was very slow and users did not like it.",
    "Every video has audio and every audio file has words.",
    "We read the video and we write the text.",
    "The model was trained on public data.",
    "It finds the words and it measures the time.",
    "Then we store the text in a large table.",
    "You can search the table and find the right sentence.",
    "The next slide shows the results of our test.",
    "As you can see the new model is better.",
    "We reduced the cost and we improved the speed.",
    "The small model runs on a cheap machine.",
    "There is one important problem.",
    "The model makes errors when people talk quickly.",
    "Our team will fix this bug soon.",
    "We also want to add more languages.",
    "Please ask your questions after the talk.",
    "Thank you very much for your time.",
]

VOCABULARY = sorted(
    {
        *(NOUN + PLURAL + VERB + VERB_S + PAST + ADJECTIVE + ADVERB + PREPOSITION + CONJUNCTION),
        *(PRONOUN + MODAL + NUMBER + NAME + DETERMINER + PLURAL_DETERMINER + OTHER),
        *("time", "then"),  # only DEMO has them
    }
)

MAX_WORDS = 14


class SentenceGenerator:
    """Draws sentences from a random generator."""

    def __init__(self, dice: random.Random) -> None:
        """Keep the generator that all draws come from."""
        self.dice = dice
        self.pick = dice.choice

    def noun_phrase(self, nested: bool = False) -> str:
        """Draw a noun phrase; one that is not nested may end in a prepositional phrase."""
        pick, roll = self.pick, self.dice.random()
        if roll < 0.40:
            phrase = f"{pick(DETERMINER)} {pick(NOUN)}"
        elif roll < 0.62:
            phrase = f"{pick(DETERMINER)} {pick(ADJECTIVE)} {pick(NOUN)}"
        elif roll < 0.80:
            phrase = f"{pick(PLURAL_DETERMINER)} {pick(PLURAL)}"
        elif roll < 0.88:
            phrase = f"{pick(ADJECTIVE)} {pick(PLURAL)}"
        elif roll < 0.94:
            phrase = f"{pick(NUMBER)} {pick(PLURAL)}"
        else:
            phrase = f"{pick(DETERMINER)} {pick(NOUN)} {pick(NOUN)}"
        if not nested and self.dice.random() < 0.18:
            phrase += f" {self.prepositional_phrase()}"
        return phrase

    def prepositional_phrase(self) -> str:
        """Draw a preposition and a noun phrase."""
        return f"{self.pick(PREPOSITION)} {self.noun_phrase(nested=True)}"

    def clause(self) -> str:
        """Draw a clause, perhaps with an adverb or a prepositional phrase at its end."""
        clause = self.bare_clause()
        if self.dice.random() < 0.25:
            clause += f" {self.pick(ADVERB)}"
        if self.dice.random() < 0.15:
            clause += f" {self.prepositional_phrase()}"
        return clause

    def bare_clause(self) -> str:
        """Draw a clause of one of eight shapes."""
        pick, roll = self.pick, self.dice.random()
        if roll < 0.22:
            subject, modal = pick(PRONOUN), pick(MODAL)
            negation = "not " if self.dice.random() < 0.15 else ""
            return f"{subject} {modal} {negation}{pick(VERB)} {self.noun_phrase()}"
        if roll < 0.40:
            return f"{pick(PRONOUN)} {pick(PAST)} {self.noun_phrase()}"
        if roll < 0.58:
            return f"{self.noun_phrase()} {pick(VERB_S)} {self.noun_phrase()}"
        if roll < 0.68:
            return f"{pick(PRONOUN)} {pick(VERB)} {self.noun_phrase()}"
        if roll < 0.78:
            subject = f"{pick(DETERMINER)} {pick(NOUN)}"
            verb = pick(["is", "was", "is not", "has been", "may be", "will be"])
            stress = "very " if self.dice.random() < 0.3 else ""
            return f"{subject} {verb} {stress}{pick(ADJECTIVE)}"
        if roll < 0.84:
            verb, article = pick(["is", "was"]), pick(["a", "no", "one"])
            return f"there {verb} {article} {pick(ADJECTIVE)} {pick(NOUN)}"
        if roll < 0.90:
            subject = f"{pick(PLURAL_DETERMINER)} {pick(PLURAL)}"
            return f"{subject} {pick(['are', 'were', 'have been'])} {pick(ADJECTIVE)}"
        if roll < 0.95:
            return f"{pick(NAME)} {pick(PAST)} {self.noun_phrase()}"
        return f"it {pick(VERB_S)} {self.noun_phrase()} {pick(ADVERB)}"

    def question(self) -> str:
        """Draw a question, without its question mark."""
        pick = self.pick
        asking = pick(["what", "why", "how", "where", "when"])
        helper = pick(["do", "did", "can", "should"])
        return f"{asking} {helper} {pick(PRONOUN)} {pick(VERB)} {self.noun_phrase()}"

    def talk_phrase(self) -> str:
        """Draw a phrase that speakers of talks use."""
        # All eight are drawn before one is chosen: the seed's sentences depend on it.
        phrases = [
            f"hello everyone and welcome to {self.noun_phrase()}",
            f"thank you very much for {self.noun_phrase()}",
            f"today I want to talk about {self.noun_phrase()}",
            f"the next slide shows {self.noun_phrase()}",
            f"my name is {self.pick(NAME)} and I {self.pick(VERB)} {self.noun_phrase()}",
            f"as you can see {self.clause()}",
            f"please look at {self.noun_phrase()}",
            f"let me {self.pick(VERB)} {self.noun_phrase()}",
        ]
        return self.pick(phrases)

    def word_salad(self) -> str:
        """Draw words without grammar: they make the decoder listen instead of guess."""
        return " ".join(self.pick(VOCABULARY) for _ in range(self.dice.randint(3, 8)))

    def sentence(self) -> str:
        """Draw one sentence of at most 14 words, with a capital and a full stop."""
        roll, end = self.dice.random(), "."
        if roll < 0.52:
            text = self.clause()
        elif roll < 0.66:
            text = f"{self.clause()} {self.pick(CONJUNCTION)} {self.clause()}"
        elif roll < 0.72:
            text, end = self.question(), "?"
        elif roll < 0.76:
            text = f"let us {self.pick(VERB)} {self.noun_phrase()}"
        elif roll < 0.80:
            text = self.talk_phrase()
        else:
            text = self.word_salad()
        text = " ".join(text.split()[:MAX_WORDS])
        return text[0].upper() + text[1:] + end


def generate(dice: random.Random) -> str:
    """Draw one sentence from ``dice``."""
    return SentenceGenerator(dice).sentence()


def main() -> None:
    """Print sample sentences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    print(f"{len(VOCABULARY)} words")
    for _ in range(options.count):
        print(generate(dice))


if __name__ == "__main__":
    main()
