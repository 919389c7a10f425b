"""One server at work: the commands, environments and files of compose.yaml, without containers around them.

PostgreSQL, S3 and Caddy are real; only addresses and folders are other ones than in the containers.
"""

import base64
import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]
from parts import has_loaded, site
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from system import MODEL, SAMPLE, launch, listens, stop, wait_until

from madvision_assets.connections import make_store
from madvision_assets.domain.clips import Outcome
from madvision_assets_tests.intake.conftest import INTERNAL_KEY
from madvision_assets_tests.intake.serving import serving, settings_in
from madvision_assets_tests.intake.video_states import Shown, VideoStates
from madvision_assets_tests.real_servers import S3Server, free_port, over_tcp, postgres, postgres_programs
from madvision_assets_tests.site import Site
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

FOLDER = Path(__file__).resolve().parents[2] / "deployments" / "compose"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
PARTS = ("code-server", "daemon", "webserver", "intake")
PASSWORD = "0123456789abcdef"
DAGSTER_PASSWORD = "fedcba9876543210"
PASSWORD_HASH = "$2a$14$bPmuET6.7grmSoxfOFO9MOVtbv5WEVmsg1qzHw.XZjp/wVMNr7v7a"  # of that, by caddy hash-password
LIMIT_S = 180
TALK_LIMIT_S = 480
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?+])((?:[^{}$]|\$\{[^}]*\})*))?\}")


def filled(template: str, variables: Mapping[str, str]) -> str:
    """A value as Compose fills it in."""

    def fill(found: re.Match[str]) -> str:
        name, rule, other = found.groups()
        value = variables.get(name, "")
        if rule == ":+":
            return filled(other, variables) if value else ""
        assert value or rule != ":?", f"{name}: {other}"
        return value or (filled(other, variables) if rule == ":-" else "")

    return VARIABLE.sub(fill, template)


def files_of(service: str) -> dict[str, str]:
    """Files of ours that a service mounts, by their path in the container."""
    mounts = [mount.split(":") for mount in SERVICES[service].get("volumes", []) if mount.startswith("./")]
    return {
        f"{there}/{file.relative_to(FOLDER / here)}": str(file)
        for here, there, *_ in mounts
        for file in (FOLDER / here).rglob("*")
    }


@dataclass(frozen=True)
class Server:
    """One server, without its containers.

    Attributes:
        home: what the containers have at /opt/dagster/dagster_home.
        variables: what stands in .env.
        ports: of the parts, by their port in the containers.
    """

    home: Path
    variables: dict[str, str]
    ports: dict[str, str] = field(
        default_factory=lambda: {port: str(free_port()) for port in ("3000", "4266", "4267", "8000")}
    )

    def environment(self, service: str, **extra: str) -> dict[str, str]:
        """What a service has in its environment, and no other variable of ours."""
        given = SERVICES[service].get("environment", {})
        mounted = files_of(service)
        asked = {name: mounted.get(value := filled(str(given[name]), self.variables), value) for name in given}
        path = f"{Path(sys.executable).parent}:{postgres_programs()}:{os.environ['PATH']}"
        image = {"PATH": path, "HOME": str(self.home.parent), "MADVISION_HOME": str(self.home.parent / "work")}
        return {**image, "DAGSTER_HOME": str(self.home), "PYTHONUNBUFFERED": "1", **asked, **extra}

    def here(self, words: list[str]) -> list[str]:
        """A command of the containers, with our addresses, folders and ports."""
        places = {
            "/opt/dagster/dagster_home": str(self.home),
            "/srv": str(FOLDER),
            "/tmp/at-work": str(self.home.parent / "at-work"),
            "0.0.0.0": "127.0.0.1",
        }
        changed = [filled(word, self.variables) for word in words]
        for there, place in {**places, **self.ports}.items():
            changed = [word.replace(there, place) for word in changed]
        return changed

    def run(self, service: str, command: list[str] | None = None) -> str:
        """Run a one-shot service, or another command in its place, to its end; what it printed."""
        done = subprocess.run(
            command or self.here(SERVICES[service]["command"]),
            cwd=self.home.parent,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, service: str, code: str) -> str:
        """Run Python code in place of a service; what it printed."""
        return self.run(service, [sys.executable, "-c", code])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Server]:
    """Databases as databases.sh makes them, and a store."""
    folder = tmp_path_factory.mktemp("server")
    home = folder / "dagster_home"
    home.mkdir()
    with postgres(folder) as url:
        there = make_url(over_tcp(url))
        variables = {
            "POSTGRES_PASSWORD": str(there.password),
            "DATABASE_PASSWORD": PASSWORD,
            "DAGSTER_DATABASE_PASSWORD": DAGSTER_PASSWORD,
            "MADVISION_DATABASE_URL": f"postgresql+psycopg2://madvision:{PASSWORD}@127.0.0.1:{there.port}/madvision",
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(there.port),
            "STORE_HOST": s3_server.endpoint_url.removeprefix("http://"),
            "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
            "BUCKET": "one-server",
            "INTAKE_HOST": "localhost",
            "DAGSTER_HOST": "dagster.localhost",
        }
        made = Server(home, variables)
        superuser = {"PGHOST": "127.0.0.1", "PGPORT": str(there.port), "PGPASSWORD": str(there.password)}
        subprocess.run(
            [FOLDER / "databases.sh"], env=made.environment("postgres", **superuser), check=True, timeout=LIMIT_S
        )
        scratch = folder / "tmp"  # a container's /tmp is its own, too
        (home / "dagster.yaml").write_text((FOLDER / "dagster.yaml").read_text().replace("/tmp", str(scratch)))
        workspace = (FOLDER / "workspace.yaml").read_text()
        (home / "workspace.yaml").write_text(
            workspace.replace("host: code-server", "host: 127.0.0.1").replace("4266", made.ports["4266"])
        )
        yield made


def on(s3: S3Server) -> dict[str, str]:
    """Settings that lead to the store."""
    return {
        "aws_endpoint_url_s3": s3.endpoint_url,
        "aws_region": s3.region,
        "aws_access_key_id": s3.access_key_id,
        "aws_secret_access_key": s3.secret_access_key,
    }


def test_each_database_belongs_to_a_role_of_its_own_without_special_rights(server: Server) -> None:
    ours = make_url(server.variables["MADVISION_DATABASE_URL"])
    dagsters = ours.set(username="dagster", password=DAGSTER_PASSWORD, database="dagster")
    for url, other in ((ours, dagsters), (dagsters, ours)):
        with pytest.raises(OperationalError, match="permission denied for database"):
            create_engine(url.set(database=other.database)).connect()
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE mine (id int)"))
            connection.rollback()
            rights = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
            assert connection.execute(text(rights)).scalar() is False
        engine.dispose()


def test_dagster_keeps_everything_in_postgresql_and_s3(server: Server, s3_server: S3Server) -> None:
    code = (
        "import dagster as dg\n"
        "with dg.DagsterInstance.get() as instance:\n"
        "    with instance.compute_log_manager.capture_logs(['a', 'compute_logs', 'step']): print('told')\n"
        "    print(type(instance.event_log_storage).__name__, type(instance.run_launcher).__name__)"
    )

    for service in ("bucket", "migrate") * 2:  # an upgrade runs them again
        server.run(service)
    told = server.python("webserver", code)

    assert told.splitlines()[-1] == "PostgresEventLogStorage DefaultRunLauncher"
    logs = make_store(settings_in(server.home, store_url="s3://one-server/dagster", **on(s3_server)))
    assert logs.get_bytes("storage/a/compute_logs/step.out") == b"told\n"
    # It is mounted read-only.
    assert {path.name for path in server.home.iterdir()} == {"dagster.yaml", "workspace.yaml"}


@pytest.mark.long
@pytest.mark.timeout(TALK_LIMIT_S + 2 * LIMIT_S)
def test_a_talk_becomes_clips(server: Server) -> None:
    """Every part runs as compose.yaml starts it; the sample talk goes from its address to its clips."""
    allowed = {"MADVISION_WHISPER_MODEL": MODEL, "MADVISION_ALLOW_PRIVATE": "1"}
    for service in ("bucket", "migrate"):
        server.run(service)
    with ExitStack() as running, site(SAMPLE.parent) as sample:
        for service in PARTS:
            arguments = server.here(SERVICES[service]["command"])
            part = launch(service, arguments, server.environment(service, **allowed), server.home.parent / "logs")
            running.callback(stop, part)
            if service != "daemon":
                port = next(int(word) for word in arguments if word in server.ports.values())
                wait_until(partial(listens, port), "its port", part)
        intake = httpx.Client(base_url=f"http://127.0.0.1:{server.ports['8000']}", timeout=LIMIT_S)
        running.callback(intake.close)
        receipt = intake.post("/public/video", json={"url": f"{sample}/{SAMPLE.name}"}).json()

        def ended() -> dict[str, Any]:
            status = dict(intake.get("/public/video/status", params={"token": receipt["token"]}).json())
            return status if status["status"] in {"done", "failed"} else {}

        status = wait_for(ended, TALK_LIMIT_S, "the talk's end")

        assert (status["status"], status["failure_details"]) == ("done", None)
        assert status["clips"]
        assert has_loaded(f"http://127.0.0.1:{server.ports['3000']}")
        assert intake.get("/readyz").json()["status"] == "ready"
        for service in PARTS:
            kind, *words = SERVICES[service]["healthcheck"]["test"]
            server.run(service, [*(["sh", "-c"] if kind == "CMD-SHELL" else []), *server.here(words)])
    # Read-only there; the webserver tries to make two folders all the same, for telemetry, and does without them.
    assert {path.name for path in server.home.rglob("*") if path.is_file()} == {"dagster.yaml", "workspace.yaml"}


@contextmanager
def caddy(folder: Path, variables: Mapping[str, str], upstreams: Mapping[str, str]) -> Iterator[str]:
    """Caddy with our Caddyfile on a free port, and upstreams elsewhere; its address."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("Caddy is not installed; as root, .ci/servers installs it")
    http, https = free_port(), free_port()
    options = (
        f"{{\nadmin off\nskip_install_trust\nhttp_port {http}\nhttps_port {https}\nstorage file_system {folder}\n}}\n"
    )
    told = (FOLDER / "Caddyfile").read_text()
    for there, here in upstreams.items():
        told = told.replace(there, here)
    version = subprocess.run([program, "version"], capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < (2, 8):  # Debian's; its name was another one
        told = told.replace("basic_auth", "basicauth")
    (folder / "Caddyfile").write_text(options + told)
    command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    part = launch("caddy", command, {**variables, "HOME": str(folder), "PATH": os.environ["PATH"]}, folder)
    try:
        wait_until(lambda: listens(https) and _root(folder).exists(), "its port", part)
        yield f"https://localhost:{https}"
    finally:
        stop(part)


def _root(folder: Path) -> Path:
    """The certificate authority that Caddy made itself."""
    return folder / "pki" / "authorities" / "local" / "root.crt"


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[tuple[httpx.Client, Shown]]:
    """A client that comes through the proxy, and a video whose clips are in the store."""
    with through_the_proxy(tmp_path_factory.mktemp("proxy"), s3_server) as opened:
        yield opened


def variables_of_the_proxy(store: str) -> dict[str, str]:
    """What compose.yaml tells Caddy."""
    return {
        "INTAKE_HOST": "localhost",
        "DAGSTER_HOST": "dagster.localhost",
        "DAGSTER_USER": "operator",
        "DAGSTER_PASSWORD_HASH": PASSWORD_HASH,
        "BUCKET": "one-server",
        "STORE_SCHEME": "http",
        "STORE_HOST": store.removeprefix("http://"),
    }


@contextmanager
def through_the_proxy(folder: Path, s3_server: S3Server) -> Iterator[tuple[httpx.Client, Shown]]:
    """Such a client, of whom nothing was counted yet."""
    s3_server.create_bucket("one-server")
    there = {"store_url": "s3://one-server/store", "internal_key": INTERNAL_KEY, **on(s3_server)}
    video_states = VideoStates(folder, requests_per_minute=3, **there)
    shown = video_states.done("https://media.example.org/talk.mp4", Outcome.CLIPS, moments=(("A title", "a reason"),))
    page = folder / "ui"
    page.mkdir()
    (page / "index.html").write_text("the UI")
    variables = variables_of_the_proxy(s3_server.endpoint_url)
    with serving(video_states.services.settings) as intake, site(page) as ui:
        upstreams = {"intake:8000": f"127.0.0.1:{intake.port}", "webserver:3000": ui.removeprefix("http://")}
        with (
            caddy(folder, variables, upstreams) as address,
            httpx.Client(
                base_url=address, verify=ssl.create_default_context(cafile=_root(folder)), timeout=LIMIT_S
            ) as client,
        ):
            yield client, shown


def test_the_proxy_shows_pages_and_takes_submissions(outside: tuple[httpx.Client, Shown]) -> None:
    client, shown = outside

    assert client.get("/").status_code == 200
    assert client.get(shown.path).status_code == 200
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/llms.txt").text.startswith("# MadVision")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/readyz",
        "/internal/perform-video-processing",
        "//metrics",
        "/%6Detrics",
        "/public/../metrics",
        "/public/%2e%2e/metrics",
        "/static/..%2Freadyz",
        "/internal/video",
        "/internal/videos/x",
        "/internal/video/../perform-video-processing",
        "/internal/video/%2e%2e/perform-video-processing",
        "/internal/video/..%2Fperform-video-processing",
        "/internal/video/..%2F..%2Fmetrics",
    ],
)
def test_the_proxy_keeps_inside_what_is_ours(outside: tuple[httpx.Client, Shown], path: str) -> None:
    client, _ = outside
    connection = http.client.HTTPSConnection(client.base_url.host, client.base_url.port, context=_any_certificate())

    connection.request("GET", path)  # as it stands: httpx would tidy it
    answer = connection.getresponse()

    assert answer.status == 404
    assert b"madvision_" not in answer.read()
    connection.close()


def test_clips_come_through_the_proxy_and_nothing_else_of_the_store_does(outside: tuple[httpx.Client, Shown]) -> None:
    client, shown = outside
    clip = client.get("/public/video/status", params={"token": shown.token}).json()["clips"][0]
    address = httpx.URL(clip["url"]).raw_path.decode()

    moved = client.get(address)
    film = client.get(moved.headers["location"], headers={"Range": "bytes=4-7"})

    assert moved.headers["location"].startswith("/one-server/store/media/")
    assert (film.status_code, film.content) == (206, b"ftyp")
    unsigned = moved.headers["location"].partition("?")[0]
    assert client.get(unsigned).status_code == 404
    assert client.get("/one-server/?X-Amz-Signature=made-up").is_client_error
    assert client.delete(moved.headers["location"]).status_code == 404


def test_links_of_dagster_lead_operators_through_the_proxy_to_a_video_whose_clips_play(
    outside: tuple[httpx.Client, Shown],
) -> None:
    client, shown = outside
    page, password = f"/internal/video/{shown.row.video_id}", ("anybody", INTERNAL_KEY)
    assert client.get(page).status_code == 401

    told = client.get(page, auth=password)
    [clip] = re.findall(r'<source src="([^"]+)"', told.text)
    # A program sends the password along to where it is led under the same name.
    film = client.get(clip, auth=password, headers={"Range": "bytes=4-7"}, follow_redirects=True)

    assert told.status_code == 200
    assert (film.status_code, film.content) == (206, b"ftyp")
    assert (film.url.netloc, film.url.path[:12]) == (client.base_url.netloc, "/one-server/")
    assert "authorization" in film.request.headers
    for method in ("POST", "PUT", "DELETE"):  # by the proxy; the intake would say 405
        assert client.request(method, page, auth=password).status_code == 404


def test_a_password_of_operators_is_not_passed_on_to_the_store(tmp_path: Path) -> None:
    with Site() as store, caddy(tmp_path, variables_of_the_proxy(store.url("")), {}) as address:
        signed = f"{address}/one-server/clip.mp4?X-Amz-Signature=s"
        httpx.get(signed, auth=("anybody", INTERNAL_KEY), verify=_any_certificate(), timeout=LIMIT_S)

        [asked] = store.hits("/one-server/clip.mp4?X-Amz-Signature=s")
        assert "authorization" not in asked.headers


def test_large_bodies_come_through_as_files_and_as_nothing_else(tmp_path: Path, s3_server: S3Server) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    large = b"x" * (3 * 1024 * 1024)
    name = "filename " + base64.b64encode(b"talk.mp4").decode()
    asked = {**tus, "Upload-Length": str(2 * len(large)), "Upload-Metadata": name}
    body = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}

    with through_the_proxy(tmp_path, s3_server) as (client, _):
        began = client.post("/public/upload", headers=asked)
        sent = client.patch(httpx.URL(began.headers["location"]).path, headers=body, content=large)

        assert (began.status_code, sent.status_code, sent.headers["upload-offset"]) == (201, 204, str(len(large)))
        for elsewhere in ("/public/video", "/public/uploads"):  # Caddy says 413, or 502 where the intake was sooner
            assert client.post(elsewhere, content=large).status_code in {413, 502}


def test_the_dagster_ui_asks_who_comes(outside: tuple[httpx.Client, Shown]) -> None:
    client, _ = outside
    there = {"Host": "dagster.localhost"}

    assert client.get("/", headers=there).status_code == 401
    assert client.get("/", headers=there, auth=("operator", "wrong")).status_code == 401
    assert client.get("/", headers=there, auth=("operator", PASSWORD)).text == "the UI"


def test_a_client_cannot_pretend_to_be_another(outside: tuple[httpx.Client, Shown]) -> None:
    client, _ = outside

    answers = [
        client.post(
            "/public/video", json={"url": "https://x.org/a.mp4"}, headers={"X-Forwarded-For": f"192.0.2.{number}"}
        )
        for number in range(4)
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
