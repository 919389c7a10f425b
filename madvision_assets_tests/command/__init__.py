"""Claims about ``command``."""
