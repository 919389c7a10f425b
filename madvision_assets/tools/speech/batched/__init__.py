"""Whisper in batches, on openai-whisper's own weights: many pieces of a sound decoded in step.

``decoder.Decoder`` is the way in. A window is cut where nobody speaks (``pieces``), its spectrogram made on the device;
the pieces go through the encoder and the decoder side by side (``network``, ``batch``) by Whisper's own rules
(``rules``). What a row tells and whether it is to be believed is in ``transcript``: a row that fails is decoded hotter,
and what it skipped is a piece of its own. At last the decoder reads all texts once more, and what it attends to
tells when each word is said (``alignment``, ``words``). ``place`` is all that is different on a GPU.
"""
