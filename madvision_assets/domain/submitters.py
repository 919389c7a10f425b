"""Who submits: clients of the public routes, each by a salted hash, and the operator's own ways in, by their name.

A client is an address (of IPv6 a network), as the intake's limits know it. The operator's own ways in are trusted, and
may bring the videos of many: each of theirs counts by itself.
"""

import hashlib
import hmac

COMMAND_LINE = "command line"
INBOX = "inbox"
MCP = "mcp"

_CLIENT = "client:"
_HASH_CHARS = 32


def client_name(client: str, salt: str) -> str:
    """What is kept of a client.

    Args:
        client: its address or network.
        salt: of this installation; other installations know the same client by another name.
    """
    digest = hmac.new(salt.encode(), client.encode(), hashlib.sha256).hexdigest()
    return f"{_CLIENT}{digest[:_HASH_CHARS]}"


def is_client(submitter: str | None) -> bool:
    """Whether this is a client of the public routes; else its videos are the operator's, or whose is not known."""
    return submitter is not None and submitter.startswith(_CLIENT)


# The same, as SQL's LIKE has it.
CLIENTS_LIKE = f"{_CLIENT}%"
