"""Claims about what a transcript costs besides hearing: bytes out of the store, the disk, memory."""

import shutil
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from madvision_assets.domain.failures import RoomShortError
from madvision_assets.domain.heard import Asked
from madvision_assets.domain.language_spans import Vote
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.video import PublisherCaptions, RawVideo
from madvision_assets.tools.media import apart
from madvision_assets.tools.media.audio import RATE_HZ
from madvision_assets.tools.room import DiskRoom
from madvision_assets.tools.speech import Heard, Tell
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.tools.store.reader import BUFFER_BYTES, KEPT_BLOCKS
from madvision_assets.work.languages import EXCERPT_S, NEAR_S, Election
from madvision_assets.work.transcribe import Transcriber
from madvision_assets_tests import footage
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.stores import raw_video, s3_store

LOUD = 0.15
CAPTIONS = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nTo the music.\n"  # of all that sounds, a second


@dataclass
class Onlooker:
    """An engine that hears nothing, takes quiet sound for French and loud sound for English, and looks at a folder."""

    folder: Path
    seen: list[str] = field(default_factory=list)

    def prepare(self, tell: Tell) -> None:
        """Nothing to have at hand."""

    def transcribe(self, _samples: Any, asked: Asked) -> Heard:
        """No word."""
        self.seen += sorted(path.name for path in self.folder.iterdir())
        return Heard(asked.language or "", ())

    def language_of(self, samples: Any) -> tuple[str, float]:
        """By how loud it is."""
        return ("en" if np.abs(samples).max() > LOUD else "fr"), 0.95

    def check(self) -> tuple[bool, str]:
        """Always ready."""
        return True, "looking on"

    def recipe(self) -> Recipe:
        """Its name."""
        return Recipe(engine="onlooker")


def noise(path: Path, french_s: float, silent_s: float, english_s: float) -> Path:
    level = f"0.1*lt(t\\,{french_s})+0.4*gt(t\\,{french_s + silent_s})"
    sound = f"aevalsrc=(2*random(0)-1)*({level}):s={RATE_HZ}:d={french_s + silent_s + english_s}"
    footage.ffmpeg("-f", "lavfi", "-i", sound, "-sample_fmt", "s16", path)
    return path


def video_of(store: ObjectStore, flac: Path) -> RawVideo:
    return raw_video().model_copy(update={"audio": store.store_media(flac, "web-a", "flac", "audio/flac")})


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.mark.whole
def test_the_audio_is_fetched_once_however_often_it_is_read(s3_server: S3Server, tmp_path: Path, scratch: Path) -> None:
    store, engine = s3_store(s3_server), Onlooker(scratch)
    video = video_of(store, noise(tmp_path / "talk.flac", 200.0, 1.0, 200.0))
    (tmp_path / "c.vtt").write_text(CAPTIONS)
    captions = PublisherCaptions(file=store.store_media(tmp_path / "c.vtt", "web-a", "vtt", "text/vtt"), language="fr")
    info = video.info.model_copy(update={"duration_s": 401.0})
    video = video.model_copy(update={"captions": captions, "info": info})
    before = len(s3_server.requests())

    # Captions that are looked at and left, a survey, a change of language that is looked for, and what is heard.
    Transcriber(store, engine, prefer_captions=True).transcribe(video, scratch, lambda *_: None)

    fetched: Counter[str] = Counter()
    for request in s3_server.requests()[before:]:
        if request.method == "GET":
            fetched[request.path.partition("?")[0].rpartition("/")[2]] += request.sent_bytes
    name = video.audio.key.rpartition("/")[2]
    assert video.audio.size_bytes > 1.2 * KEPT_BLOCKS * BUFFER_BYTES
    assert video.audio.size_bytes <= fetched[name] <= 1.05 * video.audio.size_bytes
    assert name in engine.seen
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("backend", ["memory", "folder"])
def test_a_copy_is_made_only_of_what_lies_elsewhere_where_there_is_room_and_goes_afterwards(
    tmp_path: Path, scratch: Path, backend: str
) -> None:
    store = ObjectStore.from_url("memory://" if backend == "memory" else (tmp_path / "store").as_uri())
    video, engine = video_of(store, noise(tmp_path / "talk.flac", 1.0, 0.0, 2.0)), Onlooker(scratch)
    room = DiskRoom(tmp_path)
    transcriber = Transcriber(store, engine, room=room)
    with room.promised(tmp_path / "other") as other:
        other.need(shutil.disk_usage(tmp_path).free)
        if backend == "memory":
            with pytest.raises(RoomShortError):
                transcriber.transcribe(video, scratch, lambda *_: None)
            assert not list(scratch.iterdir())
        else:
            transcriber.transcribe(video, scratch, lambda *_: None)

    transcriber.transcribe(video, scratch, lambda *_: None)

    assert set(engine.seen) == ({video.audio.key.rpartition("/")[2]} if backend == "memory" else set())
    assert not list(scratch.iterdir())


def test_the_memory_of_finding_a_change_of_language_is_that_of_an_excerpt(tmp_path: Path) -> None:
    silent_s = 600.0
    flac, end_s = noise(tmp_path / "talk.flac", 30.0, silent_s, 30.0), 30.0 + silent_s + 30.0
    votes = [Vote(15.0, "fr", 0.95), Vote(end_s - 15.0, "en", 0.95)]

    tracemalloc.start()
    with flac.open("rb") as audio, apart.one_child():
        found = Election(Onlooker(tmp_path), "", votes).result(audio, end_s)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    (_, english) = found.segments
    assert end_s - 30.0 - NEAR_S <= english.start_s <= end_s - 30.0
    assert peak_bytes < 6 * EXCERPT_S * RATE_HZ * 4
