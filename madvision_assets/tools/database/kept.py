"""Whether a connection that was kept can be used: asked without ever waiting long for it, or deaf to signals.

A server that stands still takes what it is sent and says nothing. Who waits for it within the driver hears no signal,
so the question is put by a thread beside, and the connection is cut where no answer comes.
"""

import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

ANSWER_LIMIT_S = 10.0
# Who was there a moment ago is taken to be there, unless the other side has said something: that it hangs up.
FRESH_S = 1.0
CUT_LIMIT_S = 5.0
_USED_S = "madvision_used_s"


def ask_before_use(engine: Engine) -> None:
    """Let an engine of psycopg2 use no kept connection that does not answer: it makes another one in its place."""

    def note(_connection: Any, record: Any) -> None:
        record.info[_USED_S] = time.monotonic()

    def ask(connection: Any, record: Any, _proxy: Any) -> None:
        is_fresh = time.monotonic() - record.info[_USED_S] < FRESH_S
        if not (is_fresh and is_silent(connection)) and not answers(connection):
            raise DisconnectionError("The connection that was kept does not answer.")

    event.listen(engine, "connect", note)
    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)


def is_silent(connection: Any) -> bool:
    """Whether the other side has said nothing since the last answer."""
    with suppress(Exception):  # closed by now
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0)
    return False


def answers(connection: Any) -> bool:
    """Whether it answers within ``ANSWER_LIMIT_S``; one that does not is cut off."""
    heard = []
    is_over = threading.Event()

    def ask() -> None:
        with suppress(Exception):  # whatever a driver raises: it cannot be used
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            heard.append(True)
        is_over.set()

    threading.Thread(target=ask, name="is-the-connection-there", daemon=True).start()
    try:
        is_over.wait(ANSWER_LIMIT_S)
    finally:  # also where a signal ends the wait: closing it would wait for the answer
        if not is_over.is_set():
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
            is_over.wait(CUT_LIMIT_S)
    return bool(heard)
