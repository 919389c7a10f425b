"""Claims about ``work``."""
