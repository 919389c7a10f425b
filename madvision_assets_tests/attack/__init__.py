"""The attack suite: what hostile people send, against the real parts; ``make attack`` plays it and prints one table.

A module for each family: ``addresses``, ``door`` (requests and texts), ``ways`` (redirects, names, playlists),
``pages``, ``files``. Each attack is a row: name, kind, how it is made, and how it may end. What must never happen is
the same for all (``suite``): a connection to the inside, a secret that is opened or shown, more memory or time than
there is for it.
"""
