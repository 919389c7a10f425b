"""What the MCP server can do: the commands' own functions, one tool each, with answers of bounded length.

Whoever may use it is trusted as whoever types the commands is; but only addresses are taken, no files of this machine.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar, cast

import click
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field, ValidationError

from madvision_assets.command import naming
from madvision_assets.command.display_queue import look_at_queue, look_at_video
from madvision_assets.command.edit import NONE
from madvision_assets.command.workplace import Workplace
from madvision_assets.domain.clips import Clip
from madvision_assets.domain.failures import Failure, MissingInputError
from madvision_assets.domain.queue import MAX_PRIORITY, QueueStatus
from madvision_assets.domain.renditions import CaptionStyle, Shape
from madvision_assets.domain.submitters import MCP
from madvision_assets.domain.urgency import Ageing
from madvision_assets.domain.video import Options, Video, uncut_id
from madvision_assets.domain.wanted_edits import ChoosePictures
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import ClipOptions, SubmissionRequest
from madvision_assets.intake.services import make_services
from madvision_assets.intake.submitting import checked
from madvision_assets.lineage.queries import video_lineage
from madvision_assets.tools.database.newest import about_videos
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.work.editing import Editing
from madvision_assets.work.searching import HIGHEST_ID, Search

MOST_LISTED, MOST_FOUND = 100, 50
MOST_ATTEMPTS, MOST_MATERIALISATIONS = 20, 50
# ID, token, or ID of a clip. Anything else that is no address might be a file of this machine.
_NAME = re.compile(r"[\w.-]{1,200}")

Named = Annotated[
    str, Field(max_length=2048, description="Its ID, token, page, address, or the ID of one of its clips.")
]
Asked = Annotated[Options | None, Field(description="How it is heard and cut; what is left out is as usual.")]
Shapes = Annotated[list[Shape], Field(description="Besides the source's own, which is always there; [] for none.")]
Captions = Annotated[
    CaptionStyle | Literal["none"], Field(description="Burnt into these shapes, else the source's own shape.")
]
Urgency = Annotated[int, Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="A higher one is done earlier.")]
Tool = TypeVar("Tool", bound=Callable[..., Any])


def told_as_error(tool: Tool) -> Tool:
    """What cannot be done is told in a sentence; the client sees no traceback."""

    @wraps(tool)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except Failure as failure:
            raise ToolError(f"{failure.code}: {failure}") from failure
        except ProblemError as error:
            raise ToolError(f"{error.problem.code}: {error.problem.detail}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "options"
            raise ToolError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
        except click.ClickException as error:
            raise ToolError(error.format_message()) from error
        except ValueError as error:
            raise ToolError(str(error)) from error

    return cast("Tool", wrapper)


class Tools:
    """The tools, each a method whose docstring the client reads.

    Args:
        workplace: store and database.
    """

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._services = make_services(workplace.settings)

    @property
    def all(self) -> list[Callable[..., dict[str, Any]]]:
        """In the order in which they are listed."""
        return [
            self.submit_video,
            self.video_status,
            self.list_videos,
            self.list_clips,
            self.recut_video,
            self.choose_pictures,
            self.search_transcripts,
            self.video_lineage,
        ]

    @told_as_error
    def submit_video(self, url: str, priority: Urgency = 0, options: Asked = None) -> dict[str, Any]:
        """Queue the video at a web address (http or https) to be cut into clips.

        Gives its video_id, its token and its status; follow it with video_status. Processing takes minutes. The same
        video submitted twice is processed once.
        """
        request = SubmissionRequest.model_validate({"url": url, "options": _checked(options) if options else None})
        return self._submit(checked(self._services, request).video, priority)

    @told_as_error
    def recut_video(self, video: Named, options: Options, priority: Urgency = 0) -> dict[str, Any]:
        """Cut a video that is known again, in another way, such as other lengths or a topic.

        It becomes a video of its own, with its own video_id, token and clips; the first stays as it is. For other
        shapes or captions of the very clips that there are, use choose_pictures.
        """
        options = Options.model_validate(_checked(options))
        known = self._workplace.database.get_video(self._find(video).video_id)
        partition = self._workplace.database.partition_of(uncut_id(known.video_id), options)
        return self._submit(Video(video_id=partition, address=known.address, options=options), priority)

    @told_as_error
    def choose_pictures(
        self, video: Named, renditions: Shapes | None = None, captions: Captions | None = None
    ) -> dict[str, Any]:
        """Choose the shapes and captions of the clips that a video has, for all of them; what is left out stays.

        Only pictures that are missing are rendered, and those that are not named any more are not delivered any more.
        Follow it with video_status, then call list_clips. Refused while the video is being processed.
        """
        asked = {"captions": captions, "renditions": renditions}
        given = {name: None if each == NONE else each for name, each in asked.items() if each is not None}
        edit = ChoosePictures.model_validate({"change": "pictures", **given})
        video_id = self._find(video).video_id
        editing = Editing(self._workplace.store, self._workplace.database, Queue(self._workplace.database))
        try:
            made = editing.make(video_id, [edit], version=None, who=MCP)
        except MissingInputError as missing:
            raise ToolError(
                f"No moments of {video_id} are chosen yet. Look again when its clips are made."
            ) from missing
        return {
            "video_id": video_id,
            "version": made.clips.origin.data_version,
            "renditions": list(made.pictures.renditions),
            "captions": made.pictures.captions,
            "new_renditions": list(made.pictures.beyond(made.before)),
            "dropped_renditions": list(made.pictures.without(made.before)),
        }

    @told_as_error
    def video_status(self, video: Named) -> dict[str, Any]:
        """Tell where a video stands: queue.status is queued, running, waiting, done, failed or parked, and why."""
        told = look_at_video(self._workplace.database, self._find(video).video_id).as_json()
        told["attempts"] = told["attempts"][-MOST_ATTEMPTS:]
        return told

    @told_as_error
    def list_videos(
        self,
        status: QueueStatus | None = None,
        cause: Annotated[str | None, Field(max_length=100, description="Code of a failure.")] = None,
        limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 20,
    ) -> dict[str, Any]:
        """List videos, most urgent first, and count all of them by status; those that are done are the newest first."""
        database = self._workplace.database
        operations = Operations(database, ageing=Ageing(self._workplace.settings.priority_ageing_s))
        told = look_at_queue(operations, status, cause, limit).as_json()
        about = about_videos(database, [row["video_id"] for row in told["videos"]])
        for row in told["videos"]:
            known = about.get(row["video_id"])
            row["title"] = known.title if known else ""
        return told

    @told_as_error
    def list_clips(self, video: Named) -> dict[str, Any]:
        """List the clips of a video that is done, best first: title, reason, score, times in seconds, and files."""
        made = self._workplace.clips(self._find(video).video_id)
        return {
            "video_id": made.video_id,
            "outcome": made.outcome.value,
            "outcome_reason": made.outcome_reason,
            "provisional": made.provisional,
            "clips": [self._clip(clip) for clip in made.clips[:MOST_LISTED]],
            "failed_clips": [each.model_dump(mode="json") for each in made.failed[:MOST_LISTED]],
        }

    @told_as_error
    def search_transcripts(
        self,
        words: str,
        video: Annotated[Named | None, Field(description="Only in this video.")] = None,
        limit: Annotated[int, Field(ge=1, le=MOST_FOUND)] = 20,
        before: Annotated[
            int | None, Field(ge=1, le=HIGHEST_ID, description="next_before of an earlier search.")
        ] = None,
    ) -> dict[str, Any]:
        """Find the moments in which all of these words are said, with the video and the clip; phrases in quotes."""
        video_ids = [self._find(video).video_id] if video is not None else None
        found = Search(self._workplace.database).find(words, limit, video_ids, before)
        return found.model_dump(mode="json")

    @told_as_error
    def video_lineage(self, video: Named) -> dict[str, Any]:
        """Tell from which versions, model and prompt each stage of a video was made and what it cost, in US dollars.

        Of a clip also the words that it was chosen for.
        """
        named = self._find(video)
        found = video_lineage(self._workplace.database, self._workplace.store, named.clip_id or named.video_id)
        told = found.model_dump(mode="json")
        told["materialisations"] = told["materialisations"][-MOST_MATERIALISATIONS:]
        return told

    def _find(self, text: str) -> naming.Named:
        name = text.strip()
        if not name.startswith(("http://", "https://")) and not _NAME.fullmatch(name):
            raise ToolError("Name a video by its ID, token, address, or the ID of one of its clips.")
        return naming.find(self._workplace, name, files=False)

    def _submit(self, video: Video, priority: int) -> dict[str, Any]:
        submissions = Submissions(self._workplace.database)
        (receipt,) = submissions.add([NewSubmission(video, priority, submitter=MCP)])
        row = receipt.row
        return {"video_id": row.video_id, "token": receipt.token, "status": row.status.value}

    def _clip(self, clip: Clip) -> dict[str, Any]:
        names = {
            "clip_id",
            "rank",
            "title",
            "reason",
            "score",
            "start_s",
            "end_s",
            "duration_s",
            "width",
            "height",
            "failed",
        }
        files = {role: self._workplace.store.uri(file.key) for role, file in clip.files.items()}
        return {**clip.model_dump(mode="json", include=names), "files": files}


def _checked(options: Options) -> dict[str, Any]:
    """What of them is not as usual, checked as the API does.

    Raises:
        ValidationError: they contradict each other.
    """
    told = options.model_dump(mode="json", exclude_defaults=True)
    ClipOptions.model_validate(told)
    return told
