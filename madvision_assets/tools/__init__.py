"""Adapters: one package for each outside thing.

Here belongs whatever touches a disk, a network, a process, a clock or a vendor's library. Heavy imports stay inside
functions, so that loading the pipeline's definitions is cheap. Vendor errors leave as leaves of ``domain.failures``.
What does not belong: rules (``domain``), and anything that knows Dagster (``defs``) or reads the environment.
"""
