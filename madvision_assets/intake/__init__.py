"""What the public sees: the HTTP API and the pages, from the address of a video to its clips.

Here belong routes, what they take and give, and what they refuse. What does not: processing (``defs``), SQL and objects
(``tools``). A request reads and writes our own tables and the store; it never asks Dagster, and never resolves a name.
"""
