"""Fetch Whisper's weights while an image is built: ``fetch_weights.py turbo /models`` writes ``/models/turbo.pt``."""

import sys
from pathlib import Path

import whisper

name, folder = sys.argv[1:]
if name not in whisper._MODELS:  # noqa: SLF001 - the package is pinned, and load_model would want the memory too
    sys.exit(f"WHISPER_MODEL={name} is none of: {', '.join(whisper.available_models())}.")
fetched = whisper._download(whisper._MODELS[name], folder, in_memory=False)  # noqa: SLF001 - it checks the sum as well
Path(fetched).rename(Path(folder, f"{name}.pt"))
