"""MadVision: videos in, insightful clips out.

The house has five rooms; imports point down only (`make lint` checks it):

    cli, definitions  ->  defs | intake | lineage  ->  tools  ->  domain

* ``domain``   what is true: the documents, the rules, the failures. Standard library and pydantic only.
* ``tools``    touch the world: one adapter for each outside thing.
* ``defs``     what Dagster sees: five assets, their checks, sensors, IO manager and resources.
* ``intake``   what the public sees: the HTTP API and its pages.
* ``lineage``  what analysts see: where a result came from.

``cli`` and the files beside it are the ``madvision`` command; ``settings`` is the only file that reads the
environment, and ``connections`` makes store and database from it. Start at ``defs/assets.py``: it reads as the
pipeline itself.
"""
