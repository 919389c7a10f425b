"""Claims about ``deployments/monitoring``: its rules and its dashboard ask for nothing that is not told."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from madvision_assets.domain.failures import ApiKeyInvalidError, CancelledError, Resource, WithdrawnError
from madvision_assets.domain.paying import Came, Planned
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.queue import Queue
from madvision_assets.work.ledger import Ledger
from madvision_assets_tests import stores
from madvision_assets_tests.intake.serving import serving, settings_in

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deployments" / "monitoring"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = DASHBOARD["panels"]
ALERTS = {rule["alert"]: rule["expr"] for rule in RULES}
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}
EXPRESSIONS = {**ALERTS, **QUERIES}
LIMIT_S = 120


@dataclass(frozen=True)
class Told:
    """What an intake tells: the labels of each metric, and its routes."""

    labels: dict[str, set[str]]
    routes: set[str]

    def knows(self, matcher: promql_parser.Matcher) -> bool:
        """Whether a value that a label is compared with, or a part of an alternative, can occur."""
        values = {
            "status": {*map(str, QueueStatus), "5.."},
            "pipeline_step": set(map(str, PipelineStep)),
            "name": {*map(str, Resource), f"{Resource.HOST}:.+"},
            "route": self.routes,
            "cause": {CancelledError.code, WithdrawnError.code},
        }
        return set(matcher.value.split("|")) <= values[matcher.name]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The figures of an intake that has something to tell of everything."""
    with serving(settings_in(tmp_path_factory.mktemp("monitoring"))) as intake:
        database, queue = intake.services.database, Queue(intake.services.database)
        intake.submit("https://media.example.org/queued.mp4")
        video_id = intake.submit("https://media.example.org/waiting.mp4")["video_id"]
        queue.begin(video_id, "run-1", None, PipelineStep.CONTENT_TYPE)
        queue.fail(video_id, "run-1", None, PipelineStep.CONTENT_TYPE, ApiKeyInvalidError())
        made = stores.raw_video()
        database.add_video(made.video_id, "http://x.example/")
        database.add_lineage(made, "file:///x")
        call = Planned("web-1", "content_type", "gpt-4o", "classify-2", worst_usd=0.5, lasts_s=60)
        ledger = Ledger(database)
        ledger.settle(ledger.reserve(call), Came(cost_usd=0.25))
        families = list(text_string_to_metric_families(intake.client.get("/metrics").text))
        routes = {*intake.client.get("/openapi.json").json()["paths"]}
    labels: dict[str, set[str]] = {}
    for sample in (sample for family in families for sample in family.samples):
        labels.setdefault(sample.name, set()).update(sample.labels)
    return Told(labels, routes)


@cache
def nodes(expression: str) -> tuple[Any, ...]:
    """Everything that an expression consists of."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), pre_visit=found.append)
    return tuple(found)


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Each metric that it asks for."""
    return [node for node in nodes(expression) if isinstance(node, promql_parser.VectorSelector)]


def grouped_by(expression: str) -> set[str]:
    """Every label that it groups by."""
    grouping = [node.modifier for node in nodes(expression) if isinstance(node, promql_parser.AggregateExpr)]
    return {label for modifier in grouping if modifier for label in modifier.labels}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_an_expression_asks_for_is_told(told: Told, name: str) -> None:
    asked = selectors(EXPRESSIONS[name])

    assert len(asked) == EXPRESSIONS[name].count("madvision_") > 0
    for selector in asked:
        assert selector.name in told.labels
        assert {matcher.name for matcher in selector.matchers.matchers} <= told.labels[selector.name]
        assert all(told.knows(matcher) for matcher in selector.matchers.matchers), str(selector)
    assert grouped_by(EXPRESSIONS[name]) <= set().union(*(told.labels[str(each.name)] for each in asked))


def test_everything_that_is_told_of_the_tables_is_shown(told: Told) -> None:
    shown = {str(selector.name) for expression in QUERIES.values() for selector in selectors(expression)}
    families = {name for name in told.labels if not name.endswith(("_created", "_bucket", "_sum", "_count"))}

    assert families - shown == set()


@pytest.mark.parametrize("name", ["rate", "increase"])
def test_counts_that_fall_when_a_video_is_forgotten_are_taken_for_no_counters(name: str) -> None:
    of_requests = [query for query in EXPRESSIONS.values() if f"{name}(" in query]

    assert [query for query in of_requests if any("_http_" not in str(each.name) for each in selectors(query))] == []


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_an_alert_says_what_is_wrong_and_where_to_read_on(rule: dict[str, Any]) -> None:
    summary, link = rule["annotations"]["summary"], rule["annotations"]["runbook_url"]
    path, _, anchor = link.partition("#")

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert summary.endswith(".")
    assert set(re.findall(r"\$labels\.(\w+)", summary)) <= grouped_by(rule["expr"])
    assert anchor in headings(ROOT / path)


def headings(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_panels_have_names_of_their_own_and_do_not_lie_upon_one_another() -> None:
    places = [panel["gridPos"] for panel in PANELS]

    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = [one[at] + one[size] <= other[at] or other[at] + other[size] <= one[at] for at, size in ("xw", "yh")]
        assert any(apart), (one, other)


def test_panels_ask_the_source_that_the_dashboard_lets_one_choose() -> None:
    (variable,) = DASHBOARD["templating"]["list"]

    assert {panel["datasource"]["uid"] for panel in PANELS} == {f"${{{variable['name']}}}"}
    assert variable["type"] == "datasource"


def test_each_alert_is_brought_about_in_the_rules_own_tests() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    samples = [
        sample for test in tests for asked in test["promql_expr_test"] for sample in asked.get("exp_samples", ())
    ]

    assert sorted(re.findall(r'alertname="(\w+)"', str(samples))) == sorted(ALERTS)


@pytest.mark.parametrize(
    "command",
    [("check", "rules", "alerts.yaml"), ("check", "config", "prometheus.yaml"), ("test", "rules", "alerts_test.yaml")],
    ids=" ".join,
)
def test_promtool_has_nothing_against_them(command: tuple[str, ...]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; as root, .ci/servers installs it (Debian's package prometheus)")

    done = subprocess.run(
        ["promtool", *command], cwd=FOLDER, check=False, capture_output=True, text=True, timeout=LIMIT_S
    )

    assert done.returncode == 0, done.stdout + done.stderr
