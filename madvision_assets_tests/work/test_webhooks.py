"""Webhooks over a real socket, through the proxy that vets, from a real database."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import RowMapping, select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.failures import PolicyRefusalError, PrivateVideoError, StoreUnavailableError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Receipt, Submissions
from madvision_assets.tools.database.tables import submissions, webhook_deliveries
from madvision_assets.tools.database.webhooks import MAX_TRIES, Answer
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets.work.webhooks import Delivered, WebhookSender, sign, standard_headers, verify
from madvision_assets_tests import stores
from madvision_assets_tests.databases import KINDS, Clock, new_database
from madvision_assets_tests.site import Hit, Page, Site, silent_server

SECRET = "whsec-test"
BODY = b'{"event":"video.done"}'


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path) as made:
        made.migrate()
        yield made


@pytest.fixture
def sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with new_database("sqlite", request, tmp_path) as made:
        made.migrate()
        yield made


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that takes connections and never answers."""
    with silent_server() as address:
        yield f"{address}/hook"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sender_of(database: Database, clock: Clock, **options: Any) -> WebhookSender:
    return WebhookSender(database, allow_private=True, now=clock, **options)


def asked(database: Database, clock: Clock, url: str, name: str = "web-a") -> Receipt:
    """Somebody submits a video with a callback."""
    video = Video(video_id=name, address=f"https://example.org/{name}")
    return Submissions(database, now=clock).add([NewSubmission(video, 0, url)])[0]


def ended(database: Database, clock: Clock, outcome: Outcome = Outcome.TOO_SHORT, name: str = "web-a") -> None:
    """A video is done."""
    queue = Queue(database, now=clock)
    queue.begin(name, "run-1", None, PipelineStep.CLIPS)
    made = Clips(video_id=name, outcome=outcome, outcome_reason="three seconds")
    queue.finish_step(name, "run-1", PipelineStep.CLIPS, ends=True, made=made)


def deliveries(database: Database) -> list[RowMapping]:
    with database.reading() as connection:
        query = select(webhook_deliveries).order_by(webhook_deliveries.c.id)
        return list(connection.execute(query).mappings())


def told(hit: Hit) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(hit.body)
    return message


# --- the signature ---


def test_a_signature_is_the_documented_one_and_is_known_again() -> None:
    header = sign(SECRET, 1_700_000_000, BODY)

    # printf '1700000000.{"event":"video.done"}' | openssl dgst -sha256 -hmac whsec-test
    assert header == "t=1700000000,v1=bfbdaa927081bbaf1f21ff4f25573b00eacbaa4bce9ec5eb5fdc04dc32192375"
    assert verify(SECRET, header, BODY, 1_700_000_299)


@pytest.mark.parametrize(
    ("header", "body", "now_s"),
    [
        (sign("another", 1000, BODY), BODY, 1000),
        (sign(SECRET, 1000, BODY), BODY + b" ", 1000),
        (sign(SECRET, 1000, BODY), BODY, 1301),
        (sign(SECRET, 1000, BODY), BODY, 699),
        (sign(SECRET, 1000, BODY).replace("t=1000", "t=1001"), BODY, 1000),
        ("", BODY, 1000),
        ("t=1000", BODY, 1000),
        ("t=x,v1=y", BODY, 1000),
        ("t=1000,v1=\u00e9", BODY, 1000),
        ("t=\u00b2,v1=0", BODY, 1000),
    ],
)
def test_a_signature_of_another_secret_body_or_time_is_refused(header: str, body: bytes, now_s: float) -> None:
    assert not verify(SECRET, header, body, now_s)


def test_the_signature_of_standard_webhooks_is_that_of_the_specification_s_example() -> None:
    secret, message_id = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"

    assert standard_headers(secret, message_id, 1_614_265_330, b'{"test": 2432232314}') == {
        "webhook-id": message_id,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("secret", "as_documented"),
    [
        ("whsec_" + base64.b64encode(b"0123456789abcdef0123456789\xff\xfe").decode(), None),
        ("whsec_" + base64.b64encode(b"of no whole three bytes, unpadded").decode().rstrip("="), None),
        *(
            (secret, "whsec_" + base64.b64encode(secret.encode()).decode())
            for secret in (
                "of-an-upload_or-of-before-whsec_-0123456789",
                "whsec_not!base64-but-a-submitter-s-own",
                "whsec_",
            )
        ),
    ],
)
def test_the_library_of_standard_webhooks_takes_every_form_of_secret_as_documented(
    secret: str, as_documented: str | None
) -> None:
    receiver = Webhook(as_documented or secret)
    headers = standard_headers(secret, "msg_1", int(time.time()), BODY)

    assert receiver.verify(BODY, headers) == json.loads(BODY)
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": str(int(time.time()) + 60)}):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(BODY, headers | changed)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(BODY + b" ", headers)


# --- what is told ---


def test_the_end_of_a_video_is_told_once_signed_and_with_its_outcome(
    database: Database, clock: Clock, site: Site
) -> None:
    raw = stores.raw_video()
    database.add_video("web-a", "https://example.org/web-a")
    named = raw.source.model_copy(update={"title": "What we learned", "uploader": "A club"})
    database.add_lineage(raw.model_copy(update={"source": named, "video_id": "web-a"}), "there")
    receipt = asked(database, clock, site.serve("/hook", b"ok"))
    spoken = stores.transcript(raw, "one")
    chosen = stores.clip_candidates(raw, spoken, stores.content_type(raw, spoken))
    made = stores.clips(raw, spoken, chosen).model_copy(update={"provisional": True})
    sender = sender_of(database, clock, public_url="https://clips.example.org/", find_clips=lambda _: made)
    assert sender.deliver_due() == Delivered(0, 0), "it is not over yet"
    ended(database, clock, Outcome.CLIPS)

    assert sender.deliver_due() == Delivered(1, 0)
    assert sender.deliver_due() == Delivered(0, 0)

    (hit,) = site.hits("/hook")
    assert hit.method == "POST"
    assert told(hit) == {
        "event": "video.done",
        "video_id": "web-a",
        "title": "What we learned",
        "uploader": "A club",
        "duration_s": 60.0,
        "status": "done",
        "outcome": "clips",
        "outcome_reason": "three seconds",
        "failure_cause": None,
        "failure_details": None,
        "attempt": 1,
        "finished_at": clock.now.isoformat(),
        "clips": 1,
        "provisional": True,
        "status_url": "https://clips.example.org/public/video/status",
    }
    assert receipt.callback_secret is not None
    assert verify(receipt.callback_secret, hit.headers["madvision-signature"], hit.body, clock.now.timestamp())
    (row,) = deliveries(database)
    assert hit.headers["madvision-delivery"] == str(row["id"])
    assert hit.headers["user-agent"].startswith("MadVision/")
    assert hit.headers["content-type"] == "application/json"
    assert (row["delivered_at"], row["next_try_at"], row["tries"], row["last_error"]) == (clock.now, None, 1, None)


def test_a_failure_is_told_with_its_cause_and_a_sentence(database: Database, clock: Clock, site: Site) -> None:
    asked(database, clock, site.serve("/hook", b"ok"))
    queue = Queue(database, now=clock)
    lease = queue.begin("web-a", "run-1", None, PipelineStep.RAW_VIDEO)
    queue.fail("web-a", "run-1", lease.attempt, PipelineStep.RAW_VIDEO, PrivateVideoError("members only"))

    sender_of(database, clock).deliver_due()

    message = told(site.hits("/hook")[0])
    assert (message["event"], message["failure_cause"], message["clips"]) == ("video.failed", "private_video", 0)
    assert message["failure_details"] == str(PrivateVideoError("members only"))
    assert (message["outcome"], message["status_url"]) == (None, None)


def test_whoever_asks_while_it_is_done_again_in_vain_is_told_what_counts(
    sqlite: Database, clock: Clock, site: Site
) -> None:
    sqlite.add_video("web-a", "https://example.org/web-a")
    ended(sqlite, clock)
    Operations(sqlite, clock).requeue(video_ids=["web-a"], from_step=PipelineStep.CONTENT_TYPE)
    asked(sqlite, clock, site.serve("/hook", b"ok"))
    queue = Queue(sqlite, now=clock)
    lease = queue.begin("web-a", "run-2", None, PipelineStep.CONTENT_TYPE)
    queue.fail("web-a", "run-2", lease.attempt, PipelineStep.CONTENT_TYPE, PolicyRefusalError())

    sender_of(sqlite, clock).deliver_due()

    message = told(site.hits("/hook")[0])
    assert (message["event"], message["outcome"]) == ("video.done", "too_short")
    assert (message["failure_cause"], message["failure_details"]) == (None, None)


def test_a_store_that_is_away_does_not_keep_the_end_from_being_told(sqlite: Database, clock: Clock, site: Site) -> None:
    asked(sqlite, clock, site.serve("/hook", b"ok"))
    ended(sqlite, clock, Outcome.CLIPS)

    def away(_: str) -> Clips:
        raise StoreUnavailableError

    assert sender_of(sqlite, clock, find_clips=away).deliver_due() == Delivered(1, 0)
    assert told(site.hits("/hook")[0])["clips"] is None


def test_every_submitter_is_told_with_a_secret_of_his_own(sqlite: Database, clock: Clock, site: Site) -> None:
    receipts = [asked(sqlite, clock, site.serve(f"/{n}", b"ok")) for n in range(3)]
    ended(sqlite, clock)
    late = asked(sqlite, clock, site.serve("/late", b"ok"))

    assert sender_of(sqlite, clock).deliver_due() == Delivered(4, 0)
    for path, receipt in zip(("/0", "/1", "/2", "/late"), [*receipts, late], strict=True):
        (hit,) = site.hits(path)
        assert receipt.callback_secret is not None
        assert verify(receipt.callback_secret, hit.headers["madvision-signature"], hit.body, clock.now.timestamp())


# --- what goes wrong ---


def test_a_receiver_that_fails_is_told_again_later_and_later_under_the_same_number(
    database: Database, clock: Clock, site: Site
) -> None:
    asked(database, clock, site.fail("/hook", 503))
    ended(database, clock)
    sender, pauses_s = sender_of(database, clock), []

    for _ in range(MAX_TRIES):
        assert sender.deliver_due() == Delivered(0, 1)
        assert sender.deliver_due() == Delivered(0, 0)
        next_try_at = deliveries(database)[0]["next_try_at"]
        if next_try_at is not None:
            pauses_s.append((next_try_at - clock.now).total_seconds())
            clock.now = next_try_at

    assert pauses_s == [60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600, 21600]
    (row,) = deliveries(database)
    assert (row["next_try_at"], row["delivered_at"], row["tries"]) == (None, None, MAX_TRIES)
    assert row["last_error"] == "it answered 503 Service Unavailable"
    assert len({hit.headers["madvision-delivery"] for hit in site.hits("/hook")}) == 1
    assert len({hit.headers["webhook-id"] for hit in site.hits("/hook")}) == 1
    assert len({hit.headers["webhook-timestamp"] for hit in site.hits("/hook")}) == MAX_TRIES, "of this sending"


def test_what_is_sent_is_taken_by_the_library_of_standard_webhooks_and_each_end_has_an_id_of_its_own(
    sqlite: Database, clock: Clock, site: Site
) -> None:
    clock.now = datetime.now(UTC)  # by which the library judges
    first = asked(sqlite, clock, site.serve("/first", b"ok"))
    Submissions(sqlite, now=clock).add([NewSubmission(Video(video_id="web-a", address="https://example.org/web-a"))])
    ended(sqlite, clock)
    sender_of(sqlite, clock).deliver_due()
    assert Withdrawals(sqlite, now=clock).withdraw(first.token)
    again = asked(sqlite, clock, site.serve("/again", b"ok"))
    sender_of(sqlite, clock).deliver_due()

    (one,), (other,) = site.hits("/first"), site.hits("/again")
    for receipt, hit in ((first, one), (again, other)):
        assert receipt.callback_secret is not None
        assert Webhook(receipt.callback_secret).verify(hit.body, dict(hit.headers))["event"] == "video.done"
    assert one.headers["madvision-delivery"] == other.headers["madvision-delivery"], "SQLite gives a number again"
    assert one.headers["webhook-id"] != other.headers["webhook-id"]


def test_a_receiver_that_recovers_is_told(sqlite: Database, clock: Clock, site: Site) -> None:
    asked(sqlite, clock, site.fail("/hook", 500))
    ended(sqlite, clock)
    sender_of(sqlite, clock).deliver_due()
    site.serve("/hook", b"ok")
    clock.move(60)

    assert sender_of(sqlite, clock).deliver_due() == Delivered(1, 0)
    assert deliveries(sqlite)[0]["last_error"] is None


def test_a_clock_that_went_ahead_and_back_holds_no_callback_up_and_none_is_sent_twice(
    database: Database, clock: Clock, site: Site
) -> None:
    asked(database, clock, site.serve("/hook", b"ok"))
    clock.move(3600)
    ended(database, clock)
    clock.move(-3600)
    site.fail("/hook", 500)

    assert sender_of(database, clock).deliver_due() == Delivered(0, 1)
    assert sender_of(database, clock).deliver_due() == Delivered(0, 0), "its next try has its time"
    clock.move(60)
    site.serve("/hook", b"ok")
    assert sender_of(database, clock).deliver_due() == Delivered(1, 0)


def test_a_receiver_that_is_gone_is_given_up_at_once(sqlite: Database, clock: Clock, site: Site) -> None:
    asked(sqlite, clock, site.fail("/hook", 410))
    ended(sqlite, clock)

    assert sender_of(sqlite, clock).deliver_due() == Delivered(0, 1)
    assert deliveries(sqlite)[0]["next_try_at"] is None


def test_a_redirect_is_not_followed(sqlite: Database, clock: Clock, site: Site) -> None:
    asked(sqlite, clock, site.redirect("/hook", site.serve("/elsewhere", b"ok")))
    ended(sqlite, clock)

    assert sender_of(sqlite, clock).deliver_due() == Delivered(0, 1)
    assert site.hits("/elsewhere") == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_callback_into_a_private_network_reaches_nobody(
    sqlite: Database, clock: Clock, site: Site, scheme: str
) -> None:
    asked(sqlite, clock, site.serve("/hook", b"ok").replace("http", scheme))
    ended(sqlite, clock)

    assert WebhookSender(sqlite, allow_private=False, now=clock).deliver_due() == Delivered(0, 1)
    assert site.hits("/hook") == []
    assert "refused a non-public address" in deliveries(sqlite)[0]["last_error"]


def test_a_callback_over_https_is_tunnelled_and_a_stranger_s_certificate_is_refused(
    sqlite: Database, clock: Clock, site: Site
) -> None:
    asked(sqlite, clock, site.serve("/hook", b"ok").replace("http", "https"))  # it speaks no TLS at all
    ended(sqlite, clock)

    assert sender_of(sqlite, clock).deliver_due() == Delivered(0, 1)
    assert "SSL" in deliveries(sqlite)[0]["last_error"]


@pytest.mark.parametrize("url", ["http://[::1", "http://", "nonsense", "http://127.0.0.1:1/?token=hunter2"])
def test_an_address_that_leads_nowhere_is_an_error_without_secrets_and_harms_no_other(
    sqlite: Database, clock: Clock, site: Site, url: str
) -> None:
    asked(sqlite, clock, url)
    asked(sqlite, clock, site.serve("/hook", b"ok"))
    ended(sqlite, clock)

    assert sender_of(sqlite, clock).deliver_due() == Delivered(1, 1)
    error = deliveries(sqlite)[0]["last_error"]
    assert error
    assert "hunter2" not in error


def test_an_answer_with_odd_words_is_kept_as_one_plain_line(sqlite: Database, clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        asked(sqlite, clock, f"http://127.0.0.1:{listening.getsockname()[1]}/")
        ended(sqlite, clock)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 500 \x1b[31m token=hunter2" + b"x" * 500 + b"\r\nContent-Length: 0\r\n\r\n"
                )

        answered = pool.submit(answer)
        assert sender_of(sqlite, clock).deliver_due() == Delivered(0, 1)
        answered.result()

    error = deliveries(sqlite)[0]["last_error"]
    assert error.isprintable()
    assert len(error) <= 300
    assert "hunter2" not in error


# --- many ---


def test_two_senders_at_once_tell_each_delivery_once(database: Database, clock: Clock, site: Site) -> None:
    for n in range(30):
        asked(database, clock, site.serve(f"/{n}", b"ok"))
    ended(database, clock)

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda _: sender_of(database, clock).deliver_due(), range(2)))

    assert sum(each.ok for each in counts) == 30
    assert [len(site.hits(f"/{n}")) for n in range(30)] == [1] * 30


def test_a_delivery_whose_sender_was_lost_is_told_by_another_one_after_its_lease(
    database: Database, clock: Clock, site: Site
) -> None:
    asked(database, clock, site.serve("/hook", b"ok"))
    ended(database, clock)
    lost = sender_of(database, clock)
    assert len(lost._claim(10)) == 1

    assert sender_of(database, clock).deliver_due() == Delivered(0, 0)
    clock.move(121)
    assert sender_of(database, clock).deliver_due() == Delivered(1, 0)


@pytest.mark.whole
def test_a_silent_receiver_with_many_deliveries_is_waited_for_once_and_holds_nobody_up(
    sqlite: Database, clock: Clock, site: Site, silent: str
) -> None:
    asked(sqlite, clock, silent)
    asked(sqlite, clock, site.serve("/hook", b"ok"))
    ended(sqlite, clock)
    dead, alive = deliveries(sqlite)
    multiply(sqlite, dead, 150)
    multiply(sqlite, alive, 20)
    began_s = time.monotonic()

    assert sender_of(sqlite, clock).deliver_due(budget_s=6.0) == Delivered(21, 151)

    assert time.monotonic() - began_s < 12, "6 s, and room for a busy machine"
    assert "no answer" in deliveries(sqlite)[0]["last_error"]


def test_who_answers_while_the_database_hangs_was_not_silent(
    sqlite: Database, clock: Clock, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        asked(sqlite, clock, site.serve("/hook", b"ok"))
        asked(sqlite, clock, f"http://127.0.0.1:{listening.getsockname()[1]}/hook", "web-b")
        ended(sqlite, clock)
        ended(sqlite, clock, name="web-b")
        sender = sender_of(sqlite, clock)
        settle = sender._settle

        def settled_late(answers: list[Answer]) -> None:
            if not hanging.is_set():
                hanging.set()
                Event().wait(1.5)  # longer than the second that each receiver has
            settle(answers)

        def answer_meanwhile() -> None:
            receiver = listening.accept()[0]
            with receiver:
                receiver.recv(65_536)
                assert hanging.wait(20)
                receiver.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                receiver.recv(1)

        monkeypatch.setattr(sender, "_settle", settled_late)
        with ThreadPoolExecutor(1) as pool:
            answering = pool.submit(answer_meanwhile)
            assert sender.deliver_due(budget_s=3.0) == Delivered(2, 0)
            answering.result(20)


@pytest.mark.whole
def test_thousands_of_deliveries_overrun_no_budget_and_none_is_lost(
    database: Database, clock: Clock, site: Site
) -> None:
    asked(database, clock, site.serve("/hook", b"ok"))
    ended(database, clock)
    multiply(database, deliveries(database)[0], 10_000)
    began_s = time.monotonic()

    delivered = sender_of(database, clock).deliver_due(limit=100_000, budget_s=3.0)

    assert time.monotonic() - began_s < 6, "3 s, and room for a busy machine"
    assert delivered.failed == 0
    assert 0 < delivered.ok == len(site.hits("/hook"))
    left = [row for row in deliveries(database) if row["delivered_at"] is None]
    assert len(left) == 10_001 - delivered.ok
    assert {(row["tries"], row["next_try_at"]) for row in left} == {(0, clock.now)}, "they are as due as before"


def test_no_more_are_sent_than_the_limit_and_those_that_wait_longest_first(
    sqlite: Database, clock: Clock, site: Site
) -> None:
    for n in range(5):
        asked(sqlite, clock, site.add(f"/{n}", Page(b"ok")))
    ended(sqlite, clock)

    assert sender_of(sqlite, clock).deliver_due(limit=2) == Delivered(2, 0)
    assert [len(site.hits(f"/{n}")) for n in range(5)].count(1) == 2
    assert [row["delivered_at"] is not None for row in deliveries(sqlite)] == [True, True, False, False, False]


def multiply(database: Database, delivery: RowMapping, count: int) -> None:
    """As many deliveries like this one, each of a submission of its own."""
    with database.writing() as connection:
        mine = submissions.c.token_hash == delivery["token_hash"]
        submission = dict(connection.execute(select(submissions).where(mine)).mappings().one())
        hashes = [f"{delivery['id']:x}{n:063x}" for n in range(count)]
        connection.execute(submissions.insert(), [{**submission, "token_hash": each} for each in hashes])
        row = {name: value for name, value in delivery.items() if name != "id"}
        connection.execute(webhook_deliveries.insert(), [{**row, "token_hash": each} for each in hashes])
