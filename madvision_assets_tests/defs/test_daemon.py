"""Claims about the daemon's watch over itself: what it takes for hung, and what it does about a clock."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.connections import make_database
from madvision_assets.defs import daemon, dagster_inside, sensors
from madvision_assets.defs.daemon import LOOP_LOOKS, SENSOR_LOOKS, Watch
from madvision_assets.domain import health
from madvision_assets.tools.database.figures import Figures
from madvision_assets.work.clock import SLACK_S, Clock
from madvision_assets_tests.harness import Harness, open_harness

Signs = dict[str, float]


class Daemon:
    """What a daemon notes of itself, and its code server, as the watch sees them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loops: Signs = {"SENSOR": 1.0, "MONITORING": 1.0}
        self.sensors: Signs = {"queue_sensor": 1.0, "webhook_sensor": 1.0, "of an older version": 1.0}
        self.code_server: str | None = None
        self.is_away = False
        self.wall_s = self.steady_s = 1000.0
        monkeypatch.setattr(dagster_inside, "daemon_beats", lambda _: self._noted(self.loops))
        monkeypatch.setattr(dagster_inside, "sensor_ticks", lambda _: self._noted(self.sensors))
        clock = Clock(lambda: self.wall_s, lambda: self.steady_s)
        self.watch = Watch(dg.DagsterInstance.ephemeral(), clock, lambda: self.code_server)

    def _noted(self, signs: Signs) -> Mapping[str, float]:
        if self.is_away:
            raise ConnectionError("the database is away")
        return dict(signs)

    def looks(self, count: int, *hung: str) -> str | None:
        """So many looks, while everything goes on but what hangs."""
        for _ in range(count):
            for signs in (self.loops, self.sensors):
                for name in signs.keys() - {*hung, "of an older version"}:
                    signs[name] += 1
            self.watch.look()
        return self.watch.complaint()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    return Daemon(monkeypatch)


def test_a_daemon_at_work_is_let_alone_whatever_older_versions_left(watched: Daemon) -> None:
    assert watched.looks(3 * SENSOR_LOOKS) is None


def test_a_loop_without_a_sign_of_life_is_told(watched: Daemon) -> None:
    watched.looks(5)

    assert watched.looks(LOOP_LOOKS - 1, "MONITORING") is None
    told = watched.looks(1, "MONITORING")
    assert told is not None
    assert "MONITORING" in told
    assert "SENSOR" not in told


def test_a_sensor_that_hangs_is_told_though_its_loop_goes_on(watched: Daemon) -> None:
    watched.looks(5)

    assert watched.looks(SENSOR_LOOKS - 1, "queue_sensor") is None
    told = watched.looks(1, "queue_sensor")
    assert told is not None
    assert "queue_sensor" in told
    assert "webhook_sensor" not in told


def test_a_code_server_that_is_away_is_not_the_daemons_fault(watched: Daemon) -> None:
    watched.looks(5)
    watched.code_server = "gives no answer"

    assert watched.looks(3 * SENSOR_LOOKS, *watched.sensors) is None
    watched.code_server = None  # it is back, and the daemon has to find that out
    assert watched.looks(SENSOR_LOOKS - 1, *watched.sensors) is None
    assert watched.looks(1, *watched.sensors) is not None


def test_a_database_that_is_away_is_not_the_daemons_fault(watched: Daemon) -> None:
    watched.looks(5)
    watched.looks(SENSOR_LOOKS, "queue_sensor", "MONITORING")
    watched.is_away = True

    assert watched.looks(3 * LOOP_LOOKS) is None


def test_a_daemon_that_cannot_even_look_is_told(watched: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.looks(1)
    monkeypatch.setattr(daemon, "STUCK_S", -1.0)

    assert "neither answers nor refuses" in str(watched.watch.complaint())


@pytest.mark.parametrize(
    ("steps_s", "set_back"),
    [
        ((3600.0, -3600.0), True),
        ((-3600.0,), True),
        ((3600.0,), False),  # as after a machine that was suspended
        ((-SLACK_S + 0.1,), False),
        ((-3.0, -3.0), True),
    ],
)
def test_only_a_clock_that_was_set_back_makes_the_daemon_begin_anew(
    watched: Daemon, steps_s: tuple[float, ...], set_back: bool
) -> None:
    for step_s in steps_s:
        watched.wall_s += step_s
        watched.wall_s += 5.0
        watched.steady_s += 5.0
        watched.watch.look()

    assert watched.watch.clock_was_set_back is set_back


# --- sensors ---


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        yield made


def test_every_sensor_that_works_at_every_tick_shows_life_when_it_has_done_its_work(harness: Harness) -> None:
    given, database = harness.resources(), make_database(harness.settings)
    assert Figures(database).beats() == {}

    harness.ask()
    used = {name: given[name] for name in ("reconciler", "runtime", "database")}
    with dg.build_sensor_context(harness.instance, resources=used) as context:
        sensors.queue_reconciler(context)
    sensors.webhook_sensor(webhooks=given["webhooks"], database=database)
    keep_house(harness)

    assert Figures(database).beats().keys() == {sensor.name for sensor in health.SENSORS}


def keep_house(harness: Harness, **others: object) -> str:
    """A tick of the housekeeping, with some resources replaced; what it tells."""
    given = {name: harness.resources()[name] for name in sensors.housekeeping.required_resource_keys} | others
    with dg.build_sensor_context(harness.instance) as context:
        answer = sensors.housekeeping(context, **given)
    skip = answer.skip_reason if isinstance(answer, dg.SensorResult) else answer
    assert isinstance(skip, dg.SkipReason)
    return str(skip.skip_message)


@pytest.mark.parametrize("broken", ["quotas", "upgrader", "withdrawn_sweeper", "housekeeper"])
def test_a_part_of_the_housekeeping_that_fails_holds_up_no_other_and_is_noticed(harness: Harness, broken: str) -> None:
    class Broken:
        def sweep(self, *_: object) -> None:
            raise ConnectionError("out of luck")

        upgrade = sweep

    done: list[str] = []

    class Noted:
        def sweep(self, *_: object) -> int:
            done.append("uploads")
            return 1

        def go_on(self) -> None:
            done.append("search")

    told = keep_house(harness, upload_sweeper=Noted(), indexer=Noted(), **{broken: Broken()})

    assert done == ["search", "uploads"]
    assert "ConnectionError: out of luck" in told
    assert Figures(make_database(harness.settings)).beats() == {}


def test_a_sensor_that_fails_at_its_work_shows_no_life(harness: Harness) -> None:
    class Broken:
        def launches(self) -> None:
            raise ConnectionError

    database = make_database(harness.settings)
    with pytest.raises(ConnectionError):
        sensors.queue_sensor(dispatcher=Broken(), database=database)

    assert Figures(database).beats() == {}
