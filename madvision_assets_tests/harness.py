"""The real pipeline over quick tools: everything is ours and Dagster's, but nothing is downloaded, heard or paid for.

A ``Harness`` is a home with a database, a store and a Dagster instance, and the work of the daemon by hand: ``tick``
evaluates the sensor, makes its partitions, and runs what it asks for in this process.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from madvision_assets.connections import make_database, make_store
from madvision_assets.definitions import build_defs
from madvision_assets.defs import resources, sensors
from madvision_assets.defs.partitions import videos
from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Made
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment, Transcript
from madvision_assets.domain.video import MediaInfo, Options, RawVideo, SourceMetadata, Video
from madvision_assets.settings import Settings
from madvision_assets.tools.analyst import Analyst, Proposal
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import NewSubmission, Receipt, Submissions
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.render import ClipRenderer
from madvision_assets_tests import footage

GREETING = "Hello there."
Act = Callable[[], object]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

TITLE = "What we learned"


@dataclass
class InstantTools:
    """Tools that answer at once, count their calls, and do first what a test has planned for a step.

    Args:
        store: where media go.
        media: a playable MP4 of some seconds.
        plans: for a step what its next calls do first, such as raising a failure.
        words: what is heard all the time; without any, a greeting of a second.
        same_bytes: whether each video is the media as they are, and so shares its work with the others.
    """

    store: ObjectStore
    media: Path
    plans: dict[PipelineStep, list[Act]] = field(default_factory=dict)
    calls: Counter[PipelineStep] = field(default_factory=Counter)
    analyst: Analyst = field(default_factory=OfflineAnalyst)
    words: str = ""
    same_bytes: bool = False

    def plan(self, step: PipelineStep, *acts: Act | Exception) -> None:
        """What the next calls of a step do first, one each."""
        self.plans.setdefault(step, []).extend(act if callable(act) else _raising(act) for act in acts)

    def _begin(self, step: PipelineStep) -> None:
        self.calls[step] += 1
        acts = self.plans.get(step, [])
        if acts:
            acts.pop(0)()

    def take(self, video: Video, folder: Path, progress: Callable[[float, str], None]) -> Made[RawVideo]:
        """In place of the ingest."""
        self._begin(PipelineStep.RAW_VIDEO)
        progress(0.5, "half")
        media = self.media
        if not self.same_bytes:
            media = folder / media.name
            media.write_bytes(self.media.read_bytes() + footage.free_box(video.video_id))
        stored = self.store.store_media(media, video.video_id, "mp4", "video/mp4")
        info = MediaInfo(
            container="mp4", duration_s=6, advertised_duration_s=6, width=320, height=180, fps=25,
            max_frame_gap_s=0.04, video_codec="h264", audio_codec="aac",
        )  # fmt: skip
        source = SourceMetadata(extractor="quick", title=TITLE)
        document = RawVideo(
            video_id=video.video_id,
            address=video.address,
            media=stored,
            audio=stored,
            info=info,
            source=source,
            options=video.options,
        )
        return Made(document, Recipe(engine="quick"))

    def transcribe(self, raw: RawVideo, _folder: Path, progress: Callable[[float, str], None]) -> Made[Transcript]:
        """In place of Whisper."""
        self._begin(PipelineStep.TRANSCRIPT)
        progress(0.5, "half")
        duration_s = raw.info.duration_s
        heard = (
            Segment(id=0, start_s=0.5, end_s=duration_s - 0.5 if self.words else 1.5, text=self.words or GREETING),
        )
        document = Transcript(
            video_id=raw.video_id, language="en", duration_s=duration_s, audible_s=1.0, covered_s=1.0, segments=heard
        )
        return Made(document, Recipe(engine="quick"))

    def classify(self, transcript: Transcript, source: SourceMetadata, progress: Any = None) -> Made[ContentType]:
        """The offline analyst's word."""
        self._begin(PipelineStep.CONTENT_TYPE)
        return self.analyst.classify(transcript, source, progress)

    def propose(self, *arguments: Any) -> Proposal:
        """The offline analyst's word."""
        self._begin(PipelineStep.CLIP_CANDIDATES)
        return self.analyst.propose(*arguments)

    def fingerprint(self, step: str) -> str:
        """The offline analyst's."""
        return self.analyst.fingerprint(step)

    def render(
        self, raw: RawVideo, spoken: Transcript, chosen: ClipCandidates, folder: Path, progress: Any
    ) -> Made[Clips]:
        """The real renderer, with little to do."""
        self._begin(PipelineStep.CLIPS)
        return ClipRenderer(self.store).render(raw, spoken, chosen, folder, progress)


def _raising(error: Exception) -> Act:
    def act() -> None:
        raise error

    return act


def evaluate(given: Mapping[str, Any], instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """One evaluation of the sensor with these resources; its partitions are made, its requests given back."""
    asked = sensors.queue_sensor(**{name: given[name] for name in ("dispatcher", "database")})
    if isinstance(asked, dg.SkipReason):
        return []
    assert isinstance(asked, dg.SensorResult)
    for request in asked.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(str(videos.name), list(request.partition_keys))
    return list(asked.run_requests or ())


def execute(
    request: dg.RunRequest, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    """What the daemon does with a request, in this process."""
    return definitions.resolve_job_def("process_video").execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        tags=dict(request.tags),
        asset_selection=list(request.asset_selection or ()),
        run_config=QUIET,
        raise_on_error=False,
    )


@dataclass
class Harness:
    """A home of its own, and the daemon's work by hand."""

    settings: Settings
    tools: InstantTools
    queue: Queue
    submissions: Submissions
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    def submit(
        self, name: str = "a", priority: int = 0, callback_url: str | None = None, options: Options | None = None
    ) -> Receipt:
        """Hand in the address of a video."""
        address = f"http://{name}.example.org/v.mp4"
        video = Video(video_id=f"web-{name}", address=address, options=options or Options())
        return self.submissions.add([NewSubmission(video, priority, callback_url)])[0]

    def row(self, name: str = "a") -> QueueRow:
        """Where it stands."""
        row = self.queue.get(f"web-{name}")
        assert row is not None
        return row

    def ask(self) -> list[dg.RunRequest]:
        """One evaluation of the sensor; its partitions are made."""
        return evaluate(self.resources(), self.instance)

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """What the daemon does with a request, in this process."""
        return execute(request, self.definitions, self.instance)

    def tick(self) -> list[dg.ExecuteInProcessResult]:
        """One evaluation, and its runs to their end."""
        return [self.launch(request) for request in self.ask()]

    def by_hand(self, name: str, *steps: PipelineStep) -> dg.ExecuteInProcessResult:
        """A run that somebody starts in the UI."""
        self.instance.add_dynamic_partitions(str(videos.name), [f"web-{name}"])
        keys = [dg.AssetKey(step.value) for step in steps or PipelineStep]
        return self.launch(dg.RunRequest(partition_key=f"web-{name}", asset_selection=keys, tags={}))

    def resources(self) -> dict[str, Any]:
        """As the sensors have them."""
        return dict(resources.make_resources(self.settings))


@contextmanager
def open_harness(
    home: Path, media: Path, *, instance: dg.DagsterInstance | None = None, **settings: Any
) -> Iterator[Harness]:
    """A harness in a folder of its own, whose failures come back at once."""
    chosen = Settings(_env_file=None, home=home, **{"retry_base_s": 0.001, "breaker_pause_s": 0.001, **settings})
    database, store = make_database(chosen), make_store(chosen)
    database.ensure_schema()
    tools = InstantTools(store, media)
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as used:
        yield Harness(
            settings=chosen,
            tools=tools,
            queue=resources.make_queue(chosen, database),
            submissions=Submissions(database),
            instance=used,
            definitions=build_defs(chosen, dict.fromkeys(("ingest", "transcriber", "analyst", "renderer"), tools)),
        )
