"""One sandbox for whatever reads what strangers sent: the downloader, ffmpeg, PyAV.

A child starts through ``launcher``, a small program that gives up what its policy does not name and then becomes the
tool: rights, network, files, other processes, memory. The parent (``process``) watches it and ends its whole group.
Where a kernel refuses a control the others hold; ``controls.active`` tells which do, and ``doctor`` shows it.
What does not belong here: knowledge of what a child does. The launcher imports nothing of ours but this room's, so that
it starts quickly.
"""
