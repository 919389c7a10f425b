"""Claims about ``domain``."""
