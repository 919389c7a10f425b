"""Claims about what other versions of the program wrote."""
