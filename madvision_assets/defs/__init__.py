"""What Dagster sees: five assets, their checks, what they run on, and the sensors that turn the queue into runs.

Here belongs everything that knows Dagster. What does not: rules (``domain``) and anything that touches the world
(``tools``); an asset takes its inputs, calls one tool or one rule, reports, returns.
"""
