"""Media files: probing, normalising, audio, cutting, pictures. Real ffmpeg for what writes, PyAV for what reads.

Every time that leaves this package counts from the container's start (its earliest track), as players count and as
``-ss`` does, whatever time stamps the file begins with. Files are opened by content and only as one of the formats in
``ffmpeg.INPUT_FORMATS``: a playlist, whatever its name, opens nothing else.
"""
