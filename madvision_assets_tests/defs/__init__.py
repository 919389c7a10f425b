"""Claims about ``defs``."""
