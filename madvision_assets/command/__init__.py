"""The ``madvision`` command: one file for each family of commands, and what they show.

Here belongs what reads arguments, prints, and ends with an exit code. What does not: the work itself (``work``,
``defs``), which says what it did in values and failures.
"""
