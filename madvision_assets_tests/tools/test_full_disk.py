"""The claim that a full disk is one failure, whoever of the adapters meets it."""

import errno
import os
from collections.abc import Callable

import av
import pytest
from obstore.exceptions import GenericError

from madvision_assets.domain.failures import DiskFullError, Failure
from madvision_assets.tools.database.errors import classify_database
from madvision_assets.tools.download.errors import classify, describe
from madvision_assets.tools.media import ffmpeg
from madvision_assets.tools.media.container import classify_av
from madvision_assets.tools.speech.openai_whisper import classify_speech
from madvision_assets.tools.store.errors import classify_store, folder_failure

ADAPTERS: dict[str, Callable[[OSError], Failure]] = {
    "database": classify_database,
    "download": lambda error: classify(describe(error)),
    "download, in words": lambda error: classify(describe(RuntimeError(str(error)))),
    "media, by PyAV": lambda error: classify_av(av.error.OSError(*error.args)),
    "media, by ffmpeg": lambda error: ffmpeg._failure([], f"the file: {error.strerror}", "cutting", 1),
    "speech": classify_speech,
    "store": lambda error: classify_store(error, "key"),
    "store, in words": lambda error: classify_store(GenericError(f"it failed (os error {error.errno})"), "key"),
    "store's folder": folder_failure,
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_full_disk_is_one_failure_whoever_meets_it(adapter: str, number: int) -> None:
    assert type(ADAPTERS[adapter](OSError(number, os.strerror(number)))) is DiskFullError


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_another_fault_of_the_disk_is_none(adapter: str) -> None:
    assert type(ADAPTERS[adapter](OSError(errno.EIO, os.strerror(errno.EIO)))) is not DiskFullError
