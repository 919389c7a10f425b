"""Everything that can go wrong, as one tree; stored by code, acted upon by class.

    Failure
    ├── PermanentFailure     failed at once, never retried
    ├── TransientFailure     waits, backs off, resumes at the failed stage
    ├── SourceFailure        the host is paused, not the item burnt
    ├── OperatorFailure      the breaker opens until somebody mends the cause
    └── PoisonFailure        parked, because the input kills the worker

Each leaf has a stable ``code`` and a ``sentence`` for a person that says what to do; ``details`` add what is special
to the case and never hold a secret. Adapters in ``tools`` raise these and nothing else: every vendor exception is
turned into a leaf there (``raise ... from``), and a test enumerates them.
"""

from enum import StrEnum
from typing import ClassVar

from madvision_assets.domain.redaction import without_secrets

MAX_DETAILS_CHARS = 600


class FailureClass(StrEnum):
    """What is to be done about a failure."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    SOURCE = "source"
    OPERATOR = "operator"
    POISON = "poison"


class Resource(StrEnum):
    """What many videos share, so that its failure is not the fault of the one at hand (see ``domain.breakers``)."""

    HOST = "host"
    SPEECH = "speech"
    ANALYST = "analyst"
    STORE = "store"
    WORKER = "worker"


class Failure(Exception):  # noqa: N818 - the taxonomy's own name
    """Base of the taxonomy; only leaves are raised.

    Args:
        details: what is special to this case; secrets in it are blanked, and it is shortened.
        retry_after_s: how long the other side asked us to wait, seconds.

    Attributes:
        resource: what it speaks against besides the video; None where only the video is concerned.
        is_internal: whether its details name what is ours (a key, a host, a folder), and are kept from the public.
        is_counted: whether a try that ends so is held against the video, where its class is tried again.
        is_ours: whether whoever runs or writes this system has something to mend; other ends are no faults of a run.
    """

    failure_class: ClassVar[FailureClass]
    code: ClassVar[str]
    sentence: ClassVar[str]
    resource: ClassVar[Resource | None] = None
    is_internal: ClassVar[bool] = False
    is_counted: ClassVar[bool] = True
    is_ours: ClassVar[bool] = False

    def __init__(self, details: str = "", *, retry_after_s: float | None = None) -> None:
        self.details = without_secrets(" ".join(details.split()))[:MAX_DETAILS_CHARS]
        self.retry_after_s = retry_after_s
        super().__init__(f"{self.sentence} ({self.details})" if self.details else self.sentence)


class PermanentFailure(Failure):
    """Another try cannot help."""

    failure_class = FailureClass.PERMANENT


class TransientFailure(Failure):
    """Another try, later, is likely to help."""

    failure_class = FailureClass.TRANSIENT


class SourceFailure(Failure):
    """The host of the video turns us away for now; other hosts are not concerned."""

    failure_class = FailureClass.SOURCE


class OperatorFailure(Failure):
    """Somebody who runs the system must mend something first."""

    failure_class = FailureClass.OPERATOR
    is_ours = True


class PoisonFailure(Failure):
    """The same input keeps killing the worker."""

    failure_class = FailureClass.POISON
    is_ours = True


# --- permanent: the address ---


class InvalidAddressError(PermanentFailure):
    """Not an address we take."""

    code = "invalid_address"
    sentence = "This is not an address of a video on the web. Give a full http:// or https:// address."


class RefusedAddressError(PermanentFailure):
    """The address leads into a private network."""

    code = "refused_address"
    sentence = (
        "The address leads to a private or local network, which is refused. "
        "Give a public address, or set MADVISION_ALLOW_PRIVATE=1 on a system of your own."
    )


class UnsupportedAddressError(PermanentFailure):
    """A page without a video that we can find."""

    code = "unsupported_address"
    sentence = "No video was found at this address. Give the address of a page or file that plays a video."


class NotFoundError(PermanentFailure):
    """404, 410."""

    code = "not_found"
    sentence = "There is nothing at this address any more. Check the address."


class RemovedVideoError(PermanentFailure):
    """Deleted by its owner or the site."""

    code = "removed_video"
    sentence = "The video was removed by its owner or by the site."


class PrivateVideoError(PermanentFailure):
    """Private."""

    code = "private_video"
    sentence = "The video is private. Ask its owner to make it public or unlisted."


class LoginRequiredError(PermanentFailure):
    """Behind a login, a payment or an age check."""

    code = "login_required"
    sentence = "The site shows this video only to people who are logged in."


class AccessDeniedError(PermanentFailure):
    """401, 403."""

    code = "access_denied"
    sentence = "The site refuses access to this video."


class GeoBlockedError(PermanentFailure):
    """Not shown in our country."""

    code = "geo_blocked"
    sentence = "The video is not shown in the country that this server is in."


class DrmProtectedError(PermanentFailure):
    """Encrypted by rights management."""

    code = "drm_protected"
    sentence = "The video is protected by rights management (DRM) and cannot be processed."


class LiveStreamError(PermanentFailure):
    """Live or upcoming."""

    code = "live_stream"
    sentence = "The video is a live or upcoming stream. Submit it again once it has ended."


class SourceRefusedError(PermanentFailure):
    """A site that the operator does not take."""

    code = "source_refused"
    sentence = "Videos of this site are not taken here."


class UnknownBucketError(PermanentFailure):
    """An upload in a bucket that is none of ours."""

    code = "unknown_bucket"
    sentence = "Uploads are taken only out of the buckets that MADVISION_UPLOAD_BUCKETS names."


class PlaylistError(PermanentFailure):
    """Many videos at one address."""

    code = "playlist"
    sentence = "The address is a playlist or channel. Submit its videos one by one."


class UnknownVideoError(PermanentFailure):
    """A partition without a row in ``videos``."""

    code = "unknown_video"
    is_ours = True
    sentence = (
        "Nobody submitted a video with this ID, so its address is not known. "
        "Submit the address first: madvision submit URL_OR_FILE."
    )


class ForgottenVideoError(UnknownVideoError):
    """A video of which nothing is kept any more but its tombstone; whoever expects an unknown one, gets this too."""

    code = "forgotten_video"
    is_ours = False
    sentence = (
        "This video was forgotten: what was kept of it is deleted. "
        "To begin anew, submit its address: madvision submit URL_OR_FILE."
    )


class UnknownClipError(PermanentFailure):
    """A clip ID that the video's newest manifest does not list."""

    code = "unknown_clip"
    sentence = "There is no clip with this ID. The clips of a video are listed by: madvision process URL_OR_FILE."


# --- permanent: the media ---


class EmptyFileError(PermanentFailure):
    """Zero bytes."""

    code = "empty_file"
    sentence = "The file is empty (0 bytes)."


class NotMediaError(PermanentFailure):
    """Not a media file, whatever its name says."""

    code = "not_media"
    sentence = "The file is not a video, whatever its name says. Give an MP4, MOV, MKV, WebM or MPEG-TS file."


class CorruptMediaError(PermanentFailure):
    """Truncated or damaged."""

    code = "corrupt_media"
    sentence = "The video file is damaged or incomplete and cannot be decoded. Export or upload it again."


class NoVideoTrackError(PermanentFailure):
    """Sound only."""

    code = "no_video_track"
    sentence = "The file has sound but no picture, so there is nothing to cut clips from."


class NoAudioTrackError(PermanentFailure):
    """Picture only."""

    code = "no_audio_track"
    sentence = "The video has no audio track, so there is nothing to transcribe."


class FileChangedError(PermanentFailure):
    """Its bytes are not those that its ID was made from."""

    code = "file_changed"
    sentence = "The file has changed since it was submitted. Submit it again, as a video of its own."


class UnreadableFileError(PermanentFailure):
    """A file on this machine that the account of this process may not read, or whose name the system does not take."""

    code = "unreadable_file"
    sentence = (
        "The file is there and cannot be read. Let the account that MadVision runs as read it and enter the folders "
        "above it, and submit it again."
    )


class TooLongError(PermanentFailure):
    """Over ``MADVISION_MAX_DURATION_S``."""

    code = "too_long"
    sentence = "The video is longer than this system accepts (MADVISION_MAX_DURATION_S)."


class TooLargeError(PermanentFailure):
    """Over ``MADVISION_MAX_BYTES``."""

    code = "too_large"
    sentence = "The video is larger than this system accepts (MADVISION_MAX_BYTES)."


class TooCostlyError(PermanentFailure):
    """Reading it takes more memory or time than the sandbox gives, or its index claims what its bytes cannot hold."""

    code = "too_costly"
    sentence = (
        "The file or page asks for more memory or time than its size can need, so it was refused. "
        "Export the video again, or give another address of it."
    )


class UnsupportedColourError(PermanentFailure):
    """Dolby Vision without a base that anything else shows."""

    code = "unsupported_colour"
    sentence = (
        "The pictures of this video are in colours that only players of Dolby Vision show, so its clips would come out "
        "green and purple. Export it as HDR10, HLG or SDR, and give that file."
    )


class PolicyRefusalError(PermanentFailure):
    """The language model declines, and would decline again."""

    code = "policy_refusal"
    sentence = "The language model refused to analyse this transcript."


class AnalystUnusableError(PermanentFailure):
    """Asked again and again, the language model never answered in a form that can be used."""

    code = "analyst_unusable"
    sentence = (
        "The language model gave no usable answer to this transcript, several times over. Requeue the video, or set "
        "MADVISION_OPENAI_MODEL to another model."
    )


class TranscriptTooLargeError(PermanentFailure):
    """The language model takes no request of this size."""

    code = "transcript_too_large"
    sentence = "This transcript is longer than the language model takes. Submit a shorter part of the video."


class SpeechRefusedError(PermanentFailure):
    """The transcription API declines, and would decline again."""

    code = "speech_refused"
    sentence = "The transcription API refused to write down what is said in this video."


class TranslationUnavailableError(PermanentFailure):
    """A translation is asked for, and the model makes none."""

    code = "translation_unavailable"
    sentence = (
        "The speech model of this system does not translate. Submit the video without a translation, or use a system "
        "with a model that does, such as large-v3."
    )


class LanguageUnavailableError(PermanentFailure):
    """Another language than English is asked for, and the model hears English alone."""

    code = "language_unavailable"
    sentence = (
        "The speech model of this system hears English alone. Submit the video with the language en or with none, or "
        "use a system with a model of many languages."
    )


# --- permanent: the documents ---


class UnreadableDocumentError(PermanentFailure):
    """Damaged, or of a form that no version of this program wrote."""

    code = "unreadable_document"
    is_ours = True
    is_internal = True
    sentence = "A document in the store cannot be read. Materialise the stage that made it again."


class DamagedDocumentError(UnreadableDocumentError):
    """Its bytes are no document, so it counts as absent and is made again; told like its kind."""


class CheckFailedError(PermanentFailure):
    """A blocking asset check turned a stage's document down."""

    code = "check_failed"
    is_ours = True
    sentence = "What a stage made did not pass its check, so the later stages were not started."


class CancelledError(PermanentFailure):
    """An operator, or whoever typed the command, stopped it."""

    code = "cancelled"
    sentence = "Somebody stopped the processing of this video. Requeue it to go on from the last finished stage."


class WithdrawnError(PermanentFailure):
    """Whoever submitted it deleted it, and nobody else had asked for it."""

    code = "withdrawn"
    sentence = "Whoever submitted this video deleted it; all that is kept of it goes within minutes."


class SupersededError(PermanentFailure):
    """Another run has taken the video over: this one may not publish any more."""

    code = "superseded"
    sentence = "A later run has taken this video over, so this one ends here; nothing is lost."


# --- transient ---


class HostUnresolvedError(TransientFailure):
    """DNS gave no answer."""

    code = "host_unresolved"
    resource = Resource.HOST
    sentence = "The host name in the address could not be resolved. Check its spelling; it is tried again later."


class ConnectionLostError(TransientFailure):
    """Refused, reset, or closed in the middle."""

    code = "connection_lost"
    resource = Resource.HOST
    sentence = "The connection to the source failed or broke off. It is tried again from where it stopped."


class SourceServerError(TransientFailure):
    """5xx of the source."""

    code = "source_server_error"
    resource = Resource.HOST
    sentence = "The site that holds the video has an error of its own. It is tried again later."


class DownloadTimeoutError(TransientFailure):
    """Over the wall-clock limit, or stalled."""

    code = "download_timeout"
    resource = Resource.HOST
    sentence = "The download took longer than allowed. It is resumed later from where it stopped."


class IncompleteDownloadError(TransientFailure):
    """Fewer seconds or bytes than advertised."""

    code = "incomplete_download"
    sentence = "The download ended early and parts of the video are missing. It is tried again."


class ExtractionFailedError(TransientFailure):
    """The downloader did not understand the site this time."""

    code = "extraction_failed"
    resource = Resource.HOST
    sentence = "The downloader could not read the site. It is tried again; if it persists, update yt-dlp."


class SourceProxyError(TransientFailure):
    """The operator's proxy for a site, or its provider of tokens, is away or refuses us."""

    code = "source_proxy_failed"
    resource = Resource.HOST
    sentence = (
        "The proxy or the provider of tokens that MADVISION_SOURCES_FILE names for this site does not do its part. "
        "It is tried again later."
    )


class OutOfGpuMemoryError(TransientFailure):
    """The GPU is full."""

    code = "gpu_out_of_memory"
    is_ours = True
    resource = Resource.SPEECH
    sentence = "The GPU ran out of memory. It is tried again; use a smaller model if it persists."


class GpuLostError(TransientFailure):
    """The GPU stopped answering, or its state in this process is broken."""

    code = "gpu_lost"
    is_ours = True
    resource = Resource.SPEECH
    sentence = (
        "The GPU stopped answering in the middle of the work. It is tried again by a new process; "
        "if it persists, look at the machine's kernel log and replace the node."
    )


class TranscriptionFailedError(TransientFailure):
    """The speech engine broke."""

    code = "transcription_failed"
    is_ours = True
    sentence = "The speech engine failed on this audio."


class SpeechApiUnavailableError(TransientFailure):
    """The transcription API is down or unreachable."""

    code = "speech_api_unavailable"
    resource = Resource.SPEECH
    sentence = "The transcription API cannot be reached or has an error of its own. It is tried again later."


class SpeechApiRateLimitedError(TransientFailure):
    """429 with room to come."""

    code = "speech_api_rate_limited"
    resource = Resource.SPEECH
    sentence = "The transcription API asks us to slow down. It is tried again later."


class SpeechApiBadAnswerError(TransientFailure):
    """An answer that is none of a transcription's."""

    code = "speech_api_bad_answer"
    sentence = "The transcription API's answer could not be used. It is asked again."


class SpeechApiRejectedError(TransientFailure):
    """400, 413, 415, 422: it minds this one request."""

    code = "speech_api_rejected"
    sentence = "The transcription API turned this video's sound down. It is tried again; other videos go on."


class AnalystUnavailableError(TransientFailure):
    """The API is down or unreachable."""

    code = "analyst_unavailable"
    resource = Resource.ANALYST
    sentence = "The language-model API cannot be reached or has an error of its own. It is tried again later."


class AnalystRateLimitedError(TransientFailure):
    """429 with room to come."""

    code = "analyst_rate_limited"
    resource = Resource.ANALYST
    sentence = "The language-model API asks us to slow down. It is tried again later."


class BudgetReservedError(TransientFailure):
    """What is left of the day's ceiling is set aside for calls under way, which mostly cost less than they may."""

    code = "budget_reserved"
    is_counted = False
    sentence = "Calls under way may use up what is left of today's ceiling. It is tried again when they have ended."


class AnalystBadAnswerError(TransientFailure):
    """An answer that does not fit its schema, or was cut off."""

    code = "analyst_bad_answer"
    sentence = "The language model's answer could not be used. It is asked again."


class AnalystRejectedError(TransientFailure):
    """400, 422: it minds this one request."""

    code = "analyst_rejected"
    sentence = "The language-model API turned this video's request down. It is tried again; other videos go on."


class MediaToolError(TransientFailure):
    """ffmpeg failed or ran too long."""

    code = "media_tool_failed"
    is_ours = True
    sentence = "The tool ffmpeg could not finish its work on this video."


class BadClipError(TransientFailure):
    """A cut file did not pass its own inspection."""

    code = "bad_clip"
    is_ours = True
    sentence = "A clip that was cut did not play as planned and was not published."


class StoreUnavailableError(TransientFailure):
    """The object store cannot be reached."""

    code = "store_unavailable"
    resource = Resource.STORE
    sentence = (
        "The object store cannot be reached. Check MADVISION_STORE_URL, AWS_ENDPOINT_URL_S3 and the server itself; "
        "it is tried again later."
    )


class DatabaseUnavailableError(TransientFailure):
    """The database cannot be reached."""

    code = "database_unavailable"
    is_internal = True
    sentence = (
        "The database cannot be reached. Check MADVISION_DATABASE_URL and the server itself; it is tried again later."
    )


class InboxUnavailableError(TransientFailure):
    """The message queue cannot be reached."""

    code = "inbox_unavailable"
    sentence = "The inbox's message queue cannot be reached. Check MADVISION_INBOX_URL; it is tried again later."


class MissingInputError(TransientFailure):
    """An earlier stage's document is not there."""

    code = "missing_input"
    is_ours = True
    is_internal = True
    sentence = "A document that this stage needs is not in the store. Materialise the earlier stage first."


class WorkerLostError(TransientFailure):
    """The process that did the work is gone."""

    code = "worker_lost"
    sentence = "The process that did the work was lost. It is tried again."


class RunNotLaunchedError(TransientFailure):
    """A worker was asked for, and none took the video in hand: it could not be launched, or was lost before."""

    code = "run_not_launched"
    is_counted = False
    sentence = "No worker has taken this video in hand yet. It waits for a free launcher, and uses up no retry."


class QuotaSpentError(TransientFailure):
    """Whoever submitted it has used up what one client has of a day."""

    code = "quota_spent"
    is_counted = False
    sentence = (
        "What one client may have taken in each day is used up. "
        "The video waits, and goes on by itself after midnight (UTC)."
    )


class SiteBusyError(TransientFailure):
    """As many videos of a site as may be are being downloaded."""

    code = "site_busy"
    is_counted = False
    sentence = "As many videos of this site as may be at once are being downloaded. It waits for its turn."


class RoomShortError(TransientFailure):
    """The downloads that are under way are to take what is left of the disk."""

    code = "room_short"
    is_counted = False
    is_internal = True
    sentence = (
        "There is no room for this video beside those that are being downloaded. It waits, and goes on by itself."
    )


class StageHeldError(TransientFailure):
    """Another process is at this stage of this video, and out of reach."""

    code = "stage_held"
    is_ours = True
    sentence = (
        "Another process is still at this stage of this video, and cannot be ended from here. It is tried again; "
        "if it persists, end that process where it runs."
    )


class UnexpectedError(TransientFailure):
    """A fault of ours that has no leaf yet."""

    code = "unexpected"
    is_ours = True
    sentence = "Something went wrong that MadVision does not know yet; the log has the details."


# --- source ---


class SourceRateLimitedError(SourceFailure):
    """429, or a page that says so."""

    code = "source_rate_limited"
    resource = Resource.HOST
    sentence = "The site asks us to slow down. Its videos wait; other sites go on."


class BotCheckError(SourceFailure):
    """Asked to prove that we are human."""

    code = "source_bot_check"
    resource = Resource.HOST
    sentence = "The site wants proof that we are no robot. Its videos wait; other sites go on."


# --- operator ---


class ApiKeyInvalidError(OperatorFailure):
    """401, 403 of the analyst API."""

    code = "api_key_invalid"
    resource = Resource.ANALYST
    sentence = "The language-model API rejects our key. Set a valid OPENAI_API_KEY."


class QuotaExhaustedError(OperatorFailure):
    """``insufficient_quota``."""

    code = "quota_exhausted"
    resource = Resource.ANALYST
    sentence = "The account at the language-model API has no credit left. Add credit there."


class AnalystMisconfiguredError(OperatorFailure):
    """The API does not know the model, or refuses the request's form."""

    code = "analyst_misconfigured"
    resource = Resource.ANALYST
    sentence = "The language-model API refuses the request. Check MADVISION_OPENAI_MODEL and OPENAI_BASE_URL."


class BudgetExhaustedError(OperatorFailure):
    """Today has cost what a day may."""

    code = "budget_exhausted"
    is_ours = False
    resource = Resource.ANALYST
    sentence = "The ceiling on paid calls a day is reached. Raise MADVISION_BUDGET_USD_PER_DAY, or wait for tomorrow."


class VideoBudgetExhaustedError(OperatorFailure):
    """This one video has cost what a video may."""

    code = "video_budget_exhausted"
    is_ours = False
    sentence = "The ceiling on paid calls a video is reached. Raise MADVISION_BUDGET_USD_PER_VIDEO and requeue it."


class ModelMissingError(OperatorFailure):
    """No weights."""

    code = "model_missing"
    resource = Resource.SPEECH
    sentence = (
        "The Whisper model could not be loaded. Set MADVISION_WHISPER_MODEL to a model name "
        "(with network on the first use) or to the path of a checkpoint."
    )


class GpuUnusableError(OperatorFailure):
    """There is a GPU, and a driver (or a GPU) too old for the libraries that are to use it."""

    code = "gpu_unusable"
    resource = Resource.SPEECH
    sentence = (
        "This machine has a GPU that PyTorch cannot use. Install a newer NVIDIA driver, "
        "or set MADVISION_WHISPER_ENGINE=faster-whisper and hear on the CPU."
    )


class SpeechApiKeyInvalidError(OperatorFailure):
    """401, 403 of the transcription API."""

    code = "speech_api_key_invalid"
    resource = Resource.SPEECH
    sentence = "The transcription API rejects our key. Set a valid OPENAI_API_KEY."


class SpeechApiQuotaExhaustedError(OperatorFailure):
    """``insufficient_quota``."""

    code = "speech_api_quota_exhausted"
    resource = Resource.SPEECH
    sentence = "The account at the transcription API has no credit left. Add credit there."


class SpeechApiMisconfiguredError(OperatorFailure):
    """The API does not know the model, or refuses the request's form."""

    code = "speech_api_misconfigured"
    resource = Resource.SPEECH
    sentence = "The transcription API refuses the request. Check MADVISION_WHISPER_MODEL and OPENAI_BASE_URL."


class NewerDocumentError(OperatorFailure):
    """Written by a newer version of this program, in a form that this one cannot read."""

    code = "newer_document"
    sentence = (
        "A document in the store was written by a newer version of MadVision, and this one cannot read it. Update this "
        "installation; what is finished is kept."
    )


class DiskFullError(OperatorFailure):
    """No space left."""

    code = "disk_full"
    resource = Resource.WORKER
    sentence = "The disk is full. Free space under MADVISION_HOME or the system's temporary folder."


class HomeUnusableError(OperatorFailure):
    """``MADVISION_HOME`` is read-only, a file, or gone."""

    code = "home_unusable"
    resource = Resource.WORKER
    sentence = "The folder MADVISION_HOME cannot be used. Give one that can be made and written to."


class StoreDeniedError(OperatorFailure):
    """Wrong credentials, no such bucket."""

    code = "store_denied"
    resource = Resource.STORE
    sentence = (
        "The object store refuses us. Check the bucket in MADVISION_STORE_URL, AWS_REGION, and AWS_ACCESS_KEY_ID with "
        "AWS_SECRET_ACCESS_KEY (without these, the role of the pod or instance)."
    )


class StoreRegionError(OperatorFailure):
    """The bucket is in another region than requests are signed for."""

    code = "store_region"
    resource = Resource.STORE
    sentence = "The bucket of the object store is in another region. Set AWS_REGION to the bucket's own."


class ClockSkewedError(OperatorFailure):
    """Signatures of a wrong time are refused."""

    code = "clock_skewed"
    resource = Resource.STORE
    sentence = "The object store refuses us because this machine's clock is wrong. Set it by a time server (NTP)."


class UploadDeniedError(OperatorFailure):
    """Wrong credentials, no such bucket of uploads."""

    code = "upload_denied"
    resource = Resource.HOST
    sentence = "A bucket of uploads refuses us. Check MADVISION_UPLOAD_BUCKETS and the permission to read that bucket."


class InboxDeniedError(OperatorFailure):
    """Wrong credentials, no such queue."""

    code = "inbox_denied"
    sentence = "The inbox refuses us. Check MADVISION_INBOX_URL, that its queue exists, and our permission to use it."


class MediaToolMissingError(OperatorFailure):
    """ffmpeg cannot be run."""

    code = "media_tool_missing"
    resource = Resource.WORKER
    sentence = "The tool ffmpeg cannot be run. Install this package's dependencies again (imageio-ffmpeg brings it)."


class SandboxUnusableError(OperatorFailure):
    """What reads foreign bytes cannot be started under its controls, or nobody knows which this machine has."""

    code = "sandbox_unusable"
    resource = Resource.WORKER
    sentence = (
        "What reads foreign files cannot be started in its sandbox on this machine. See what `madvision doctor` says "
        "of the sandbox; mostly memory, processes or user namespaces have run out, or the installation was moved."
    )


class DownloaderUnusableError(OperatorFailure):
    """The folder of wheels is not as it was pinned, or yt-dlp in it does not start."""

    code = "downloader_unusable"
    resource = Resource.WORKER
    sentence = (
        "The downloader in MADVISION_YTDLP_FOLDER cannot be used. Mend that folder and its SHA256SUMS, or unset it."
    )


class SourceSecretError(OperatorFailure):
    """A secret that the operator's file of sites refers to cannot be had."""

    code = "source_secret_unusable"
    resource = Resource.HOST
    is_internal = True
    sentence = "A secret that MADVISION_SOURCES_FILE refers to cannot be used. Mend the reference, or what it names."


class DatabaseDeniedError(OperatorFailure):
    """Wrong user, password or database, or no permission."""

    code = "database_denied"
    sentence = "The database refuses us. Check user, password and database name in MADVISION_DATABASE_URL."


class SchemaOutdatedError(OperatorFailure):
    """The database's tables are not of this version."""

    code = "schema_outdated"
    sentence = "The database's tables are not those of this version. Run: madvision migrate."


class SchemaForeignError(OperatorFailure):
    """Migrations that this version does not know, and tables that it cannot work with."""

    code = "schema_foreign"
    sentence = (
        "The database's tables are another program's, or of a version too far from this one. "
        "Give MadVision a database of its own in MADVISION_DATABASE_URL, or install the version that made them."
    )


class MigrationFailedError(OperatorFailure):
    """A migration broke off; each is one transaction."""

    code = "migration_failed"
    sentence = (
        "The tables could not be brought to this version, and are as they were before. "
        "Mend what is told, then run again: madvision migrate."
    )


# --- poison ---


class PoisonInputError(PoisonFailure):
    """Three workers were lost on it."""

    code = "poison_input"
    sentence = "The same video brought down its worker several times; it is parked with the evidence kept."


def leaves() -> tuple[type[Failure], ...]:
    """Every failure that can be raised, in the order of this file."""
    kinds = [kind for branch in Failure.__subclasses__() for kind in branch.__subclasses__()]
    # One that shares its parent's code only says more about it.
    return tuple(
        leaf for kind in kinds for leaf in (kind, *(each for each in kind.__subclasses__() if "code" in vars(each)))
    )


def leaf_of(code: str) -> type[Failure]:
    """The failure with this code; one that is not known (any more) counts as unexpected."""
    return {leaf.code: leaf for leaf in leaves()}.get(code, UnexpectedError)
