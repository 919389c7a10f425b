"""A transcript of a sound file, made as the pipeline makes it, without the pipeline around it."""

from pathlib import Path

from madvision_assets.domain.documents import Made
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import Options, PublisherCaptions
from madvision_assets.tools.speech import SpeechEngine
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.transcribe import Transcriber
from madvision_assets_tests.stores import raw_video


def transcribed(
    folder: Path,
    flac: Path,
    engine: SpeechEngine,
    told: list[float] | None = None,
    *,
    options: Options | None = None,
    duration_s: float = 0.0,
    captions: str = "",
    prefer_captions: bool = False,
) -> Made[Transcript]:
    """What an engine makes of a FLAC file that lies in a store.

    Args:
        folder: gets the store.
        flac: as ``extract_flac`` writes it.
        engine: who hears it.
        told: gets the progress.
        options: what is asked of it.
        duration_s: of the video, as the source tells it.
        captions: of the publisher, WebVTT in Dutch; empty for none.
        prefer_captions: whether they are taken rather than heard.
    """
    store = ObjectStore.from_url((folder / "store").as_uri())
    audio = store.store_media(flac, "web-a", "flac", "audio/flac")
    info = raw_video().info.model_copy(update={"duration_s": duration_s})
    video = raw_video().model_copy(update={"audio": audio, "info": info, "options": options or Options()})
    if captions:
        (folder / "captions.vtt").write_text(captions)
        kept = PublisherCaptions(
            file=store.store_media(folder / "captions.vtt", "web-a", "vtt", "text/vtt"), language="nl"
        )
        video = video.model_copy(update={"captions": kept, "info": info.model_copy(update={"duration_s": 350.0})})
    transcriber = Transcriber(store, engine, prefer_captions=prefer_captions)
    fractions = told if told is not None else []
    return transcriber.transcribe(video, folder, lambda fraction, _text: fractions.append(fraction))
