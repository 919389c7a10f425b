"""Claims about who may reach and read what, by the rendered manifests and compose.yaml; docs/reach.md tells it."""

import ipaddress
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from keys import DAGSTER, DAGSTERS_SECRET, PARTS, SITES_READER, SITES_SECRET
from reach import DOCUMENT, OVERLAYS, Overlay, Part, compose, document, read_overlay, secrets_of_service

from madvision_assets.domain import networks
from madvision_assets.domain.stages import PipelineStep, Reach
from madvision_assets_tests.deployments.test_kubernetes_manifests import KUBERNETES, NEEDS_KUBECTL

pytestmark = pytest.mark.whole

# The database and the store of Supabase have public addresses, which change.
PRIVATE = sorted({*OVERLAYS} - {"supabase"})
PUBLIC = ("8.8.8.8", "198.41.0.4", "2606:4700:4700::1111")
PORTS = (22, 53, 80, 443, 3000, 4266, 5432, 6443, 8000, 9000, 10250)
# Somebody else's in the same private network, a node, and what nobody should ask.
STRANGERS = ("10.0.0.1", "10.0.0.12", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1")
SERVICES = compose()["services"]
NETWORKS = compose()["networks"]
# The services whose parts are ours; runs are processes of the code server.
RUNS_HERE = ("code-server", "code-server-gpu")
OURS = {name: PARTS[name] for name in ("intake", "consumer", "daemon", "webserver", "migrate", "backup")}
# What decodes or downloads what strangers send, or answers strangers.
FRONT = {"intake", "consumer", "proxy"}


@cache
def of(name: str) -> Overlay:
    """An overlay."""
    return read_overlay(name)


def stages(overlay: Overlay, reach: Reach) -> list[Part]:
    """The stages that reach so far, by their rows."""
    names = {step.part for step in PipelineStep if step.stage.needs.reach is reach}
    return [part for part in overlay.parts if part.name in names]


def not_public() -> Iterator[str]:
    """The first address of every network that is not of the public internet, and the clouds' metadata."""
    tables = (networks.METADATA, networks.NO_HOST, networks.NOT_PUBLIC_V4, networks.NOT_PUBLIC_V6)
    for network in (each for table in tables for each in table):
        yield str(network[1] if network.num_addresses > 1 else network[0])
    yield from ("169.254.169.254", "fd00:ec2::254", "fc00::1", "::1")


@NEEDS_KUBECTL
def test_the_document_says_what_the_manifests_say() -> None:
    assert DOCUMENT.read_text() == document(), "make reach writes it anew"


@NEEDS_KUBECTL
def test_every_overlay_is_told_of() -> None:
    assert set(OVERLAYS) == {path.name for path in (KUBERNETES / "overlays").iterdir()}


# --- Kubernetes: who may reach what ---


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_is_allowed_that_is_not_written_down(name: str) -> None:
    deny = of(name).of_kind("NetworkPolicy")["default-deny"]["spec"]

    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for part in of(name).parts:
        for policy in of(name).policies_of(part).values():
            assert all(rule["to"] for rule in policy["spec"]["egress"]), "a rule without peers opens everything"


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", OVERLAYS)
def test_a_stage_that_decodes_reaches_database_store_and_names_and_nothing_else(name: str) -> None:
    overlay = of(name)
    decoding = stages(overlay, Reach.NOTHING)

    assert {part.name for part in decoding} == {"transcript", "clips"}
    for part in decoding:
        assert set(overlay.policies_of(part)) == {"dns", "database", "store"}


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", PRIVATE)
def test_a_stage_that_decodes_has_no_internet(name: str) -> None:
    overlay = of(name)
    for part in stages(overlay, Reach.NOTHING):
        assert [(a, p) for a in PUBLIC for p in PORTS if overlay.reaches(part, a, p)] == [], part.name


@NEEDS_KUBECTL
def test_where_database_and_store_are_public_everybody_reaches_their_ports_and_no_other() -> None:
    overlay = of("supabase")
    for part in stages(overlay, Reach.NOTHING):
        assert {p for a in PUBLIC for p in PORTS if overlay.reaches(part, a, p)} == {443, 5432}


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", OVERLAYS)
def test_a_download_reaches_the_internet_on_any_port(name: str) -> None:
    (download,) = stages(of(name), Reach.INTERNET)

    assert download.name == "raw-video"
    assert all(of(name).reaches(download, address, port) for address in PUBLIC for port in PORTS)


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", ["self-hosted", "supabase", "helm"])
@pytest.mark.parametrize("reach", list(Reach))
def test_a_stage_reaches_nothing_private_but_database_and_store(name: str, reach: Reach) -> None:
    overlay = of(name)
    for part in stages(overlay, reach):
        assert [(a, p) for a in {*STRANGERS, *not_public()} for p in PORTS if overlay.reaches(part, a, p)] == []


@NEEDS_KUBECTL
@pytest.mark.parametrize("reach", list(Reach))
def test_on_aws_a_stage_reaches_the_private_subnets_on_the_ports_of_database_and_store_alone(reach: Reach) -> None:
    overlay, subnets = of("aws"), ipaddress.ip_network("10.20.128.0/17")
    for part in stages(overlay, reach):
        asked = {*STRANGERS, *not_public(), "10.20.1.1", "10.20.129.1", "10.20.200.1"}
        reached = {(a, p) for a in asked for p in PORTS if overlay.reaches(part, a, p)}
        assert {p for _, p in reached} == {443, 5432}
        assert all(ipaddress.ip_address(a) in subnets for a, _ in reached)


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", PRIVATE)
def test_a_stage_that_asks_the_analyst_reaches_the_internet_by_https_alone(name: str) -> None:
    asking = stages(of(name), Reach.ANALYST)

    assert {part.name for part in asking} == {"content-type", "clip-candidates"}
    for part in asking:
        assert {p for a in PUBLIC for p in PORTS if of(name).reaches(part, a, p)} == {443}


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", PRIVATE)
def test_of_the_standing_parts_only_the_code_server_and_an_inbox_outside_reach_the_internet(name: str) -> None:
    overlay = of(name)
    standing = [part for part in overlay.parts if part.name not in {step.part for step in PipelineStep}]

    outward = {part.name for part in standing if any(overlay.reaches(part, a, p) for a in PUBLIC for p in PORTS)}

    assert outward == {"code-server"} | ({"consumer"} & {part.name for part in standing})


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", OVERLAYS)
def test_nobody_reaches_the_metadata_of_a_cloud(name: str) -> None:
    for part in of(name).parts:
        for metadata in ("169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254"):
            assert not any(of(name).reaches(part, metadata, port) for port in PORTS), (part.name, metadata)


# --- Kubernetes: who may read what, and who may make Jobs ---


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_part_reads_its_own_secret_and_the_password_of_dagsters_database_where_it_needs_that(name: str) -> None:
    for part in of(name).parts:
        reads = PARTS.get(part.name, frozenset())
        own = {f"madvision-{part.name}"} if reads else set()
        own |= {SITES_SECRET} if part.name == SITES_READER else set()
        assert part.secrets == own | ({DAGSTERS_SECRET} if reads & DAGSTER else set()), part.name
        assert set(part.reads) == reads


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", OVERLAYS)
def test_who_meets_what_strangers_made_has_no_token_and_an_account_without_rights(name: str) -> None:
    overlay = of(name)
    accounts = {subject["name"] for b in overlay.of_kind("RoleBinding").values() for subject in b["subjects"]}
    strangers = {"intake", "consumer", *(step.part for step in PipelineStep)}
    for part in (each for each in overlay.parts if each.name in strangers):
        assert not part.token, part.name
        assert part.account not in accounts
        assert overlay.rights_of(part) == []


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", sorted({*OVERLAYS} - {"helm"}))
def test_jobs_are_made_by_the_daemon_and_by_runs_alone(name: str) -> None:
    making = {part.name for part in of(name).parts if "create jobs" in (of(name).rights_of(part) or ())}

    assert making == {"daemon", "run"}
    assert {part.account for part in of(name).parts if part.name in making} == {"madvision-daemon", "madvision-run"}


@NEEDS_KUBECTL
def test_with_dagsters_chart_jobs_are_made_by_an_account_that_no_stage_has() -> None:
    by_chart = {part.account for part in of("helm").parts if of("helm").rights_of(part) is None}
    of_stages = {part.account for reach in Reach for part in stages(of("helm"), reach)}

    assert {part.name for part in of("helm").parts if part.account in by_chart} == {
        "run",
        "daemon",
        "webserver",
        "code-server",
    }
    assert by_chart & of_stages == set()


# --- one server ---


def meets(service: str) -> set[str]:
    """Whom a service can connect to: all who are in one of its networks."""
    mine = set(SERVICES[service]["networks"])
    return {name for name, each in SERVICES.items() if mine & set(each["networks"])} - {service}


def leads_out(network: str) -> bool:
    """Whether a network does not end on this server, as long as database, store and inbox are here."""
    return not (NETWORKS[network] or {}).get("internal")


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_the_secrets_that_its_part_reads_and_no_other(name: str) -> None:
    read = {each for each in secrets_of_service(SERVICES[name]) if each != "BACKUP_S3_ENV"}

    assert read == OURS[name] - {"AWS_SESSION_TOKEN"}


@pytest.mark.parametrize("name", RUNS_HERE)
def test_the_code_server_has_what_it_and_its_runs_read_and_nothing_of_the_intakes(name: str) -> None:
    needed = PARTS["code-server"].union(*(PARTS[step.part] for step in PipelineStep)) - {"AWS_SESSION_TOKEN"}

    assert set(secrets_of_service(SERVICES[name])) == needed
    assert "MADVISION_INTERNAL_KEY" not in needed


def test_what_answers_strangers_meets_the_database_and_the_store_and_nobody_of_the_pipeline() -> None:
    assert meets("intake") == {"postgres", "store", "proxy", "consumer"}
    assert meets("consumer") == {"postgres", "store", "proxy", "intake", "rabbitmq"}
    assert meets("proxy") & {"postgres", "code-server", "code-server-gpu", "daemon"} == set()


def test_the_dagster_ui_which_asks_nobody_is_met_by_the_proxy_and_the_pipeline_alone() -> None:
    assert {name for name in SERVICES if "webserver" in meets(name)} & FRONT == {"proxy"}


def test_only_what_downloads_backs_up_or_takes_requests_leads_out() -> None:
    outward = {name for name, each in SERVICES.items() if any(leads_out(network) for network in each["networks"])}

    assert outward == {"proxy", "backup", *RUNS_HERE}


def test_the_password_of_dagsters_database_opens_no_other() -> None:
    given: dict[str, Any] = {name: SERVICES[name]["environment"] for name in ("daemon", "intake")}

    assert "${DAGSTER_DATABASE_PASSWORD" in given["daemon"]["DAGSTER_PG_PASSWORD"]
    assert "${DATABASE_PASSWORD" in given["intake"]["MADVISION_DATABASE_URL"]
