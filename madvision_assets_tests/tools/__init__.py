"""Claims about ``tools``."""
