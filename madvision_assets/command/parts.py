"""The commands that run parts of the system and keep them at work: code-server, daemon, keep."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import click

from madvision_assets.command.display import echo, told_plainly
from madvision_assets.work.alive import Part, complaint_of
from madvision_assets.work.keeping import Keeper

POLL_S = 0.2
port_option = click.option("--port", type=click.IntRange(1, 65535), help="Answer there over HTTP whether it works.")
host_option = click.option("--host", default="127.0.0.1", show_default=True, help="Address; 0.0.0.0 is every one.")


@click.command("code-server")
@host_option
@click.option("--port", type=click.IntRange(1, 65535), default=4266, show_default=True, help="Where it answers.")
@told_plainly
def code_server(host: str, port: int) -> None:
    """Run Dagster's code server; the runs that it starts are forked from a process that has everything loaded."""
    from madvision_assets.defs.code_server import run
    from madvision_assets.settings import Executor, load_settings

    where = ["--host", host, "--port", str(port)]
    # Ticks that hang must leave threads for whoever asks whether it works.
    what = ["--max-workers", "16", "-m", "madvision_assets.definitions", "--location-name", "madvision"]
    run([*what, *where], forks_now=load_settings().executor != Executor.K8S)


@click.command()
@click.option("-w", "--workspace", "workspaces", multiple=True, type=click.Path(exists=True, dir_okay=False))
@host_option
@port_option
@told_plainly
def daemon(workspaces: tuple[str, ...], host: str, port: int | None) -> None:
    """Run Dagster's daemon; it answers whether it works, and begins anew after a clock that was set back."""
    from madvision_assets.defs.daemon import run

    run([word for file in workspaces for word in ("-w", file)], host, port)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("part", type=click.Choice([part.value for part in Part]))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the part answers.")
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="Where the part answers.")
@click.option("--mark", type=click.Path(path_type=Path), help="A file to touch whenever the part is found at work.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@told_plainly
def keep(part: str, host: str, port: int, mark: Path | None, command: tuple[str, ...]) -> None:
    """Run COMMAND, which is a part of the system, and start it again when it dies or does not do its work.

    What it started (a code server's runs) goes on meanwhile. SIGINT and SIGTERM stop all of it. For example:

    madvision keep intake --port 8000 -- madvision serve --port 8000
    """

    def tell(sentence: str) -> None:
        echo(f"madvision keep: {part}: {sentence}", err=True)

    keeper = Keeper(
        lambda: subprocess.Popen(command, start_new_session=True),
        lambda: complaint_of(Part(part), host, port),
        tell,
        mark=mark,
    )
    until_signalled(keeper)


def until_signalled(keeper: Keeper) -> None:
    """Keep a part at work until SIGINT or SIGTERM.

    An event that a handler sets may be locked by whom the handler interrupts, so that it only notes the signal.
    """
    stop = threading.Event()
    signals: list[int] = []
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda number, _frame: signals.append(number))
    failed: list[BaseException] = []

    def run() -> None:
        try:
            keeper.run(stop)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    thread = threading.Thread(target=run, name="keeper")
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
        if signals:
            stop.set()
    if failed:
        echo(f"madvision keep: {failed[0]}", err=True)
        sys.exit(1)


COMMANDS = (code_server, daemon, keep)
