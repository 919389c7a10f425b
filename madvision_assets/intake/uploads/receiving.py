"""Keeping a file while it comes: blocks into the store, and after each a line in the database that says so.

The secret in an upload's address is kept nowhere. The submission's token is made from it, so that whoever lost the last
answer can ask for it again.
"""

import base64
import hashlib
import hmac
import secrets
from contextlib import suppress

from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.received import BLOCK_BYTES, ReceivedFile, chained, received_video_id
from madvision_assets.domain.video import Options, Video
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import UploadRequest
from madvision_assets.intake.services import Services
from madvision_assets.intake.submitting import admitted, checked_callback
from madvision_assets.tools.database.submissions import NewSubmission, Receipt
from madvision_assets.tools.database.uploads import Held, UploadRow, Uploads
from madvision_assets.tools.store.incoming import IncomingFiles

SECRET_BYTES = 32
PLACE_BYTES = 16
# Each request writes the block again that it goes on with: so many may bring little, all others this much on average.
SMALL_REQUESTS = 500
BYTES_A_REQUEST = 256 * 1024
WAIT_S = 600


class Receiver:
    """Uploads, as their senders see them. Its methods block: for threads.

    Args:
        services: of the intake.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self.uploads = Uploads(services.database)
        self.files = IncomingFiles(services.store)

    def create(self, client: str, size_bytes: int, asked: UploadRequest) -> tuple[str, UploadRow]:
        """A new upload; gives the secret of its address.

        Raises:
            ProblemError: ``refused_address`` or ``invalid_address`` of the callback, ``too_many_uploads``,
                ``upload_quota``, ``uploads_full``, ``quota_spent``.
        """
        called = checked_callback(self._services, asked.callback_url)
        kept = asked.model_copy(update={"callback_url": called}).model_dump(mode="json", exclude={"name"})
        submitter = admitted(self._services, client)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        row = self.uploads.create(
            hash_of(secret),
            secrets.token_hex(PLACE_BYTES),
            submitter,
            {"name": asked.name, "size_bytes": size_bytes, "asked": kept},
            self._admit,
            self._settings.upload_expires_s,
        )
        return secret, row

    def find(self, secret: str) -> UploadRow:
        """The upload with this secret.

        Raises:
            ProblemError: ``unknown_upload``, ``upload_expired``.
        """
        row = self.uploads.find(hash_of(secret))
        if row is None:
            raise ProblemError("unknown_upload", "No upload has this address. Begin a new one.")
        if row.expires_at <= self.uploads.now():
            raise ProblemError(
                "upload_expired", "Too long nothing came of this file, or it was given up. Send it anew."
            )
        return row

    def begin(self, secret: str, offset_bytes: int) -> "Writer":
        """Go on with a file.

        Raises:
            ProblemError: ``unknown_upload``, ``upload_expired``, ``upload_offset``, ``upload_fragmented``.
        """
        row = self.find(secret)
        if row.offset_bytes != offset_bytes:
            raise wrong_offset(row)
        if row.is_whole:
            return Writer(self, row)
        if row.writer > SMALL_REQUESTS + row.offset_bytes // BYTES_A_REQUEST:
            raise ProblemError("upload_fragmented", "Send more with each request: the whole rest, or some MB.")
        begun = self.uploads.begin(row.secret_hash, offset_bytes)
        if begun is None:
            raise wrong_offset(self.find(secret))
        try:
            return Writer(self, begun, *self.files.tail(begun.place, offset_bytes))
        except MissingInputError as error:  # somebody has emptied the store
            raise ProblemError(
                "upload_expired", "What came of this file is not kept any more. Send it anew."
            ) from error

    def end(self, secret: str) -> None:
        """Give an unfinished file up, and delete what came of it.

        Raises:
            ProblemError: ``unknown_upload``, ``upload_expired``, ``upload_finished``.
        """
        row = self.find(secret)
        ended = self.uploads.end(row.secret_hash)
        if ended is None:
            raise ProblemError(
                "upload_finished",
                "The file is whole and became a video. Delete that with the token of the submission: "
                "DELETE /public/video.",
            )
        self.files.delete(ended.place)
        self.uploads.mark_swept(ended)

    def receipt(self, secret: str, row: UploadRow) -> Receipt | None:
        """What a whole file became, which happens now where it has not yet; None while it is not whole.

        Raises:
            ProblemError: ``upload_expired``.
        """
        if not row.is_whole:
            return None
        asked = UploadRequest.model_validate(row.asked, strict=False)
        file = ReceivedFile(place=row.place, size_bytes=row.size_bytes, name=row.name)
        options = Options.model_validate(asked.options.model_dump()) if asked.options else Options()
        partition = self._services.database.partition_of(received_video_id(row.chain), options)
        video = Video(video_id=partition, address=file.address, options=options)
        callback_secret = _derived(secret, "callback") if asked.callback_url else None
        submitter = self._services.submitters.name(row.client)
        wanted = NewSubmission(video, asked.priority, asked.callback_url, callback_secret, submitter)
        token = _derived(secret, "token")
        submissions, lasts_s = self._services.submissions, self._settings.upload_expires_s
        queued = submissions.add_upload(row.secret_hash, wanted, token, lasts_s)
        if queued is None:
            raise ProblemError("upload_expired", "The file was given up, or its video deleted. Send it anew.")
        return Receipt(token, callback_secret, queued)

    def confirm(self, row: UploadRow, offset_bytes: int, chain: str) -> UploadRow | None:
        """What came is kept, and of the client's share; None where this writer was overtaken."""
        confirmed = self.uploads.confirm(row, offset_bytes, chain, self._settings.upload_expires_s)
        if confirmed is not None:
            submitter = self._services.submitters.name(row.client)
            self._services.quotas.note(submitter, row.place, offset_bytes - row.offset_bytes)
        return confirmed

    def check_room(self, client: str, more_bytes: int) -> None:
        """Return where so many more bytes of this client may be kept.

        Raises:
            ProblemError: ``upload_quota``, ``uploads_full``.
        """
        self._check_bytes(self.uploads.held(client), more_bytes)

    def _admit(self, held: Held) -> None:
        if held.count >= self._settings.uploads_per_client:
            detail = f"You have {held.count} unfinished files. Finish one, or give it up (DELETE), before the next."
            raise ProblemError("too_many_uploads", detail, headers={"Retry-After": str(WAIT_S)})
        self._check_bytes(held, 1)

    def _check_bytes(self, held: Held, more_bytes: int) -> None:
        limit = self._settings.upload_bytes_per_client
        wait = {"Retry-After": str(WAIT_S)}
        if held.client_bytes + more_bytes > limit:
            detail = (
                f"Your files that are not taken over yet may have {limit} bytes. Go on once some are; nothing is lost."
            )
            raise ProblemError("upload_quota", detail, headers=wait)
        if held.all_bytes + more_bytes > self._settings.upload_bytes:
            raise ProblemError("uploads_full", "Go on in some minutes where it stopped; nothing is lost.", headers=wait)


class Writer:
    """Who brings the next bytes of a file; its memory is that of a block or two.

    Args:
        receiver: keeps what it brings.
        row: of the upload.
        tail: what is kept of the block that it goes on with.
        before: the writer who kept that.
    """

    def __init__(self, receiver: Receiver, row: UploadRow, tail: bytes = b"", before: int = 0) -> None:
        self.row = row
        self._receiver = receiver
        self._block = bytearray(tail)
        self._before = before

    def add(self, piece: bytes) -> None:
        """Take bytes in; they are kept with the next ``keep``.

        Raises:
            ProblemError: ``body_too_large``: the file ends before.
        """
        if self._end_bytes + len(piece) > self.row.size_bytes:
            raise ProblemError("body_too_large", f"The file was to have {self.row.size_bytes} bytes, and more came.")
        self._block += piece

    @property
    def has_block(self) -> bool:
        """Whether a block is whole."""
        return len(self._block) >= BLOCK_BYTES

    def keep(self) -> None:
        """Keep the next block, or what there is of it.

        Raises:
            ProblemError: ``upload_overtaken``, ``upload_quota``, ``uploads_full``.
        """
        data = bytes(self._block[:BLOCK_BYTES])
        number = self.row.offset_bytes // BLOCK_BYTES
        end_bytes = number * BLOCK_BYTES + len(data)
        if end_bytes == self.row.offset_bytes:
            return
        self._receiver.check_room(self.row.client, end_bytes - self.row.offset_bytes)
        is_last = end_bytes == self.row.size_bytes
        chain = chained(self.row.chain, data) if is_last or len(data) == BLOCK_BYTES else self.row.chain
        files, place, writer = self._receiver.files, self.row.place, self.row.writer
        files.put(place, number, writer, data)
        confirmed = self._receiver.confirm(self.row, end_bytes, chain)
        if confirmed is None:
            files.drop(place, number, writer)
            raise ProblemError("upload_overtaken", "Another request goes on with this file. Ask for its offset.")
        if self._before:
            files.drop(place, number, self._before)
            self._before = 0
        self.row = confirmed
        if len(data) == BLOCK_BYTES:
            del self._block[:BLOCK_BYTES]

    def keep_rest(self) -> None:
        """Keep what there is, where that is possible: whoever sent it is gone, or is told something else."""
        with suppress(ProblemError):
            self.keep()

    @property
    def _end_bytes(self) -> int:
        return self.row.offset_bytes // BLOCK_BYTES * BLOCK_BYTES + len(self._block)


def hash_of(secret: str) -> str:
    """What is kept of an upload's secret. 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def wrong_offset(row: UploadRow) -> ProblemError:
    """The file goes on elsewhere."""
    return ProblemError(
        "upload_offset",
        f"{row.offset_bytes} bytes have come. Go on there.",
        headers={"Upload-Offset": str(row.offset_bytes)},
    )


def _derived(secret: str, purpose: str) -> str:
    """Another secret of 256 bits, which tells nothing of this one."""
    digest = hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
