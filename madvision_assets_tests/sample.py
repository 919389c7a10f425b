"""The bundled sample talk: its file, its truth, and the model that hears it."""

import json
from pathlib import Path
from typing import Any

LOCAL = Path(__file__).resolve().parents[1] / "deployments" / "local"
SAMPLE = LOCAL / "sample_talk" / "sample_talk.mp4"
TRUTH = LOCAL / "sample_talk" / "sample_talk.json"
MODEL = "tiny.en"  # real weights of OpenAI's, out of a package


def spoken_sentences() -> list[dict[str, Any]]:
    """What is said, in order: ``text``, ``start_s``, ``end_s``."""
    sentences: list[dict[str, Any]] = json.loads(TRUTH.read_text())["sentences"]
    return sentences
