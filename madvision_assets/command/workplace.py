"""What the commands work with: store, database and Dagster's instance, made from settings."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from madvision_assets.connections import make_database, make_store
from madvision_assets.domain import disk
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failures import Failure, HomeUnusableError, InvalidAddressError
from madvision_assets.domain.health import MEND_SENSOR, SENSORS, Finding, Health
from madvision_assets.domain.provenance import Provenance
from madvision_assets.domain.stages import PipelineStep, earliest
from madvision_assets.domain.video import Options, Video, file_video_id
from madvision_assets.settings import Executor, Settings
from madvision_assets.tools.analyst.registry import ANALYSTS
from madvision_assets.tools.speech.registry import find_engine
from madvision_assets.work.doctor import is_installed, takes_part_in_processing

if TYPE_CHECKING:
    from madvision_assets.defs.launch import RunReport
    from madvision_assets.defs.partitions import VideoPartitions

    Look = Callable[[PipelineStep | None], Sequence[PipelineStep]]

ROOT = Path(__file__).resolve().parents[2]
USUAL = Options()
ANALYST_ELSEWHERE = "asked by the stages' pods, which alone may have its key; what fails there opens its breaker"


class Workplace:
    """What the commands work with, made from settings."""

    def __init__(self, settings: Settings, *, prepare: bool = True) -> None:
        self.settings = settings
        self.store = make_store(settings)
        self.database = make_database(settings)
        if prepare:
            make_home(settings.home_folder)
            self.database.ensure_schema()

    def register(self, source: str, options: Options = USUAL) -> Video:
        """The row of an address or a local file that is to be cut so, made on first sight."""
        return self.add(*identify(source), options)

    def add(self, video_id: str, address: str, options: Options = USUAL) -> Video:
        """The row of a video of this ID and address that is to be cut so, made on first sight."""
        asked = options if options != USUAL else None
        return self.database.add_video(self.database.partition_of(video_id, options), address, asked)

    def provenance(self, video_id: str, step: PipelineStep) -> Provenance | None:
        """Of the newest document of a stage; None where there is none."""
        from madvision_assets.tools.store.documents import current_provenance

        return current_provenance(self.store, step, video_id)

    def pending(self, video_id: str, from_step: PipelineStep | None) -> tuple[PipelineStep, ...]:
        """The stages that are still to be done, those among them that a check has turned down."""
        from madvision_assets.tools.database.queue import Queue
        from madvision_assets.work.dispatch import missing_steps

        row = Queue(self.database).get(video_id)
        return missing_steps(self.store, video_id, earliest(from_step, row.from_step if row else None))

    def run(self, video_id: str, look: "Look", sink: Any, from_step: PipelineStep | None = None) -> "RunReport":
        """Materialise in this process what is left of a video when it is taken.

        Args:
            video_id: its partition.
            look: which stages those are, given from which on all are to be done again.
            sink: takes the progress.
            from_step: this stage and all later ones are to be done again.
        """
        from madvision_assets.defs import resources
        from madvision_assets.defs.launch import open_instance, run_video
        from madvision_assets.work.sharing import Sharing

        queue = resources.make_queue(self.settings, self.database)
        runtime = resources.make_runtime(self.settings, Sharing(self.store, self.database), queue, sink)
        given = {**resources.make_resources(self.settings), "runtime": runtime}
        with open_instance(self.dagster_folder, ROOT / "dagster.yaml") as instance:
            return run_video(given, instance, video_id, lambda: queue.take(video_id, look, from_step))

    def run_pending(self, video_id: str, from_step: PipelineStep | None, sink: Any) -> "RunReport":
        """Materialise in this process the stages that are still to be done when the video is taken."""
        from madvision_assets.work.dispatch import missing_steps

        def look(again: PipelineStep | None) -> Sequence[PipelineStep]:
            return missing_steps(self.store, video_id, again)

        return self.run(video_id, look, sink, from_step)

    @property
    def dagster_folder(self) -> Path:
        """The Dagster instance: DAGSTER_HOME, else below our own home."""
        return self.settings.dagster_home or self.settings.home_folder / "dagster"

    @contextmanager
    def partitions(self) -> "Iterator[VideoPartitions]":
        """What Dagster has of videos."""
        from madvision_assets.defs.launch import open_instance
        from madvision_assets.defs.partitions import VideoPartitions

        with open_instance(self.dagster_folder, ROOT / "dagster.yaml") as instance:
            yield VideoPartitions(instance)

    def clips(self, video_id: str) -> Clips:
        """The newest clips of a video."""
        from madvision_assets.tools.store.documents import read_current

        return read_current(self.store, Clips, video_id)

    def probes(self) -> dict[str, Any]:
        """What the doctor looks at, in the order it tells."""
        kept = {"database": self._check_database, "store": self._check_store}
        if not takes_part_in_processing():  # the intake's image
            return kept
        from madvision_assets.defs import resources
        from madvision_assets.tools.media import ffmpeg
        from madvision_assets.tools.sandbox import controls

        analyst = resources.make_analyst(self.settings, self.database, self.store)
        downloader = resources.make_downloader(self.settings)
        engine = resources.make_speech_engine(self.settings)
        speech = {} if self.transcript_elsewhere else {"Whisper model": engine.check}
        tools = {
            "sandbox": lambda: controls.told(self.settings.sandbox_memory_bytes),
            "ffmpeg": lambda: (True, ffmpeg.version()),
            "downloader": lambda: downloader.check(self.settings.ytdlp_max_age_weeks),
            "sites": downloader.etiquette.check,
            **speech,
            "analyst": lambda: (True, ANALYST_ELSEWHERE) if self.analyst_elsewhere else analyst.check(),
        }
        return {**tools, **kept}

    @property
    def transcript_elsewhere(self) -> bool:
        """Whether another image does the transcript."""
        engine = find_engine(self.settings.whisper_engine)
        return self.settings.executor is Executor.K8S and not is_installed(engine.extra)

    @property
    def analyst_elsewhere(self) -> bool:
        """Whether the stages' pods alone have the key of the analyst's API."""
        settings = self.settings
        wants_key = settings.analyst is None or ANALYSTS[settings.analyst].needs_key
        return settings.executor is Executor.K8S and settings.openai_api_key is None and wants_key

    def queue_findings(self) -> list[Finding]:
        """What is the matter with the queue, where there is one: what it leaves alone, and sensors that stand still.

        Nothing where the database cannot be asked, which a probe of its own tells.
        """
        from madvision_assets.command.display_queue import what_to_do
        from madvision_assets.tools.database.figures import Figures
        from madvision_assets.tools.database.operations import Operations

        figures, operations = Figures(self.database), Operations(self.database)
        now = datetime.now(UTC)
        try:
            shut, beats, has_work = figures.open_breakers(), figures.beats(), operations.has_work()
        except Failure:
            return []
        found = [Finding(f"breaker {b.name}", Health.WARNING, f"open: {b.cause}", what_to_do(b)) for b in shut]
        for sensor in SENSORS:
            beat = beats.get(sensor.name)
            if (silence := sensor.silence(beat, now)) and (beat or has_work):
                found.append(Finding(sensor.part, Health.WARNING, f"{silence}; {sensor.meanwhile}", MEND_SENSOR))
        return found

    def _check_database(self) -> tuple[bool, str]:
        self.database.ensure_schema()
        self.database.check()
        newer = self.database.newer_tables()
        return newer is None, newer or self.database.url

    def _check_store(self) -> tuple[bool, str]:
        self.store.check()
        return True, self.store.url


def identify(source: str) -> tuple[str, str]:
    """Video ID and address of what was typed: an ``http(s)`` address, or a file on this machine.

    Raises:
        InvalidAddressError: it begins like an address, or has one among its words, and is none that we take.
        click.BadParameter: it is neither, or the file cannot be read.
    """
    if source.strip().lower().startswith(("http://", "https://")):
        return identify_address(source)
    try:
        path = Path(source).expanduser().resolve()
        if not path.is_file():
            raise FileNotFoundError
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError, ValueError) as error:
        try:  # an address without its scheme or among words, where no file has that name
            return identify_address(source)
        except InvalidAddressError:
            if "http://" in source or "https://" in source:
                raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "there is no such file"
        raise click.BadParameter(
            f"{source[:200]!r} is neither a file on this machine that can be read ({reason}) "
            "nor an http:// or https:// address.",
            param_hint="URL_OR_FILE",
        ) from error
    return file_video_id(digest), path.as_uri()


def identify_address(source: str) -> tuple[str, str]:
    """Video ID and address of an address that was typed; no file is looked for.

    Raises:
        InvalidAddressError: it is none.
    """
    from madvision_assets.tools.download import identify as video_id_of
    from madvision_assets.tools.download.addresses import canonical_address

    address = canonical_address(source)
    return video_id_of(address), address


def make_home(folder: Path) -> None:
    """Make the folder of local state.

    Raises:
        HomeUnusableError: it cannot be made, or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeUnusableError(f"{folder}: {disk.reason(error.errno)}") from error
    if not os.access(folder, os.W_OK):
        raise HomeUnusableError(f"{folder} cannot be written to")
