"""Every name of Dagster that is not public and that we lean on: here, and in no other file.

Public is what ``import dagster as dg`` gives and what Dagster itself marks so; of its classes, their plain fields too.
The rest may change with any release, so Dagster is pinned to one version, and each function has a canary in
``test_dagster_inside.py``, which fails with the function's own words: why we need it, the public way to look for, and
what breaks without it. Modules that ``dagster`` does not load anyway are imported inside the functions.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.errors import raise_execution_interrupts
from dagster._core.instance.ref import InstanceRef

Context = dg.AssetExecutionContext | dg.OutputContext | dg.InputContext
Claim = Callable[..., Any]

_NO_CAPTURE = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}
CONNECT_TIMEOUT_S = 10
_PATIENT = "_madvision_patient"
_KEPT = "_madvision_kept"
_TERMINATED = "UNEXPECTED_TERMINATION"


# --- instances ---


def open_instance(folder: Path) -> dg.DagsterInstance:
    """The instance that keeps its state in a folder, with its ``dagster.yaml``, where nothing of a run is captured.

    Why: what a stage prints goes to the terminal. Capturing it takes four helper processes, which die loudly of a
    Ctrl-C. The public ``DagsterInstance.get()`` reads the environment and takes no overrides.
    Public way: a setting of ``get()``, or ``compute_logs`` in the ``dagster.yaml`` that ``open_instance`` of
    ``launch.py`` writes (the daemon's own runs would then lose their logs in the UI).
    Without it: no ``madvision`` command that touches Dagster works.
    """
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=_NO_CAPTURE))


def folder_of(instance: dg.DagsterInstance) -> Path:
    """Where an instance keeps its state.

    Why: the locks that show which processes live lie there.
    Public way: hand the folder down from whoever opened the instance.
    Without it: ``madvision process`` does not start.
    """
    return Path(instance.root_directory)


def asked_with_patience(instance: dg.DagsterInstance, ask: Callable[[Callable[[], Any]], Any]) -> None:
    """Put a function of ours around every way of this process to Dagster's PostgreSQL; of several the last one counts.

    Why: Dagster gives up after some twelve seconds, and what it cannot write ends the run with all that it has made.
    Public way: a setting of dagster-postgres for how long it tries to connect.
    Without it: a database that is away at the end of a transcript has the run fail; its result is kept on this machine.
    """
    from sqlalchemy import event

    def listen(engine: Any) -> None:
        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
            named.setdefault("connect_timeout", CONNECT_TIMEOUT_S)  # one that is there and does not answer is away too
            return getattr(engine, _PATIENT)(lambda: dialect.connect(*arguments, **named))

    storages: list[Any] = [instance.event_log_storage, instance.run_storage]
    for storage in storages:
        engine = getattr(storage, "_engine", None)
        if engine is None or engine.name != "postgresql":
            continue
        if not hasattr(engine, _PATIENT):  # several instances may have the same one
            listen(engine)
        setattr(engine, _PATIENT, ask)
        if not hasattr(storage, _PATIENT):
            for name in ("store_event", "handle_run_event"):  # where it goes away in the middle of one
                if write := getattr(storage, name, None):
                    setattr(storage, name, partial(_asked, storage, write))
        setattr(storage, _PATIENT, ask)


def _asked(storage: Any, write: Callable[..., Any], *given: Any) -> Any:
    return getattr(storage, _PATIENT)(lambda: write(*given))


def keep_connections() -> None:
    """Let all instances of this process use the same connections to PostgreSQL; so too in each forked from it.

    Why: dagster-postgres connects anew for whatever it asks, some hundred times for a video, and PostgreSQL forks and
    looks at the password each time: half of the CPU of a video with short stages.
    Public way: ``optimize_for_webserver`` does so for one instance, and each tick of a sensor has its own.
    Without it: twice the CPU, no other harm.
    """
    from dagster_postgres.event_log import event_log
    from dagster_postgres.run_storage import run_storage
    from dagster_postgres.schedule_storage import schedule_storage
    from dagster_postgres.utils import create_pg_engine as make
    from sqlalchemy import NullPool

    from madvision_assets.tools.database.engines import keep_one

    as_usual = {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool}  # it asks otherwise for the webserver's
    modules: list[Any] = [event_log, run_storage, schedule_storage]
    if hasattr(event_log, _KEPT):
        return

    @cache
    def kept(_process: int, url: str) -> Any:
        return keep_one(make, url)

    @wraps(make)
    def make_or_share(url: str, token_provider: Any = None, **options: Any) -> Any:
        is_plain = token_provider is None and options == as_usual
        return kept(os.getpid(), url) if is_plain else make(url, token_provider, **options)

    setattr(event_log, _KEPT, True)
    for module in modules:
        module.create_pg_engine = make_or_share


@contextmanager
def events_left_out(instance: dg.DagsterInstance, kinds: Collection[str]) -> Iterator[None]:
    """Let this process write no events of these types into Dagster's log.

    Why: a third of what a run writes tells what other events, or our own documents, tell too; each is a row, and a
    round trip.
    Public way: none; look for a level, or a filter, of events in ``dagster.yaml``.
    Without it: the log grows by half more, and runs cost somewhat more CPU; nothing else.
    """
    storage: Any = instance.event_log_storage
    store = storage.store_event

    def store_some(entry: Any) -> None:
        if not (entry.is_dagster_event and entry.dagster_event.event_type_value in kinds):
            store(entry)

    storage.store_event = store_some
    try:
        yield
    finally:
        storage.store_event = store


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run that has ended, with everything that the instance keeps of it.

    Why: the public ``delete_run`` leaves the results of its checks, the last materialisation of each asset with all
    that it tells, what a run printed on this machine, and on SQLite the file of its events.
    Public way: ``delete_run``, should it take these too.
    Without it: ``madvision archive --runs``, ``forget`` and the housekeeping fail.
    """
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as checks  # noqa: N813 - it is one
    from dagster._core.storage.event_log.schema import AssetKeyTable as assets  # noqa: N813

    instance.delete_run(run_id)
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        connection.execute(checks.delete().where(checks.c.run_id == run_id))
        # Without the copy of the last event, Dagster looks for the one before in the log.
        is_last = assets.c.last_materialization.contains(run_id)
        connection.execute(assets.update().where(is_last).values(last_materialization=None))
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    if path_for_shard := getattr(storage, "path_for_shard", None):
        file = Path(path_for_shard(run_id))
        for each in file.parent.glob(f"{file.name}*"):  # with its journal
            each.unlink(missing_ok=True)


# --- pools ---


@dataclass(frozen=True)
class PoolUse:
    """How full a pool is: its limit, 0 being a pause; the slots that are held; the steps that wait for one."""

    limit: int
    running: int
    waiting: int


def pool_limits(instance: dg.DagsterInstance) -> dict[str, int]:
    """The limit of each pool that has one.

    Why: a new instance gets our limits, and one that an operator has set stays.
    Public way: a method of ``DagsterInstance`` on pools, or the GraphQL of the webserver.
    Without it: pools are bounded by ``default_limit`` of ``dagster.yaml`` alone, so several videos share one GPU.
    """
    return {known.name: known.limit for known in instance.event_log_storage.get_pool_limits()}


def limit_pool(instance: dg.DagsterInstance, name: str, limit: int) -> None:
    """Let so many steps of a pool run at once.

    Why: limits belong to the instance's database, and ``madvision pools set`` needs no webserver.
    Public way: a method of ``DagsterInstance``, ``dagster instance concurrency set``, or GraphQL.
    Without it: as ``pool_limits``; operators set limits in the Dagster UI.
    """
    instance.event_log_storage.set_concurrency_slots(name, limit)


def pools_at_work(instance: dg.DagsterInstance, names: Collection[str]) -> dict[str, PoolUse]:
    """How full these pools are.

    Why: ``madvision pools`` shows what bounds the stages.
    Public way: as ``limit_pool``.
    Without it: that command fails; nothing else does.
    """
    infos = instance.event_log_storage.get_concurrency_infos(list(names))
    return {
        name: PoolUse(infos[name].limit or 0, infos[name].active_slot_count, infos[name].pending_step_count)
        for name in names
    }


def runs_with_slots(instance: dg.DagsterInstance) -> set[str]:
    """IDs of the runs that hold a slot of a pool, or wait for one.

    Why: slots of runs whose process was killed have to be found, whoever started them.
    Public way: as ``free_slots``.
    Without it: as ``free_slots``.
    """
    return instance.event_log_storage.get_concurrency_run_ids()


def free_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Give back the slots of a run that has ended, or whose worker is lost.

    Why: a killed worker cannot give back its own. Dagster's monitor does so minutes later, and not for runs that it did
    not launch.
    Public way: ``concurrency.pools`` and ``run_monitoring`` in ``dagster.yaml`` (``free_slots_after_run_end_seconds``),
    if they come to cover runs of the command line.
    Without it: the only slot of the pool ``gpu`` may be held for ever, and no transcript is made.
    """
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


@contextmanager
def claims_wrapped(instance: dg.DagsterInstance, wrap: Callable[[Claim], Claim]) -> Iterator[None]:
    """Put a function of ours around every claim of a slot by this process; it is given the claim that was there.

    A claim takes pool, run ID, step and, may be, a priority; what it gives has ``is_claimed``.

    Why: Dagster's in-process executor asks again without a pause while a pool is full, and notes a signal without
    acting upon it (see ``pool_wait.py``).
    Public way: an interval between claims in the configuration of ``in_process_executor``; see whether
    ``interval_to_next_pending_claim_check`` is above zero by now.
    Without it: each run that waits for a slot burns a core, and Ctrl-C does not end its wait.
    """
    storage: Any = instance.event_log_storage
    claim = storage.claim_concurrency_slot
    storage.claim_concurrency_slot = wrap(claim)
    try:
        yield
    finally:
        storage.claim_concurrency_slot = claim


def interrupts_raised() -> AbstractContextManager[None]:
    """Let a signal raise ``DagsterExecutionInterruptedError`` at once, where Dagster would only note it.

    Why: whoever waits for a slot is to be stopped while he waits.
    Public way: as ``claims_wrapped``; it is needed only there.
    Without it: Ctrl-C is acted upon when the next stage has begun.
    """
    return raise_execution_interrupts()


def max_concurrent_runs(instance: dg.DagsterInstance) -> int | None:
    """How many runs Dagster executes at once; None where nothing bounds them.

    Why: ``madvision pools`` says where it, and not a pool, is what bounds the videos.
    Public way: read ``concurrency.runs.max_concurrent_runs`` from ``dagster.yaml``.
    Without it: that command fails; nothing else does.
    """
    runs = instance.get_concurrency_config().run_queue_config
    return runs.max_concurrent_runs if runs and runs.max_concurrent_runs >= 0 else None


# --- runs ---


def end_as_failed(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str) -> None:
    """Call a run failed whose process is gone.

    Why: nobody watches a run that Dagster did not launch, nor a worker that hangs.
    Public way: GraphQL's ``terminateRun`` with ``MARK_AS_CANCELED_IMMEDIATELY``, which needs a webserver.
    Without it: such runs stay "started" for ever, and count as in flight.
    """
    instance.report_run_failed(run, why)


def tag_run(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run that is there already.

    Why: an operator filters runs by the cause of their failure, which nobody knows when they are launched.
    Public way: none; metadata of the failed step tell it too, and no page filters by those.
    Without it: runs are not tagged with their cause.
    """
    instance.add_run_tags(run_id, tags)


def end_worker(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Have the launcher end what it started for a run: on Kubernetes its Job, with the pods of its steps.

    Why: a worker that hangs does not hear that its run was given up, and its pods keep what they have, a GPU may be.
    It has to be done while the run still counts as under way.
    Public way: GraphQL's ``terminateRun``, which needs a webserver.
    Without it: such pods go at their ``activeDeadlineSeconds``, hours later.
    """
    return bool(instance.run_launcher.terminate(run_id))


def is_at_a_step(instance: dg.DagsterInstance, run_id: str, steps: Sequence[str]) -> bool:
    """Whether one of these steps is under way in a run, as far as Dagster heard; one that waits for a retry is not.

    Why: on Kubernetes only a step gives signs of life, so a run between two steps is silent and not lost.
    Public way: step events in ``get_event_records`` or GraphQL's ``stepStats``.
    Without it: runs that wait for their next try are taken for lost, and their videos done again.
    """
    stats = instance.get_run_step_stats(run_id, steps)
    return any(step.partial_attempt_start is not None for step in stats)


def failed_steps(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.DagsterEvent]:
    """The events of the steps of a run that failed, in their order.

    Why: what a run could not tell the queue is read back from them.
    Public way: ``fetch_run_status_changes`` gives ends of runs only; look for one like it for steps.
    Without it: every failure that the queue was not told counts as a lost worker, and the video is tried again.
    """
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        if event := entry.get_dagster_event():
            yield event


@dataclass(frozen=True)
class ToldFailure:
    """What a ``dagster.Failure`` said that left an asset: its description, and its metadata as plain values."""

    description: str
    metadata: Mapping[str, Any]


def told_failure(event: dg.DagsterEvent) -> ToldFailure | None:
    """What the event of a failed step, or of an asset that was not made, says of it; None where it says nothing.

    Why: cause, class and details of a failure go with Dagster's own into the event, and are wanted back.
    Public way: a public ``metadata`` on the event of a failed step.
    Without it: as ``failed_steps``; and ``madvision process`` ends without saying why.
    """
    if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
        told: Any = event.asset_observation_data.asset_observation
    else:
        told = event.step_failure_data.user_failure_data if event.is_step_failure else None
    if told is None:
        return None
    return ToldFailure(told.description or "", {name: entry.value for name, entry in told.metadata.items()})


def was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a signal ended a run of this process.

    Why: ``madvision process`` then ends with status 130 and "Stopped.", not with a failure.
    Public way: ``DagsterExecutionInterruptedError`` out of ``dg.materialize``, should it raise again.
    Without it: Ctrl-C looks like a failure of the stage under way.
    """
    ends = (e.job_failure_data for e in result.all_events if e.event_type is dg.DagsterEventType.PIPELINE_FAILURE)
    return any(end.failure_reason is not None and end.failure_reason.value == _TERMINATED for end in ends)


def check_results(result: dg.ExecuteInProcessResult) -> Sequence[dg.AssetCheckEvaluation]:
    """The results of the checks of a run of this process.

    Why: ``madvision process`` shows warnings, and which check failed.
    Public way: the ``event_specific_data`` of events of type ``ASSET_CHECK_EVALUATION``, if it becomes public.
    Without it: that command fails at its end.
    """
    return result.get_asset_check_evaluations()


def backfill_under_way(instance: dg.DagsterInstance) -> str | None:
    """ID of a backfill that has not ended; None where there is none.

    Why: a backfill may need any partition, so that none is archived meanwhile.
    Public way: a public ``get_backfills``, or GraphQL's ``partitionBackfillsOrError``.
    Without it: ``madvision archive`` fails; without the check, a backfill fails at partitions that are gone.
    """
    from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter, BulkActionStatus

    going = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
    found = instance.get_backfills(filters=BulkActionsFilter(statuses=going), limit=1)
    return found[0].backfill_id if found else None


def delete_partitions(instance: dg.DagsterInstance, definition: str, keys: Sequence[str]) -> None:
    """Delete dynamic partitions of a definition, at most a few hundred: it is one statement.

    Why: the public ``delete_dynamic_partition`` deletes a single one and connects for it anew: a minute for 10,000,
    where this takes a second.
    Public way: ``delete_dynamic_partition``, one by one, or one that takes several.
    Without it: ``madvision archive`` and ``forget`` fail.
    """
    from dagster._core.storage.event_log.schema import DynamicPartitionsTable as table  # noqa: N813 - it is one

    storage: Any = instance.event_log_storage
    ours = (table.c.partitions_def_name == definition, table.c.partition.in_(keys))
    with storage.index_connection() as connection:
        connection.execute(table.delete().where(*ours))


# --- the code server ---

# Those that a run loads besides ``import dagster``. A name that is gone only costs the time that it would have saved.
MODULES_OF_A_RUN = (
    "dagster._core.definitions.repository_definition.repository_data_builder",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.sqlite_storage",
    "dagster._grpc.server",
    "dagster_postgres",
)


def _servicer(processes: Any) -> type[Any]:
    """Dagster's code server with processes of another make, which looks after them for as long as it is there."""
    from dagster._grpc import server

    class Servicer(server.DagsterApiServer):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            if not hasattr(self, "_mp_ctx"):
                raise AttributeError("Dagster's code server makes its processes in another way by now")
            self._mp_ctx = processes

        def _check_for_orphaned_runs(self) -> None:
            try:
                super()._check_for_orphaned_runs()
            except Exception:  # whatever a database that is away raises; the runs are still on the list
                self._logger.warning("Runs that died could not be told of; they are looked at again.", exc_info=True)

    return Servicer


def run_code_server(arguments: Sequence[str], processes: Any) -> None:
    """Dagster's code server in this process, until SIGINT or SIGTERM.

    Args:
        arguments: those of ``dagster api grpc``.
        processes: the context of ``multiprocessing`` that the processes of runs are made by.

    Why: Dagster spawns a fresh interpreter for each run, most of the CPU of a video with short stages. And its
    thread that tells of runs whose process died ends for good where Dagster's database is away as it looks: runs that
    die afterwards stay "started", with their slots, and the server does not end when it is asked to.
    Public way: a setting of ``dagster api grpc`` or of the run launcher, as ``start_method`` of the multiprocess
    executor is one for steps.
    Without it: ``madvision code-server`` does not start; ``dagster api grpc`` does, and spawns its runs.
    """
    from dagster._cli.api import grpc_command
    from dagster._grpc import server

    server.DagsterApiServer = _servicer(processes)  # type: ignore[misc]  # the command looks it up there
    grpc_command.main(list(arguments), prog_name="dagster api grpc", standalone_mode=False)


# --- the daemon ---


def run_daemon(arguments: Sequence[str]) -> None:
    """Dagster's daemon in this process, until SIGINT or SIGTERM; its arguments are those of ``dagster-daemon run``.

    Why: whoever watches over its loops is to hang with it if it hangs.
    Public way: the command ``dagster-daemon run``, as a process of its own.
    Without it: ``madvision daemon`` does not start; ``dagster-daemon run`` does, unwatched.
    """
    from dagster._daemon.cli import run_command

    run_command.main(list(arguments), prog_name="dagster-daemon run", standalone_mode=False)


def daemon_beats(instance: dg.DagsterInstance) -> Mapping[str, float]:
    """The last sign of life of each loop that a daemon of this instance must have; 0 for one that gave none.

    Why: a loop that hangs in a daemon that lives shows nowhere else.
    Public way: the command ``dagster-daemon liveness-check``, or GraphQL's ``daemonHealth``; both go by the clock.
    Without it: a loop that hangs (runs are not started, lost ones not noticed) is not started again.
    """
    beats = instance.get_daemon_heartbeats()
    return {kind: beats[kind].timestamp if kind in beats else 0.0 for kind in instance.get_required_daemon_types()}


def _sensor_states(instance: dg.DagsterInstance) -> Iterator[Any]:
    from dagster._core.definitions.run_request import InstigatorType

    states = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    return (state for state in states if state.is_running and state.instigator_data is not None)


def sensor_ticks(instance: dg.DagsterInstance) -> Mapping[str, float]:
    """When the last tick of each sensor that is on began, by its name; 0 for one that has not ticked yet.

    Why: the loop of the sensors goes on, and its sign of life with it, while a single tick hangs for ever.
    Public way: GraphQL's ``sensorOrError`` with its ``sensorState.ticks``.
    Without it: a sensor that hangs in the daemon stands still until somebody starts the daemon again.
    """
    ticks: dict[str, float] = {}
    for state in _sensor_states(instance):  # several of a name, where its code was once found at another place
        began_s = state.instigator_data.last_tick_start_timestamp or 0.0
        ticks[state.instigator_name] = max(began_s, ticks.get(state.instigator_name, 0.0))
    return ticks


def put_ticks_right(instance: dg.DagsterInstance, now_s: float) -> list[str]:
    """Let no sensor's last tick lie in the future, that is, after ``now_s``; the names of those that did.

    Why: a sensor is asked again so long after its last tick, by the clock. One that went ahead and was set right stops
    every sensor for as long as it was ahead, and across restarts, for the times are in the instance's database.
    Public way: none; see whether ``is_under_min_interval`` of the sensor daemon takes times in the future for due.
    Without it: after such a clock nothing is processed for as long, unless the cursors of all sensors are reset.
    """
    mended = []
    for state in _sensor_states(instance):
        data = state.instigator_data
        times = {name: getattr(data, name) for name in ("last_tick_timestamp", "last_tick_start_timestamp")}
        ahead = {name: now_s for name, time_s in times.items() if time_s is not None and time_s > now_s}
        if ahead:
            instance.update_instigator_state(state.with_data(data._replace(**ahead)))
            mended.append(state.instigator_name)
    return mended


# --- steps in pods ---


def lost_at_second_look(executor: dg.Executor) -> dg.Executor:
    """Have the executor of dagster-k8s call a step lost only when it finds it so twice, twenty seconds apart.

    Why: a pod that is taken away counts as failed from that moment, while its process may yet say for itself that the
    step is to be tried again. Both then ask for a retry: two pods, each on a GPU, or a run that ends of a KeyError.
    Public way: none; to look for is a fix of dagster's ``StepDelegatingExecutor``, which handles both events.
    Without it: now and then a preempted stage is begun twice.
    """
    handler: Any = vars(executor)["_step_handler"]
    look = handler.check_step_health
    seen: set[str] = set()

    def look_twice(context: Any) -> Any:
        health = look(context)
        reason = health.unhealthy_reason
        if health.is_healthy or reason in seen:
            return health
        seen.add(reason)  # it names the Job, and each try has its own
        return type(health).healthy()

    handler.check_step_health = look_twice
    return executor


# --- a step, from inside ---


def step_of(context: Context) -> dg.StepExecutionContext:
    """The step that a context belongs to.

    Why: inputs and outputs have no public way to their run; and ``retried_elsewhere`` asks it.
    Public way: ``context.run`` of ``AssetExecutionContext``; look for one on ``OutputContext`` and ``InputContext``.
    Without it: no document can be published.
    """
    return (
        context.get_step_execution_context() if isinstance(context, dg.AssetExecutionContext) else context.step_context
    )


def run_of(step: dg.StepExecutionContext) -> dg.DagsterRun:
    """The run that a step belongs to.

    Why: the queue knows a stage by its run and the run's tags.
    Public way: as ``step_of``.
    Without it: as ``step_of``.
    """
    return step.dagster_run


def assets_of_run(step: dg.StepExecutionContext) -> set[str]:
    """Names of the assets that the step's run makes.

    Why: after the last of them the queue is told that the run ends.
    Public way: ``asset_selection`` of the run, which a run of the whole job leaves empty.
    Without it: no document can be published.
    """
    return {key.to_user_string() for key in step.job_def.asset_layer.executable_asset_keys}


def retried_elsewhere(step: dg.StepExecutionContext) -> bool:
    """Whether another process than this one retries the step, as on Kubernetes.

    Why: a step that is told to stop is then begun again in another pod, while here it would be, in the very process
    that was told to stop.
    Public way: the executor's name, or a setting of ours handed down.
    Without it: no stage runs.
    """
    return step.retry_mode.deferred


def named_result(result: dg.AssetCheckResult, name: str) -> dg.AssetCheckResult:
    """The result of a check, with the name of its check.

    Why: where an asset has several checks each result must name its own, and ours are named once, where declared.
    Inside, a result is a named tuple.
    Public way: a new ``AssetCheckResult`` of the public fields of the old one.
    Without it: no stage that has a check can end.
    """
    return result._replace(check_name=name)
