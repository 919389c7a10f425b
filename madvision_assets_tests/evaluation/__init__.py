"""Claims about how a choice of clips is measured, and about how good ours is."""
