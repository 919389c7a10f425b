"""Canaries: each name of Dagster that is not public still does what we lean on, or the test says what to do."""

import inspect
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import dagster as dg
import pytest
from dagster._annotations import is_public
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._grpc import server
from dagster_postgres.event_log import event_log
from dagster_postgres.utils import create_pg_engine
from sqlalchemy import Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from madvision_assets.defs import dagster_inside as inside
from madvision_assets.defs.code_server import Forked
from madvision_assets.defs.runtime.failing import StoppedError
from madvision_assets.work.alive import Part, complaint_of
from madvision_assets_tests.real_servers import free_port
from madvision_assets_tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "telemetry: {enabled: false}\nconcurrency: {runs: {max_concurrent_runs: 3}}\n"
KEYS = ("a", "b", "c")
PARTS = dg.DynamicPartitionsDefinition(name="parts")
# Of other things than an instance, whose methods are looked up.
NOT_PUBLIC = (
    "dagster._", "event_log_storage", "step_failure_data", "job_failure_data", "user_failure_data", "_replace",
    "get_asset_check_evaluations", "filter_events", "step_context.", "get_step_execution_context", ".job_def",
    "retry_mode", "code_versions_by_key", "is_job_failure", "instigator_data",
)  # fmt: skip


def ours() -> dict[Path, str]:
    """Every other file of the package, by its path, as text."""
    files = (path for path in (ROOT / "madvision_assets").rglob("*.py") if path.stem != "dagster_inside")
    return {path.relative_to(ROOT): path.read_text() for path in files}


def functions() -> dict[str, FunctionType]:
    """What the file offers, by name."""
    found = inspect.getmembers(inside, inspect.isfunction)
    return {name: each for name, each in found if each.__module__ == inside.__name__ and not name.startswith("_")}


@contextmanager
def canary(function: Callable[..., Any]) -> Iterator[None]:
    """Whatever goes wrong below a function, fail with what is to be done about it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - AttributeError, ImportError, an assertion: all mean the same here
        name = function.__name__
        users = ", ".join(str(path) for path, text in ours().items() if re.search(rf"\b{name}\b", text))
        pytest.fail(
            f"Dagster {dg.__version__} no longer does what dagster_inside.{name} needs ({error!r}). Used in: {users}."
            f"\n\n{inspect.getdoc(function)}\n\nSee docs/decisions/0016-inside-dagster.md.",
            pytrace=False,
        )


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One for all, since to make one takes a second; each test has its own runs, pools and partitions."""
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text(CONFIG)
    with inside.open_instance(folder) as opened:
        yield opened


class Looking(dg.IOManager):
    """Shows its contexts to whoever wants to look."""

    def __init__(self, look: Callable[[Any], object]) -> None:
        self.look = look

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:  # noqa: ARG002 - of the interface
        """Show the context of an output."""
        self.look(context)

    def load_input(self, context: dg.InputContext) -> None:
        """Show the context of an input."""
        self.look(context)


def run(
    instance: dg.DagsterInstance, look: Callable[[Any], object], *, where: str = "asset", raises: bool = True
) -> dg.ExecuteInProcessResult:
    """Two assets of a pool, one of another, with a check; ``look`` is called with one kind of context of theirs."""

    def only(context: Any) -> None:
        kinds = {"asset": dg.AssetExecutionContext, "output": dg.OutputContext, "input": dg.InputContext}
        if isinstance(context, kinds[where]):
            look(context)

    @dg.asset(pool="gpu", check_specs=[dg.AssetCheckSpec("fine", asset="first")])
    def first(context: dg.AssetExecutionContext) -> Iterator[Any]:
        only(context)
        yield dg.MaterializeResult(
            value=1, check_results=[inside.named_result(dg.AssetCheckResult(passed=False), "fine")]
        )

    @dg.asset
    def second(context: dg.AssetExecutionContext, first: Any) -> None:  # noqa: ARG001 - it is loaded
        only(context)

    resources = {"io_manager": Looking(only)}
    return dg.materialize([first, second], instance=instance, resources=resources, raise_on_error=raises)


def no_look(_: object) -> None: ...


def new_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    @dg.job
    def work() -> None: ...

    return instance.create_run_for_job(work, status=dg.DagsterRunStatus.STARTED)


def test_an_instance_captures_nothing_of_its_runs(instance: dg.DagsterInstance) -> None:
    with canary(inside.open_instance):
        assert type(instance.compute_log_manager).__name__ == "NoOpComputeLogManager"
    with canary(inside.folder_of):
        assert (inside.folder_of(instance) / "dagster.yaml").read_text() == CONFIG


def test_events_can_be_left_out_of_the_log(instance: dg.DagsterInstance) -> None:
    def kinds(run_id: str) -> set[str]:
        return {e.dagster_event.event_type_value for e in instance.all_logs(run_id) if e.dagster_event is not None}

    with canary(inside.events_left_out):
        with inside.events_left_out(instance, {"LOADED_INPUT", "STEP_INPUT"}):
            without = kinds(run(instance, no_look).run_id)
        assert kinds(run(instance, no_look).run_id) - without == {"LOADED_INPUT", "STEP_INPUT"}


def test_a_run_that_is_deleted_leaves_neither_checks_nor_files_nor_what_it_made_last(
    instance: dg.DagsterInstance,
) -> None:
    run_id = run(instance, no_look).run_id
    checks = text("SELECT count(*) FROM asset_check_executions WHERE run_id = :run_id")
    last = text("SELECT count(*) FROM asset_keys WHERE last_materialization LIKE '%' || :run_id || '%'")
    runs = inside.folder_of(instance) / "history" / "runs"

    def left() -> tuple[int, ...]:
        with create_engine(f"sqlite:///{runs / 'index.db'}").connect() as connection:
            rows = [connection.execute(query, {"run_id": run_id}).scalar_one() for query in (checks, last)]
        return *rows, len(list(runs.glob(f"{run_id}*")))

    with canary(inside.delete_run):
        assert min(left()) > 0
        inside.delete_run(instance, run_id)
        assert left() == (0, 0, 0)
        assert instance.get_run_by_id(run_id) is None


def test_pools_have_limits_that_can_be_set(instance: dg.DagsterInstance) -> None:
    with canary(inside.limit_pool):
        inside.limit_pool(instance, "wide", 2)
        inside.limit_pool(instance, "paused", 0)
    with canary(inside.pool_limits):
        assert inside.pool_limits(instance).items() >= {"wide": 2, "paused": 0}.items()


def test_slots_of_a_run_are_seen_and_given_back(instance: dg.DagsterInstance) -> None:
    inside.limit_pool(instance, "narrow", 1)
    for name in ("holds", "waits"):
        instance.event_log_storage.claim_concurrency_slot("narrow", name, "transcript")

    with canary(inside.pools_at_work):
        assert inside.pools_at_work(instance, ["narrow"]) == {"narrow": inside.PoolUse(limit=1, running=1, waiting=1)}
    with canary(inside.runs_with_slots):
        assert inside.runs_with_slots(instance) >= {"holds", "waits"}
    with canary(inside.free_slots):
        inside.free_slots(instance, "holds")
        assert inside.pools_at_work(instance, ["narrow"])["narrow"].running == 0


def test_the_executor_claims_its_slots_through_ours(instance: dg.DagsterInstance) -> None:
    inside.limit_pool(instance, "gpu", 1)
    claims: list[tuple[Any, ...]] = []

    def told(claim: inside.Claim) -> inside.Claim:
        def claim_and_tell(*arguments: Any) -> Any:
            status = claim(*arguments)
            claims.append((*arguments[:3], status.is_claimed))
            return status

        return claim_and_tell

    with canary(inside.claims_wrapped):
        with inside.claims_wrapped(instance, told):
            result = run(instance, no_look)
        run(instance, no_look)
        assert claims == [("gpu", result.run_id, "first", True)]


def test_a_signal_is_raised_at_once() -> None:
    def wait() -> None:
        with inside.interrupts_raised():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)  # ended by the signal

    with canary(inside.interrupts_raised), pytest.raises(dg.DagsterExecutionInterruptedError):
        wait()


def test_the_bound_of_runs_is_read(instance: dg.DagsterInstance) -> None:
    with canary(inside.max_concurrent_runs):
        assert inside.max_concurrent_runs(instance) == 3


def test_a_run_is_called_failed(instance: dg.DagsterInstance) -> None:
    lost = new_run(instance)

    with canary(inside.end_as_failed):
        inside.end_as_failed(instance, lost, "Its process is gone.")
        found = instance.get_run_by_id(lost.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.FAILURE


def test_a_run_that_is_there_gets_more_tags(instance: dg.DagsterInstance) -> None:
    there = new_run(instance)

    with canary(inside.tag_run):
        inside.tag_run(instance, there.run_id, {"madvision/cause": "not_found"})
        found = instance.get_run_by_id(there.run_id)
        assert found is not None
        assert found.tags == {**there.tags, "madvision/cause": "not_found"}


def test_a_launcher_ends_what_it_started_for_a_run_that_is_under_way(instance: dg.DagsterInstance) -> None:
    going = new_run(instance)

    with canary(inside.end_worker):
        assert inside.end_worker(instance, going.run_id) is False, "nobody launched it"
        found = instance.get_run_by_id(going.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.CANCELING
        inside.end_as_failed(instance, found, "Its worker hung.")
        assert inside.end_worker(instance, going.run_id) is False


def test_a_step_is_under_way_while_it_is(instance: dg.DagsterInstance) -> None:
    seen: list[bool] = []
    with canary(inside.is_at_a_step):
        result = run(
            instance, lambda c: seen.append(inside.is_at_a_step(instance, c.run.run_id, [c.asset_key.path[-1]]))
        )
        assert seen == [True, True]
        assert not inside.is_at_a_step(instance, result.run_id, ["first", "second"])


def test_what_a_failed_step_said_is_read_back(instance: dg.DagsterInstance) -> None:
    def fail(_: object) -> None:
        raise dg.Failure(
            "It is private.", metadata={"failure_cause": "private_video", "wait_s": 2.5}, allow_retries=False
        )

    def stumble(_: object) -> None:
        raise ZeroDivisionError

    told = [run(instance, how, raises=False) for how in (fail, stumble)]

    with canary(inside.failed_steps):
        events = [event for result in told for event in inside.failed_steps(instance, result.run_id)]
        assert [event.step_key for event in events] == ["first", "first"]
        assert list(inside.failed_steps(instance, run(instance, no_look).run_id)) == []
    with canary(inside.told_failure):
        said = inside.ToldFailure("It is private.", {"failure_cause": "private_video", "wait_s": 2.5})
        assert [inside.told_failure(event) for event in events] == [said, None]


def test_a_run_that_was_stopped_is_told_from_one_that_failed(instance: dg.DagsterInstance) -> None:
    def stop(_: object) -> None:
        raise StoppedError

    def stumble(_: object) -> None:
        raise ZeroDivisionError

    with canary(inside.was_interrupted):
        ended = [run(instance, how, raises=False) for how in (stop, stumble, no_look)]
        assert [inside.was_interrupted(result) for result in ended] == [True, False, False]


def test_results_of_checks_are_there_under_their_names(instance: dg.DagsterInstance) -> None:
    with canary(inside.named_result):
        result = dg.AssetCheckResult(passed=True, description="fine", metadata={"n": 1})
        named = inside.named_result(result, "other")
        assert (named.check_name, named.passed, named.description) == ("other", True, "fine")
        assert named.metadata == result.metadata
    with canary(inside.check_results):
        [found] = inside.check_results(run(instance, no_look))
        assert (found.check_name, found.passed) == ("fine", False)


def test_a_backfill_is_under_way_until_it_has_ended(instance: dg.DagsterInstance) -> None:
    backfill = PartitionBackfill(
        backfill_id="mine", status=BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=0.0
    )
    with canary(inside.backfill_under_way):
        assert inside.backfill_under_way(instance) is None
        instance.add_backfill(backfill)
        assert inside.backfill_under_way(instance) == "mine"
        instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELED))  # type: ignore[no-untyped-call]
        assert inside.backfill_under_way(instance) is None


def test_several_partitions_are_deleted_at_once(instance: dg.DagsterInstance) -> None:
    for name in ("parts", "others"):
        instance.add_dynamic_partitions(name, list(KEYS))

    with canary(inside.delete_partitions):
        inside.delete_partitions(instance, "parts", ["a", "c"])
        assert instance.get_dynamic_partitions("parts") == ["b"]
        assert sorted(instance.get_dynamic_partitions("others")) == list(KEYS)


@pytest.mark.parametrize("where", ["asset", "output", "input"])
def test_every_context_leads_to_its_step_and_run(instance: dg.DagsterInstance, where: str) -> None:
    seen: list[tuple[str, set[str], bool]] = []

    def look(context: Any) -> None:
        step = inside.step_of(context)
        seen.append((inside.run_of(step).run_id, inside.assets_of_run(step), inside.retried_elsewhere(step)))

    with canary(inside.step_of), canary(inside.run_of), canary(inside.assets_of_run), canary(inside.retried_elsewhere):
        result = run(instance, look, where=where)
        assert seen
        assert all(each == (result.run_id, {"first", "second"}, False) for each in seen)


# --- the file itself ---


def sensor_state(name: str, data: Mapping[str, Any], *, place: str = "here", is_on: bool = True) -> InstigatorState:
    """What the daemon keeps of a sensor."""
    where = GrpcServerCodeLocationOrigin(host=place, port=1, location_name=place)
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(where, "__repository__"), name)
    status = InstigatorStatus.DECLARED_IN_CODE if is_on else InstigatorStatus.STOPPED
    return InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData(min_interval=4, **data))


def test_when_sensors_ticked_is_seen_and_no_tick_is_left_in_the_future(instance: dg.DagsterInstance) -> None:
    now_s = time.time()
    ahead = {"last_tick_timestamp": now_s + 3600, "last_tick_start_timestamp": now_s + 3500}
    behind = {"last_tick_timestamp": now_s - 9, "last_tick_start_timestamp": now_s - 10}
    states = [
        sensor_state("ahead", {"cursor": "kept", **ahead}),
        sensor_state("behind", behind),
        sensor_state("behind", {"last_tick_start_timestamp": now_s - 5000}, place="another place"),
        sensor_state("new", {}),
        sensor_state("off", ahead, is_on=False),
    ]
    for state in states:
        instance.add_instigator_state(state)

    with canary(inside.sensor_ticks):
        assert inside.sensor_ticks(instance) == {"ahead": now_s + 3500, "behind": now_s - 10, "new": 0.0}
    with canary(inside.put_ticks_right):
        assert inside.put_ticks_right(instance, now_s) == ["ahead"]
        mended = instance.get_instigator_state(states[0].instigator_origin_id, states[0].selector_id)
        assert mended is not None
        data = mended.instigator_data
        assert isinstance(data, SensorInstigatorData)
        assert (data.last_tick_timestamp, data.last_tick_start_timestamp) == (now_s, now_s)
        assert (data.cursor, data.min_interval) == ("kept", 4)
        assert inside.put_ticks_right(instance, now_s) == []
        assert inside.sensor_ticks(instance)["behind"] == now_s - 10


def test_a_daemon_runs_in_this_process_and_its_loops_give_signs_of_life(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(inside.folder_of(instance)))
    (tmp_path / "workspace.yaml").write_text("load_from: []")
    beats: dict[str, float] = {}

    def stop_once_it_beats() -> None:
        try:
            wait_for(lambda: all(inside.daemon_beats(instance).values()), 60.0, "signs of life")
            beats.update(inside.daemon_beats(instance))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with canary(inside.daemon_beats):
        assert set(inside.daemon_beats(instance).values()) == {0.0}
    before_s = time.time()
    handlers = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=stop_once_it_beats)
    with canary(inside.run_daemon):
        try:
            thread.start()
            inside.run_daemon(["-w", str(tmp_path / "workspace.yaml")])
        finally:
            thread.join()
            for sign, handler in handlers.items():
                signal.signal(sign, handler)

    assert beats.keys() >= {"SENSOR", "QUEUED_RUN_COORDINATOR"}
    assert all(beat_s >= before_s - 1 for beat_s in beats.values())


def test_a_code_server_runs_in_this_process_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    where, answers = f"localhost:{(port := free_port())}", list[str]()
    monkeypatch.setattr(server, "DagsterApiServer", server.DagsterApiServer)  # put back afterwards

    def stop_once_it_answers() -> None:
        try:
            health = partial(complaint_of, Part.CODE_SERVER, "localhost", port)
            wait_for(lambda: health() is None, 60.0, where)
            answers.append(where)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    handlers = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=stop_once_it_answers)
    with canary(inside.run_code_server):
        try:
            thread.start()
            inside.run_code_server(["-f", str(tmp_path / "code.py"), "--port", str(port)], Forked())
        finally:
            thread.join()
            for sign, handler in handlers.items():
                signal.signal(sign, handler)
        assert answers == [where]


def test_a_code_server_looks_after_its_runs_for_ever_also_where_the_database_was_away(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's own stops at the first outage: a run that dies stays "started", and SIGTERM ends nothing."""
    died = new_run(instance)
    answers = iter((OperationalError("SELECT", {}, Exception("connection refused")), nullcontext(instance)))

    def from_ref(_: object) -> AbstractContextManager[dg.DagsterInstance]:
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    monkeypatch.setattr(dg.DagsterInstance, "from_ref", from_ref)
    code_server = object.__new__(inside._servicer(Forked()))
    code_server._logger, code_server._execution_lock = logging.getLogger("code-server"), threading.Lock()
    code_server._executions = {died.run_id: (SimpleNamespace(is_alive=lambda: False, exitcode=-9), None)}
    code_server._termination_events, code_server._termination_times = {died.run_id: None}, {}
    code_server._server_termination_event, asked_to_end = threading.Event(), threading.Event()
    code_server._shutdown_once_executions_finish_event = asked_to_end
    thread = threading.Thread(target=code_server._cleanup_thread, daemon=True)
    thread.start()

    wait_for(lambda: not code_server._executions, 20.0, "the second look")
    found = instance.get_run_by_id(died.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE
    asked_to_end.set()
    thread.join(20.0)
    assert not thread.is_alive()


def test_a_step_in_a_pod_is_lost_when_it_was_found_so_twice() -> None:
    from dagster._core.execution.retries import RetryMode
    from dagster._core.executor.step_delegating import CheckStepHealthResult, StepDelegatingExecutor, StepHandler
    from dagster_k8s.executor import K8sStepHandler

    found = iter(["Job 1 failed", None, "Job 1 failed", "Job 2 failed", "Job 2 failed"])

    class Handler(StepHandler):
        name = "pods"
        launch_step = terminate_step = cast("Any", None)

        def check_step_health(self, step_handler_context: Any) -> CheckStepHealthResult:  # noqa: ARG002 - of theirs
            reason = next(found)
            return CheckStepHealthResult.unhealthy(reason) if reason else CheckStepHealthResult.healthy()

    with canary(inside.lost_at_second_look):
        executor: Any = StepDelegatingExecutor(Handler(), RetryMode.DEFERRED)
        assert inside.lost_at_second_look(executor) is executor
        looks = [cast("Any", executor)._step_handler.check_step_health(None) for _ in range(5)]
        assert [look.is_healthy for look in looks] == [True, True, False, True, False]
        assert "{job_name}" in inspect.getsource(K8sStepHandler.check_step_health)  # the reason names the Job
        assert "_step_handler.check_step_health(" in inspect.getsource(StepDelegatingExecutor.execute)


def test_each_name_says_why_it_is_needed_where_to_look_and_what_breaks() -> None:
    lacking = {
        name: missing
        for name, function in functions().items()
        if (
            missing := [w for w in ("Why", "Public way", "Without it") if f"{w}: " not in str(inspect.getdoc(function))]
        )
    }
    assert lacking == {}


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Path, Engine]]:
    """A folder whose instance keeps its state in a PostgreSQL database of its own, and another way to that server."""
    name = f"inside_{uuid4().hex}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    (tmp_path / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{url}'}}}}\n")
    yield tmp_path, server
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def kept_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process keeps connections to Dagster's database, until the end of the test."""
    for module in ("event_log.event_log", "run_storage.run_storage", "schedule_storage.schedule_storage"):
        name = f"dagster_postgres.{module}.create_pg_engine"
        monkeypatch.setattr(name, create_pg_engine)  # and back again
    with canary(inside.keep_connections):
        inside.keep_connections()
    yield
    monkeypatch.delattr(event_log, "_madvision_kept")


def backends(server: Engine, folder: Path) -> set[int]:
    """The connections that there are to the database of an instance: the process of each."""
    name = make_url((folder / "dagster.yaml").read_text().split("'")[1]).database
    with server.connect() as connection:
        query = text("SELECT pid FROM pg_stat_activity WHERE datname = :name")
        return set(connection.execute(query, {"name": name}).scalars())


def cut_off(on_postgres: tuple[Path, Engine]) -> None:
    """End every connection to the database of the instance."""
    folder, server = on_postgres
    with server.connect() as connection:
        for pid in backends(server, folder):
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    wait_for(lambda: not backends(server, folder), 10)


@pytest.mark.usefixtures("kept_connections")
def test_all_instances_of_a_process_use_one_connection_and_do_without_it_when_it_breaks(
    on_postgres: tuple[Path, Engine],
) -> None:
    folder, server = on_postgres
    seen = []
    for _ in range(3):
        with canary(inside.keep_connections), inside.open_instance(folder) as instance:
            assert instance.get_run_by_id("none") is None
            instance.report_engine_event("a word", job_name="job", run_id="none")
            assert list(instance.all_instigator_state()) == []
        seen.append(backends(server, folder))
    assert len(seen[0]) == 1
    assert seen[0] == seen[1] == seen[2]

    cut_off(on_postgres)
    with inside.open_instance(folder) as instance:
        assert instance.get_run_by_id("none") is None
    assert len(backends(server, folder) - seen[1]) == 1


def test_without_being_told_to_a_process_keeps_none(on_postgres: tuple[Path, Engine]) -> None:
    folder, server = on_postgres
    with inside.open_instance(folder) as instance:
        assert instance.get_run_by_id("none") is None
        wait_for(lambda: not backends(server, folder), 10)


@pytest.mark.parametrize("kept", [False, True])
def test_whatever_is_asked_of_postgresql_is_asked_with_patience_and_twice_is_once(
    request: pytest.FixtureRequest, on_postgres: tuple[Path, Engine], *, kept: bool
) -> None:
    if kept:
        request.getfixturevalue("kept_connections")
    asked = []

    def ask(act: Callable[[], Any]) -> Any:
        asked.append(act)
        return act()

    with canary(inside.asked_with_patience), inside.open_instance(on_postgres[0]) as instance:
        inside.asked_with_patience(instance, lambda _: pytest.fail("the last one counts"))
        counts = []
        for _ in range(2):
            inside.asked_with_patience(instance, ask)
            asked.clear()
            assert instance.get_run_by_id("none") is None
            instance.report_engine_event("a word", job_name="job", run_id="none")
            counts.append(len(asked))
        assert counts[0] == counts[1]
        assert counts[0] >= (1 if kept else 3)  # one that is kept needs no way there
        cut_off(on_postgres)
        asked.clear()
        assert instance.get_run_by_id("none") is None
        assert asked, "also what only reads"
        run = dg.DagsterRun("job")
        instance.add_run(run)
        asked.clear()
        instance.report_run_failed(run)
        assert len(asked) >= 2, "the event, and what it makes of the run"


def test_each_name_has_a_canary_and_a_use() -> None:
    watched = set(re.findall(r"canary\(inside\.(\w+)\)", Path(__file__).read_text()))
    used = {name for name in functions() if any(re.search(rf"\b{name}\b", text) for text in ours().values())}

    assert watched == functions().keys()
    assert used == functions().keys()


def test_a_canary_says_what_to_do() -> None:
    with pytest.raises(pytest.fail.Exception) as told, canary(inside.free_slots):
        raise AttributeError("free_concurrency_slots_for_run")

    for words in ("free_concurrency_slots_for_run", "Public way", "reconcile.py", dg.__version__):
        assert words in str(told.value)


def test_no_other_file_leans_on_what_is_not_public() -> None:
    def leans(text: str) -> list[str]:
        methods = set(re.findall(r"\binstance\.(\w+)\(", text))
        public = {name for name in methods if is_public(getattr(dg.DagsterInstance, name, None))}
        return sorted(methods - public) + [name for name in NOT_PUBLIC if name in text]

    with_dagster = {
        path: text for path, text in ours().items() if re.search(r"^import dagster|from dagster", text, re.MULTILINE)
    }

    assert len(with_dagster) > 10
    assert {str(path): found for path, text in with_dagster.items() if (found := leans(text))} == {}
