"""Claims about what a trace is made of."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from madvision_assets.domain.failures import PrivateVideoError, StoreUnavailableError
from madvision_assets.domain.traces import Attempt, History, MadeDocument, PaidCall, Span, SpanKind, Telling

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def attempt(number: int, began_s: float, ended_s: float, status: str, **told: str) -> Attempt:
    """At the last stage, by a run of its own."""
    known: dict[str, Any] = {"step": "clips", "cause": None, "details": None, **told}
    return Attempt(
        attempt=number, run_id=f"run-{number}", started_at=at(began_s), ended_at=at(ended_s), status=status, **known
    )


def document(asset: str, made_s: float, run: int = 1, wall_s: float = 2.0, **told: str) -> MadeDocument:
    known: dict[str, Any] = {"engine": "test", "model": None, "taken_from": None, **told}
    return MadeDocument(run_id=f"run-{run}", asset=asset, created_at=at(made_s), wall_s=wall_s, cost_usd=0.0, **known)


def history(*attempts: Attempt, submitted_s: tuple[float, ...] = (0,), **told: Any) -> History:
    moments = tuple(at(each) for each in submitted_s)
    return History("web-a", "example.org", "clips", attempts, moments, **told)


def by_name(spans: list[Span]) -> dict[str, Span]:
    assert max(Counter(each.name for each in spans).values()) == 1
    return {each.name: each for each in spans}


def test_a_video_that_is_done_at_once_is_one_trace_from_its_submission_to_its_end() -> None:
    made = (document("transcript", 14), document("clips", 19, wall_s=4))
    spans = by_name(history(attempt(1, 10, 20, "done"), made=made).spans_of(1))

    root = spans["video"]
    assert (root.parent_id, root.began_at, root.ended_at) == (None, at(0), at(20))
    assert (root.attributes["madvision.video.id"], root.attributes["madvision.outcome"]) == ("web-a", "clips")
    assert {each.trace_id for each in spans.values()} == {root.trace_id}
    assert {spans[name].parent_id for name in ("submit", "queue", "attempt")} == {root.span_id}
    assert (spans["queue"].began_at, spans["queue"].ended_at) == (at(0), at(10))
    assert {spans[name].parent_id for name in ("transcript", "clips")} == {spans["attempt"].span_id}
    assert (spans["clips"].began_at, spans["clips"].ended_at) == (at(15), at(19))
    assert all(each.error is None for each in spans.values())


def test_all_tries_are_in_one_trace_whose_root_comes_with_the_last() -> None:
    waits = attempt(1, 10, 20, "waiting", cause="store_unavailable")
    told = history(waits, attempt(2, 50, 60, "done"))
    first, second = by_name(told.spans_of(1)), by_name(told.spans_of(2))

    assert "video" not in first
    assert "submit" not in second
    assert (second["queue"].began_at, second["queue"].ended_at) == (at(20), at(50))
    assert second["queue"].attributes["madvision.waits_after"] == "store_unavailable"
    assert (second["video"].began_at, second["video"].attributes["madvision.attempts"]) == (at(0), 2)
    assert {each.trace_id for each in (*first.values(), *second.values())} == {second["video"].trace_id}
    assert {first["attempt"].parent_id, second["attempt"].parent_id} == {second["video"].span_id}


def test_what_is_done_again_later_is_another_trace_that_begins_there() -> None:
    told = history(attempt(1, 10, 20, "done"), attempt(2, 900, 950, "done"), submitted_s=(0, 500))
    first, again = by_name(told.spans_of(1)), by_name(told.spans_of(2))

    assert first["video"].trace_id != again["video"].trace_id
    assert (again["video"].began_at, again["video"].ended_at) == (at(900), at(950))
    assert not {"submit", "queue"} & set(again)


def test_whoever_submits_what_failed_begins_a_trace() -> None:
    failed = attempt(1, 10, 20, "failed", cause=PrivateVideoError.code)
    told = history(failed, attempt(2, 510, 520, "done"), submitted_s=(0, 500, 505))
    again = told.spans_of(2)

    assert [each.began_at for each in again if each.name == "submit"] == [at(500), at(505)]
    assert next(each for each in again if each.name == "video").began_at == at(500)


def test_the_same_rows_give_the_same_ids_no_two_spans_one_and_other_rows_other_ones() -> None:
    waits = attempt(1, 10, 20, "waiting", cause="store_unavailable")
    paid = tuple(PaidCall(n, "clips", "gpt", at(51), at(52), 0.1, 1, 1, None) for n in range(3))
    told = history(
        waits, attempt(2, 50, 60, "done"), submitted_s=(0, 0, 5), paid=paid, made=(document("clips", 59, 2),)
    )
    spans = [*told.spans_of(1), *told.spans_of(2)]

    assert [*told.spans_of(1), *told.spans_of(2)] == spans
    assert len({each.span_id for each in spans}) == len(spans)
    elsewhere = history(attempt(1, 11, 20, "done")).spans_of(1)
    assert {each.trace_id for each in elsewhere}.isdisjoint({each.trace_id for each in spans})
    numbers = list(chain.from_iterable((each.trace_id >> 64, each.span_id) for each in spans))
    assert all(0 < number < 2**64 for number in numbers)


def test_a_stage_that_failed_is_told_with_its_cause_and_no_folder_of_ours() -> None:
    details = "/srv/madvision/store/clips: Permission denied"
    failed = attempt(1, 10, 20, "failed", cause=StoreUnavailableError.code, details=details)
    spans = by_name(history(failed, made=(document("transcript", 15),)).spans_of(1))

    stage = spans["clips"]
    assert (stage.began_at, stage.ended_at) == (at(15), at(20))
    assert stage.attributes["error.type"] == StoreUnavailableError.code
    assert stage.error == spans["attempt"].error == spans["video"].error == StoreUnavailableError.sentence
    assert spans["transcript"].error is None


def test_an_attempt_of_which_no_run_came_has_no_stage() -> None:
    lost = Attempt(1, None, at(10), at(20), "raw_video", "waiting", "run_not_launched", "")

    assert set(by_name(history(lost).spans_of(1))) == {"submit", "queue", "attempt"}


def test_work_that_an_earlier_try_did_takes_no_time_before_this_one() -> None:
    made = (document("clips", 19, wall_s=3600),)

    assert by_name(history(attempt(1, 10, 20, "done"), made=made).spans_of(1))["clips"].began_at == at(10)


def test_a_call_of_a_model_is_part_of_its_stage_in_the_words_of_the_conventions() -> None:
    paid = (
        PaidCall(7, "clips", "gpt-4o", at(16), at(18), 0.25, 1000, 100, None),
        PaidCall(8, "clips", "gpt-4o", at(30), None, 0.0, 0, 0, "analyst_unavailable"),  # of another attempt
    )
    spans = by_name(history(attempt(1, 10, 20, "done"), made=(document("clips", 19),), paid=paid).spans_of(1))

    call = spans["chat gpt-4o"]
    assert (call.kind, call.parent_id) == (SpanKind.CLIENT, spans["clips"].span_id)
    assert (call.began_at, call.ended_at) == (at(16), at(18))
    assert call.attributes["gen_ai.request.model"] == "gpt-4o"
    assert call.attributes["gen_ai.usage.input_tokens"] == 1000


def test_a_callback_is_part_of_the_trace_whose_end_it_tells_without_its_address() -> None:
    told = history(attempt(1, 10, 20, "done"))
    url = "https://ann:hide-me@hooks.example.org:8443/hide-me?token=hide-me"
    span = told.span_of(Telling("web-a", 1, 2, url, at(25), at(26), 503, "it answered 503"))

    assert span is not None
    assert span.parent_id == by_name(told.spans_of(1))["video"].span_id
    assert span.attributes["server.address"] == "hooks.example.org"
    assert span.attributes["server.port"] == 8443
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (503, "503")
    assert span.attributes["http.request.resend_count"] == 1
    assert "hide-me" not in repr(span)


def test_a_callback_of_an_end_that_nobody_knows_has_no_span() -> None:
    unknown = Telling("web-a", 9, 1, "https://[broken", at(25), at(26), None, "no answer")

    assert history(attempt(1, 10, 20, "done")).span_of(unknown) is None
