"""Claims about what a message may say: a submission as the API takes it, and every form in which S3 tells."""

import json
from typing import Any

import pytest

from madvision_assets.domain.video import Upload
from madvision_assets.intake.messages import MessageRequest, read_message
from madvision_assets.intake.problems import ProblemError

URL = "https://media.example.org/talk.mp4"
HOOK = "https://hooks.example.org/done"
SECRET = "s" * 32


def notification(key: str = "talks/my+talk.mp4", event: str = "ObjectCreated:Put", **told: Any) -> dict[str, Any]:
    """As https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html has it."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-23T07:00:00.000Z",
        "eventName": event,
        "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": "uploads",
                "ownerIdentity": {"principalId": "A3NL1KOKExample"},
                "arn": "arn:aws:s3:::uploads",
            },
            "object": {
                "key": key,
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": "0055AED6DCD90281E5",
                **told,
            },
        },
    }
    return {"Records": [record]}


def read(document: object) -> list[MessageRequest | Upload]:
    return read_message(json.dumps(document).encode())


def refusal(document: object) -> str:
    with pytest.raises(ProblemError) as refused:
        read(document)
    return str(refused.value)


def test_a_submission_is_what_the_api_takes_with_a_key_and_a_secret_of_the_senders_own() -> None:
    (asked,) = read({"url": URL, "priority": 7, "id": "order-1", "callback_url": HOOK, "callback_secret": SECRET})

    assert isinstance(asked, MessageRequest)
    assert (asked.url, asked.priority, asked.id, asked.callback_secret) == (URL, 7, "order-1", SECRET)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"url": URL, "callback_url": HOOK}, "belong together"),
        ({"url": URL, "callback_secret": SECRET}, "belong together"),
        ({"url": URL, "callback_url": HOOK, "callback_secret": SECRET[1:]}, "/callback_secret"),
        ({"url": URL, "callback_url": HOOK, "callback_secret": SECRET + "\0"}, "/callback_secret"),
        ({"url": URL, "id": ""}, "/id"),
        ({"url": URL, "surprise": 1}, "/surprise"),
        ({"priority": 1}, "/url"),
        ([], "no object"),
        ("text", "no object"),
        ({"Records": [{"eventName": "ObjectCreated:Put"}]}, "/Records/0/s3"),
        ({"Records": "none"}, "/Records"),
        ({"Type": "Notification"}, "not JSON"),
        ({"source": "aws.s3", "detail-type": "Object Created"}, "/detail"),
    ],
)
def test_anything_else_is_refused_with_its_place(document: object, reason: str) -> None:
    assert reason in refusal(document)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{", b"[" * 50_000, b'{"url": 1' + b"0" * 5000 + b"}"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ProblemError, match="not JSON"):
        read_message(body)


def test_a_body_that_is_too_large_is_not_even_read() -> None:
    with pytest.raises(ProblemError, match="too large"):
        read_message(b" " * 65_537)


def test_a_refusal_never_shows_a_secret() -> None:
    assert "hunter2" not in refusal({"url": URL, "callback_url": HOOK, "callback_secret": "hunter2"})


# --- S3 ---

PLAIN = Upload(bucket="uploads", key="talks/my talk.mp4", etag="d41d8cd98f00b204e9800998ecf8427e")
EVENT = {
    "version": "0",
    "source": "aws.s3",
    "detail-type": "Object Created",
    "detail": {
        "bucket": {"name": "uploads"},
        "object": {"key": "talks/my talk.mp4", "size": 1024, "etag": PLAIN.etag, "sequencer": "0055"},
        "reason": "PutObject",
    },
}


def in_sns(document: object) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": json.dumps(document)}


@pytest.mark.parametrize(
    "document",
    [
        notification(),
        notification(event="s3:ObjectCreated:CompleteMultipartUpload"),
        notification("talks/my%20talk.mp4"),
        notification(versionId="null"),
        in_sns(notification()),
        EVENT,
        in_sns(EVENT),
    ],
)
def test_s3_tells_of_a_new_object_in_many_ways_which_are_one(document: object) -> None:
    assert read(document) == [PLAIN]


def test_a_version_is_kept_where_the_bucket_keeps_versions() -> None:
    (upload,) = read(notification(versionId="096fKKXTRTtl3on89fVO.nfljtsv6qko"))

    assert isinstance(upload, Upload)
    assert upload.address == "s3://uploads/talks/my%20talk.mp4?versionId=096fKKXTRTtl3on89fVO.nfljtsv6qko"


@pytest.mark.parametrize(
    "document",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads", "RequestId": "1", "HostId": "2"},
        notification(event="ObjectRemoved:Delete"),
        notification("talks/"),
        {**EVENT, "detail-type": "Object Deleted"},
        {"Records": []},
    ],
)
def test_what_asks_for_nothing_is_read_as_nothing(document: object) -> None:
    assert read(document) == []


# --- addresses of uploads ---


@pytest.mark.parametrize(
    "key", ["a.mp4", "a b/ü+%20#?&=.mp4", "日本/\u202f\N{VIDEO CAMERA}.mov", "back\\slash", "a:b@c"]
)
@pytest.mark.parametrize("pin", [{"version_id": "v+/=&"}, {"etag": "9-2"}])
def test_an_address_names_its_upload_and_no_other(key: str, pin: dict[str, str]) -> None:
    upload = Upload(bucket="uploads", key=key, **pin)

    assert upload.address.isascii()
    assert Upload.of(upload.address) == upload


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/", "./a", "a/../b", "..", "a\nb", "a\x7f"])
def test_a_key_that_cannot_be_read_is_refused(key: str) -> None:
    with pytest.raises(Exception, match="the object's key"):
        _ = Upload(bucket="uploads", key=key, etag="9").address


def test_an_object_that_nothing_tells_from_its_successor_is_refused() -> None:
    with pytest.raises(Exception, match="neither a version nor an ETag"):
        _ = Upload(bucket="uploads", key="a.mp4").address
