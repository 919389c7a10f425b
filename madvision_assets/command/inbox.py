"""The command that empties the inbox: consume."""

import click

from madvision_assets.command.display import told_plainly
from madvision_assets.command.parts import host_option, port_option
from madvision_assets.settings import load_settings


@click.command()
@host_option
@port_option
@told_plainly
def consume(host: str, port: int | None) -> None:
    """Take submissions out of the message queue that MADVISION_INBOX_URL names, until SIGTERM.

    Each message is the JSON of POST /public/video, or an event of S3 about a new object. Ends with 1 where the queue
    is not there or not for us; waits where it, or the database, does not answer.
    """
    from madvision_assets.intake.consuming import consume as take_in

    take_in(load_settings(), host, port)


COMMANDS = (consume,)
