"""What Dagster sees: five assets, their checks, and what they run on.

Here belongs everything that knows Dagster. What does not: rules (``domain``) and anything that touches the world
(``tools``); an asset takes its inputs, calls one tool or one rule, reports, returns.
"""
