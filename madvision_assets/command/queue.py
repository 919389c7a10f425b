"""The commands that feed, show and move the queue: submit, status, requeue, cancel."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from madvision_assets.command.display import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    answer,
    echo,
    make_console,
    tell,
    told_plainly,
)
from madvision_assets.command.naming import (
    COMMENT,
    STANDARD_INPUT,
    NotFound,
    end_where_not_found,
    find_each,
    ids_of,
    names_of,
    nothing_of,
    shortly,
    video_id_of,
)
from madvision_assets.command.workplace import Workplace, identify
from madvision_assets.domain.failures import Failure, leaf_of
from madvision_assets.domain.queue import MAX_PRIORITY, QueueStatus
from madvision_assets.domain.renditions import CaptionStyle, Shape
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.submitters import COMMAND_LINE
from madvision_assets.domain.urgency import Ageing
from madvision_assets.domain.video import Options, Video, seconds_of
from madvision_assets.settings import load_settings

if TYPE_CHECKING:
    from madvision_assets.command.display_queue import View

BATCH = 500
LISTS = ("vocabulary", "renditions")  # are typed with commas


class _VideoTime(click.ParamType[float]):
    """A place in a video."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; raises ``click.BadParameter``."""
        try:
            return seconds_of(value) if isinstance(value, str) else float(value)
        except ValueError as error:
            self.fail(f"{str(error).capitalize()}.", param, ctx)


VIDEO_TIME = _VideoTime()

as_format = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)


def from_step_option(text: str) -> Callable[[Any], Any]:
    """The option ``--from STEP``."""
    return click.option("--from", "from_step", type=click.Choice([step.value for step in PipelineStep]), help=text)


def cut_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a video is heard and cut; each other way is a partition of its own."""
    usual = Options()
    command = click.option("--vocabulary", metavar="TERMS", help="Names and words that are said, with commas.")(command)
    command = click.option("--translate", is_flag=True, default=None, help="Write down in English what is said.")(
        command
    )
    command = click.option("--title-language", metavar="CODE", help="Of the clips' names. Usually that spoken.")(
        command
    )
    for name, text in (("--end-s", "Only what is said until then."), ("--start-s", "Only what is said from then on.")):
        command = click.option(name, type=VIDEO_TIME, help=f"{text} Seconds, or 1:02:03.")(command)
    command = click.option("--topic", metavar="TEXT", help="Only what is said about it.")(command)
    command = click.option("--language", metavar="CODE", help="That is spoken (ISO 639-1). Usually found out.")(command)
    command = click.option("--captions", metavar="STYLE", help=f"Burn captions in: {', '.join(CaptionStyle)}.")(command)
    shapes = f"Shapes beside the source's, with commas: {', '.join(Shape)}."
    command = click.option("--renditions", metavar="SHAPES", help=shapes)(command)
    for name, kind, text in (
        ("--max-clip-s", float, f"What is said in a clip lasts at most so long. Usually {usual.max_clip_s:g}."),
        ("--min-clip-s", float, f"A clip lasts at least so long. Usually {usual.min_clip_s:g}."),
        ("--max-clips", int, f"At most so many clips. Usually {usual.max_clips}."),
    ):
        command = click.option(name, type=kind, help=text)(command)
    return command


def options_of(asked: Mapping[str, Any]) -> Options:
    """How a video is to be heard and cut.

    Raises:
        click.BadParameter: a value cannot be had; says which there are.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    for name in LISTS:
        if name in given:
            given[name] = given[name].split(",")
    try:
        options = Options.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-")
        said = first["msg"].removeprefix("Value error, ")
        raise click.BadParameter(f"{said[:1].upper()}{said[1:]}.", param_hint=f"--{name}") from error
    if options.min_clip_s > options.max_clip_s:
        raise click.BadParameter("It must not be more than --max-clip-s.", param_hint="--min-clip-s")
    return options


@click.command()
@click.argument("sources", metavar="URL_OR_FILE...", nargs=-1)
@click.option("--file", "listed", type=click.File("rb"), metavar="LIST", help="One address or file a line; - is stdin.")
@click.option("--priority", type=click.IntRange(-MAX_PRIORITY, MAX_PRIORITY), default=0, help="Higher is earlier.")
@cut_options
@as_format
@told_plainly
def submit(sources: tuple[str, ...], listed: IO[bytes] | None, priority: int, form: str, **asked: Any) -> None:
    """Queue videos, and print the ID and the token of each; - takes addresses and files from stdin, one a line.

    In a list, empty lines and those that begin with # are passed over. A line that is no address is told with its
    number, the others are taken, and the command ends with 1.
    """
    if bool(sources) == (listed is not None):
        raise click.UsageError("Give addresses or files, or a list of them with --file.")
    from madvision_assets.command.display_queue import ReceiptPrinter
    from madvision_assets.tools.database.submissions import NewSubmission, Submissions

    database = Workplace(load_settings()).database
    submissions = Submissions(database)
    bad: list[int] = []
    # On the command line all or nothing: what is wrong there is seen before anything is taken.
    options = options_of(asked)
    named = read_list(listed, bad) if listed else identified(sources, bad)
    wanted = (Video(video_id=database.partition_of(each, options), address=at, options=options) for each, at in named)
    with ReceiptPrinter(make_console(), form) as printer:
        while batch := list(islice(wanted, BATCH)):
            receipts = submissions.add([NewSubmission(video, priority, submitter=COMMAND_LINE) for video in batch])
            printer.print(receipts)
    end_with_bad(bad)


@click.command()
@click.argument("named", metavar="[VIDEO]...", nargs=-1)
@click.option("--status", "status_name", type=click.Choice([each.value for each in QueueStatus]))
@click.option("--cause", metavar="CODE", help="Only what failed or waits for this cause.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Videos to list.")
@click.option("--watch", "watched", is_flag=True, help="Follow them until all are over; 1 where one is not done then.")
@as_format
@told_plainly
def status(
    named: tuple[str, ...], status_name: str | None, cause: str | None, limit: int, form: str, *, watched: bool
) -> None:
    """Tell how the queue stands, or videos with their history; - takes names from stdin, one a line.

    VIDEO is an ID, a token, an address or file, or the ID of one of its clips. Without any, --watch follows those that
    are listed.
    """
    from madvision_assets.command import display_queue
    from madvision_assets.tools.database.operations import Operations

    if watched and form == "json":
        raise click.UsageError("--watch shows lines; leave --format json away.")
    workplace = Workplace(load_settings())
    wanted = QueueStatus(status_name) if status_name else None
    operations = Operations(workplace.database, ageing=Ageing(workplace.settings.priority_ageing_s))
    if watched:
        rows = [] if named else operations.rows(wanted, cause, limit)
        _watch(workplace, [video_id_of(workplace, each) for each in names_of(named)] or [row.video_id for row in rows])
        return
    if not named:
        _show([display_queue.look_at_queue(operations, wanted, cause, limit, workplace.database)], form)
    elif len(named) == 1 and STANDARD_INPUT not in named:
        video_id, ui = video_id_of(workplace, named[0]), workplace.settings.dagster_url
        _show([display_queue.look_at_video(workplace.database, video_id, ui)], form)
    else:
        _show(list(_looked_at(workplace, named)), form, several=True)


def _looked_at(workplace: Workplace, named: Sequence[str]) -> "Iterator[View | NotFound]":
    """Each of these videos once, and each name that leads to none."""
    from madvision_assets.command.display_queue import look_at_video

    found = find_each(workplace, named)
    once = {each.name if isinstance(each, NotFound) else each.video_id: each for each in found}
    for each in once.values():
        if isinstance(each, NotFound):
            yield each
        else:
            yield look_at_video(workplace.database, each.video_id, workplace.settings.dagster_url)


def _show(views: "Sequence[View | NotFound]", form: str, *, several: bool = False) -> None:
    """Show them; ends with 1 where a name led nowhere."""
    if form == "json":
        told = [view.as_json() for view in views]
        echo(json.dumps(told if several else told[0], indent=2))
    else:
        for view in views:
            if not isinstance(view, NotFound):
                view.show(make_console())
    end_where_not_found(views)


def _watch(workplace: Workplace, video_ids: Sequence[str]) -> None:
    from madvision_assets.command.watch import watch
    from madvision_assets.tools.database.queue import Queue

    queue = Queue(workplace.database)
    try:
        all_done = watch(lambda: {each: queue.get(each) for each in video_ids}, make_console())
    except KeyboardInterrupt:
        tell(make_console(stderr=True), "Stopped watching;", "yellow", "the videos go on.")
        sys.exit(EXIT_INTERRUPTED)
    if not all_done:
        sys.exit(EXIT_FAILED)


@click.command()
@click.option("--cause", metavar="CODE", help="All that failed, were parked or wait for this cause, which is mended.")
@click.option("--video", "named", metavar="VIDEO", multiple=True, help="This video; - takes names from stdin.")
@from_step_option("Do this stage and all later ones again.")
@as_format
@told_plainly
def requeue(cause: str | None, named: tuple[str, ...], from_step: str | None, form: str) -> None:
    """Queue videos again, with nothing held against them.

    With --cause, the breakers that it opened are closed too. A video that is being processed is left alone.
    """
    if (cause is None) == (not named):
        raise click.UsageError("Give either --cause CODE or --video ID.")
    from madvision_assets.tools.database.operations import Operations

    workplace = Workplace(load_settings())
    operations = Operations(workplace.database)
    step = PipelineStep(from_step) if from_step else None
    if cause is not None:
        _require_cause(cause, operations)
        count = operations.requeue(cause=cause, from_step=step)
        told = f"{videos(count)} queued again that {cause} held up." if count else f"{cause} holds up no video."
        answer(form, {"queued": count, "left_alone": 0}, told)
        return
    wanted = ids_of(workplace, named)
    if unknown := sorted(set(wanted) - operations.extent(wanted).known):
        raise nothing_of(workplace, unknown)
    count = operations.requeue(video_ids=wanted, from_step=step)
    left = len(wanted) - count
    answer(form, {"queued": count, "left_alone": left}, f"{videos(count)} queued again.")
    if left:
        sentence = f"being processed just now, or deleted by whoever submitted them, and left alone: {videos(left)}."
        tell(make_console(stderr=True), "note:", "yellow", sentence)


@click.command()
@click.argument("named", metavar="VIDEO...", nargs=-1, required=True)
@as_format
@told_plainly
def cancel(named: tuple[str, ...], form: str) -> None:
    """Stop videos that wait or are being processed; - takes names from stdin, one a line.

    What is finished is kept: madvision requeue --video VIDEO goes on from there. Whoever is at work on one ends at its
    next sign of life.
    """
    from madvision_assets.tools.database.queue import Queue

    workplace = Workplace(load_settings())
    queue = Queue(workplace.database)
    asked = sorted(ids_of(workplace, named))
    stopped = [video_id for video_id in asked if queue.cancel(video_id)]
    left = sorted(set(asked) - set(stopped))
    answer(form, {"stopped": stopped, "left_alone": left}, f"{videos(len(stopped))} stopped.")
    if left:
        tell(make_console(stderr=True), "note:", "yellow", f"Over already, or never queued: {shortly(left)}")


def identified(sources: Sequence[str], bad: list[int]) -> Iterator[tuple[str, str]]:
    """ID and address of each video that was typed, all or none, then of those on standard input where - was."""
    typed = [identify(source) for source in sources if source != STANDARD_INPUT]
    listed = sys.stdin.buffer if STANDARD_INPUT in sources else ()
    return chain(typed, read_list(listed, bad))


def read_list(listed: Iterable[bytes], bad: list[int]) -> Iterator[tuple[str, str]]:
    """ID and address of each video of a list; the numbers of the lines that name none go to ``bad``."""
    errors = make_console(stderr=True)
    for number, line in enumerate(listed, start=1):
        try:
            source = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if source and not source.startswith(COMMENT):
                yield identify(source)
        except (Failure, click.BadParameter, UnicodeDecodeError) as error:
            bad.append(number)
            reason = error.message if isinstance(error, click.BadParameter) else str(error)
            tell(errors, f"line {number}:", "red", reason)


def end_with_bad(bad: Sequence[int]) -> None:
    """End with 1 where lines of a list named no video."""
    if bad:
        lines = f"{len(bad)} line{'s' * (len(bad) != 1)}"
        tell(make_console(stderr=True), "error:", "red", f"{lines} could not be taken, and the others were.")
        sys.exit(EXIT_FAILED)


def _require_cause(cause: str, operations: Any) -> None:
    """Refuse a code that no failure has.

    Raises:
        click.BadParameter: names those that occur.
    """
    if leaf_of(cause).code == cause:
        return
    occurring = {count.failure_cause for count in operations.counts() if count.failure_cause}
    occurring |= {breaker.cause for breaker in operations.open_breakers() if breaker.cause}
    told = f"In the queue there are: {', '.join(sorted(occurring))}." if occurring else "The queue holds no failure."
    raise click.BadParameter(f"{cause[:100]!r} is the code of no failure. {told}", param_hint="--cause")


def videos(count: int) -> str:
    """So many videos, in words."""
    return f"{count:,} video{'s' * (count != 1)}"


COMMANDS = (submit, status, requeue, cancel)
