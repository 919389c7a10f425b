"""The claim that a full disk is one failure, whoever of the adapters meets it; what is only said to be one is none.

That ffmpeg and the downloader meet a disk that is really full: ``test_media_ffmpeg.py``, ``test_download.py``.
"""

import errno
import os
from collections.abc import Callable

import av
import pytest
from obstore.exceptions import GenericError
from yt_dlp.utils import DownloadError

from madvision_assets.domain.failures import DiskFullError, Failure, Resource
from madvision_assets.tools.database.errors import classify_database
from madvision_assets.tools.download.errors import classify, describe
from madvision_assets.tools.media import ffmpeg
from madvision_assets.tools.media.container import classify_av
from madvision_assets.tools.speech.errors import classify_speech
from madvision_assets.tools.store.errors import classify_store, folder_failure

ADAPTERS: dict[str, Callable[[OSError], Failure]] = {
    "database": classify_database,
    "speech": classify_speech,
    "store": lambda error: classify_store(error, "key"),
    "store, in words": lambda error: classify_store(GenericError(f"it failed (os error {error.errno})"), "key"),
    "store's folder": folder_failure,
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_full_disk_is_one_failure_whoever_meets_it(adapter: str, number: int) -> None:
    assert type(ADAPTERS[adapter](OSError(number, os.strerror(number)))) is DiskFullError


WORDS = f"HTTP Error 418: {os.strerror(errno.ENOSPC)} (os error 28); ffmpeg not found"
# Whose words, and errors, may be made by whoever made the page, the file or the name of an upload.
FROM_STRANGERS: dict[str, Callable[[], Failure]] = {
    "download": lambda: classify(describe(DownloadError(WORDS))),
    "download, by its child": lambda: classify(describe(DiskFullError(WORDS))),
    "media, by ffmpeg": lambda: ffmpeg._failure([os.devnull], WORDS, "cutting", 1),
    "media, by PyAV": lambda: classify_av(av.error.OSError(errno.ENOSPC, "its own buffer is full")),
    "store, by the name of an object": lambda: classify_store(GenericError(f"no answer for {WORDS}"), WORDS),
}


@pytest.mark.parametrize("adapter", FROM_STRANGERS)
def test_whatever_strangers_write_accuses_nothing_that_is_shared_but_their_host(adapter: str) -> None:
    assert FROM_STRANGERS[adapter]().resource in {None, Resource.HOST, Resource.STORE}
    assert type(FROM_STRANGERS[adapter]()) is not DiskFullError


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_another_fault_of_the_disk_is_none(adapter: str) -> None:
    assert type(ADAPTERS[adapter](OSError(errno.EIO, os.strerror(errno.EIO)))) is not DiskFullError
