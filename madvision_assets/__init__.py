"""MadVision: videos in, insightful clips out.

The house has eight rooms on five levels; imports point down only (``make lint`` checks it):

    command | definitions  ->  defs | intake | lineage | evaluation  ->  work  ->  tools  ->  domain

* ``domain``   what is true: stages, documents, rules, failures. Standard library and pydantic only.
* ``tools``    touch the world: adapters, one package for each outside thing; none knows another.
* ``work``     combines tools: ingest, render, dispatch, and what operators ask for.
* ``defs``     what Dagster sees: the assets, their checks, sensors, IO manager and resources.
* ``intake``   what the public sees: the HTTP API and its pages.
* ``lineage``  what analysts see: where a result came from.
* ``evaluation``  how good a choice of clips is, beside baselines.
* ``command``  the ``madvision`` command.

``definitions`` is what Dagster loads. ``settings``, beside ``domain``, is the only file that reads the environment;
``connections``, beside ``work``, makes store and database from it. Start at ``defs/assets.py``: it reads as the
pipeline itself. The picture is in ``docs/architecture.md``.
"""
