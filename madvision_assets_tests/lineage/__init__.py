"""Claims about ``lineage``."""
