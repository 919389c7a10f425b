"""How good a choice of clips is: measured beside baselines, on talks of which it is known what editors chose.

Here belong labelled sets, measures, baselines and their tables. It reads labelled JSON and our own documents; what
proposes clips (an analyst) and what vets them (``domain.selection``) are the real ones, given to it from above.
"""
