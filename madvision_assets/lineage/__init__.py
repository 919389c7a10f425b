"""What analysts see: where a result came from, and what it cost.

Reads our own ``lineage`` table and documents, never Dagster's tables.
"""
