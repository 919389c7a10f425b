"""What surrounds the stages while they run: their context, lease, scratch folder, failures, and the reconciler.

Here belongs what keeps the assets short and a run safe from its like. What does not: the assets, and what Dagster is
told of them (``defs``).
"""
