"""What combines tools: from an address to media in the store, from audio to words, from moments to clips.

Here belongs whatever needs more than one outside thing: ingest, transcribe, render, publish, dispatch, and what
operators ask for (doctor, forgetting, restoring). What does not: an adapter of one thing (``tools``), a rule that needs
none (``domain``), and anything that knows Dagster (``defs``) or reads the environment.
"""
