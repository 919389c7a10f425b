"""Makes what a released version leaves behind, by that version itself: its database, its store, its documents.

Run in a checkout of that version, by its Python, with the folder to fill; see README.md beside this file::

    cd CHECKOUT && .venv/bin/python REPOSITORY/madvision_assets_tests/released/make.py REPOSITORY/…/released/v0_2_0

Only what users of every version have is used: the ``madvision`` command, the environment and the public HTTP routes;
and of the checkout's tests the stand-in for OpenAI and the real PostgreSQL. Everything is made twice, once with SQLite
and once with PostgreSQL: the two stores must hold the same documents, and one of them is kept for both.
"""

import http.client
import json
import lzma
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHECKOUT = Path.cwd()
sys.path.insert(0, str(CHECKOUT))  # the tests of the version that runs, and not those beside this file

from madvision_assets_tests.fakes import FakeOpenAI  # noqa: E402
from madvision_assets_tests.openai_faults import Fault, refusal, server_error  # noqa: E402
from madvision_assets_tests.real_servers import postgres_programs  # noqa: E402
from madvision_assets_tests.real_servers.postgresql import postgres  # noqa: E402
from madvision_assets_tests.sample import MODEL, SAMPLE  # noqa: E402

HOME = Path("/srv/madvision")  # stands in URIs and addresses, so it is nobody's own folder
PORT = 18321  # stands in addresses, and so in the IDs of videos
STAGES = ("raw_video", "transcript", "content_type", "clip_candidates", "clips")
LIMIT_S = 300
# Start in the sample talk and length, seconds: few sentences, since lossless audio is most of what is kept.
SPOKEN = {"talk": (35.5, 6.7), "waits": (23.2, 1.9), "fails": (121.7, 2.3)}
OPTIONS = {"min_clip_s": 1, "max_clip_s": 5}


class Installation:
    """The version at work: a home of its own, and one database.

    Args:
        scratch: a folder for what is not kept; it holds the films that the web site serves.
        variables: more of the environment.
    """

    def __init__(self, scratch: Path, **variables: str) -> None:
        self.scratch = scratch
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MADVISION_HOME": str(HOME),
            "MADVISION_WHISPER_MODEL": MODEL,
            "MADVISION_ALLOW_PRIVATE": "1",
            **variables,
        }
        self.videos: dict[str, str] = {}
        self.tokens: dict[str, str] = {}

    def live(self) -> None:
        """Take five videos in, and bring each of them to an end of its own."""
        self.madvision("migrate")
        film = HOME / "videos" / "silence.mp4"
        film.parent.mkdir()
        shutil.copy(self.scratch / film.name, film)
        self._submit_all(film)
        with web_site(self.scratch), FakeOpenAI() as openai:
            paid = {"OPENAI_API_KEY": openai.key, "OPENAI_BASE_URL": openai.base_url}
            # Done by rules first, and then by a model: three documents are superseded.
            self.madvision("process", address_of("talk"))
            moments = moments_of(read_document(self.videos["talk"], "transcript")["segments"])
            openai.script(None, Fault(content=json.dumps({"moments": moments})))
            self.madvision("process", address_of("talk"), "--from", "content_type", variables=paid)
            self.madvision("process", str(film))
            openai.script(None)
            openai.always(server_error())
            self.madvision("process", address_of("waits"), code=1, variables=paid)
            openai.always(refusal())
            self.madvision("process", address_of("fails"), code=1, variables=paid)

    def madvision(self, *arguments: str, code: int = 0, variables: Mapping[str, str] | None = None) -> str:
        """One command of the version; gives what it printed."""
        done = subprocess.run(
            [Path(sys.executable).parent / "madvision", *arguments],
            cwd=self.scratch,
            env={**self.environment, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if done.returncode != code:
            raise SystemExit(
                f"madvision {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def documents(self) -> set[str]:
        """Keys of all that is in the store."""
        return {path.relative_to(HOME / "store").as_posix() for path in (HOME / "store").rglob("*") if path.is_file()}

    def _submit_all(self, film: Path) -> None:
        with self._intake() as port:
            hook = {"callback_url": "https://hooks.example.org/madvision"}
            self._note("talk", post(port, {"url": address_of("talk"), "options": OPTIONS, **hook}))
            for name in ("waits", "fails"):
                self._note(name, post(port, {"url": address_of(name), "options": OPTIONS}))
            self._note("queued", post(port, {"url": "https://media.example.org/queued.mp4", "priority": 5}))
        self._note("silence", json.loads(self.madvision("submit", str(film), "--format", "json"))[0])

    def _note(self, name: str, receipt: dict[str, str]) -> None:
        self.videos[name], self.tokens[name] = receipt["video_id"], receipt["token"]

    @contextmanager
    def _intake(self) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        command = [str(Path(sys.executable).parent / "madvision"), "serve", "--port", str(port)]
        with subprocess.Popen(
            command, cwd=self.scratch, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as intake:
            try:
                await_port(port)
                yield port
            finally:
                intake.terminate()


def moments_of(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the model is to say: the two first segments, and one whose quote nobody says, which is turned down."""
    told = (
        (0, segments[0]["text"], "What David removed"),
        (1, segments[1]["text"], "What we learned"),
        (2, "Nobody ever said these words.", "What nobody said"),
    )
    return [
        {
            "first_segment": number,
            "last_segment": number,
            "quote": quote,
            "reason": "It stands on its own.",
            "title": title,
            "strength": "strong",
            "hook": False,
            "stands_alone": True,
        }
        for number, quote, title in told
    ]


def main() -> None:
    """Make everything, and put it into the folder that is named."""
    out = Path(sys.argv[1]).resolve()
    (out / "documents").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, own_home():
        scratch = Path(folder)
        make_films(scratch)
        by_sqlite = Installation(scratch)
        by_sqlite.live()
        keys = by_sqlite.documents()
        pack(out / "home.tar.xz")
        for asset in STAGES:
            write_json(out / "documents" / f"{asset}.json", read_document(by_sqlite.videos["talk"], asset))
        write_json(out / "documents" / "current.json", read_document(by_sqlite.videos["talk"], "clips", pointer=True))
        empty(HOME)
        with postgres(scratch) as url:
            by_postgresql = Installation(scratch, MADVISION_DATABASE_URL=url)
            by_postgresql.live()
            if by_postgresql.documents() != keys:
                raise SystemExit(f"The two stores differ in {sorted(by_postgresql.documents() ^ keys)}")
            (out / "postgresql.sql.xz").write_bytes(lzma.compress(dumped(url).encode(), preset=9 | lzma.PRESET_EXTREME))
    tokens = {"sqlite": by_sqlite.tokens, "postgresql": by_postgresql.tokens}
    write_json(out / "tokens.json", {"videos": by_sqlite.videos, "tokens": tokens})


# --- films ---


def make_films(folder: Path) -> None:
    """Sentences of the sample talk, small and dull; and a film in which nobody speaks."""
    for name, (start_s, duration_s) in SPOKEN.items():
        small = ("-vf", "scale=160:90,fps=10", "-c:v", "libx264", "-preset", "veryslow", "-crf", "34")
        dull = ("-af", "lowpass=f=3000,lowpass=f=3000", "-c:a", "aac", "-ac", "1", "-ar", "16000", "-b:a", "20k")
        piece = ("-ss", str(start_s), "-t", str(duration_s), "-i", str(SAMPLE))
        ffmpeg(*piece, *small, *dull, "-movflags", "+faststart", folder / f"{name}.mp4")
    sources = ("color=navy:s=160x90:r=10:d=2", "anullsrc=r=16000:cl=mono:d=2")
    inputs = [word for source in sources for word in ("-f", "lavfi", "-i", source)]
    ffmpeg(*inputs, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", folder / "silence.mp4")


def ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg of imageio-ffmpeg."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=LIMIT_S)


# --- the surroundings ---


@contextmanager
def own_home() -> Iterator[None]:
    """The neutral home, which must not be there, and is not there afterwards."""
    HOME.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(HOME)


def empty(folder: Path) -> None:
    """Leave nothing in it."""
    shutil.rmtree(folder)
    folder.mkdir()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps silent."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def web_site(folder: Path) -> Iterator[None]:
    """A web site that serves the films, at the port that stands in their addresses."""
    with ThreadingHTTPServer(("127.0.0.1", PORT), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def address_of(name: str) -> str:
    """Of a film on the site."""
    return f"http://127.0.0.1:{PORT}/{name}.mp4"


def await_port(port: int) -> None:
    """Return as soon as something listens there.

    Raises:
        ConnectionError: nothing does in time.
    """
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)) as connection:
                connection.request("GET", "/healthz")
                connection.getresponse()
        except ConnectionError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)
        else:
            return


def post(port: int, asked: dict[str, Any]) -> dict[str, str]:
    """Submit a video; gives the receipt."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/public/video", json.dumps(asked).encode(), headers)
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        receipt: dict[str, str] = json.load(answer)
    return receipt


# --- what is kept ---


def read_document(video_id: str, asset: str, *, pointer: bool = False) -> dict[str, Any]:
    """A document that counts, or what points at it."""
    found: dict[str, Any] = json.loads((HOME / "store" / asset / video_id / "current.json").read_text())
    if not pointer:
        found = json.loads((HOME / "store" / found["key"]).read_text())
    return found


def write_json(path: Path, value: object) -> None:
    """For people to read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def pack(archive: Path) -> None:
    """The database and the store; Dagster's own state stays out of it, and so does what is only a cache."""
    with closing(sqlite3.connect(HOME / "madvision.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [HOME / "madvision.db", *sorted(path for path in (HOME / "store").rglob("*") if path.is_file())]
    for path in files:
        refuse_paths(path.name, path.read_bytes())
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in files:
            tar.add(path, path.relative_to(HOME).as_posix(), filter=anonymous)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without owner and time."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def dumped(url: str) -> str:
    """The database as SQL that any client of PostgreSQL can send in one piece."""
    from sqlalchemy import make_url

    where = make_url(url)
    command = [
        *(str(postgres_programs() / "pg_dump"), "--inserts", "--no-owner", "--no-privileges", "--no-comments"),
        *("-h", str(where.query["host"]), "-p", str(where.query["port"]), "-U", str(where.username)),
        str(where.database),
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S).stdout
    refuse_paths("the dump", text.encode())
    # psql's own commands; a setting that older servers do not know.
    wanted = (line for line in text.splitlines() if not line.startswith(("\\", "SET transaction_timeout", "--")))
    return "\n".join(line for line in wanted if line) + "\n"


def refuse_paths(name: str, data: bytes) -> None:
    """End where a path of this machine is in it."""
    for path in (CHECKOUT, Path(sys.prefix), Path(tempfile.gettempdir()), Path.home()):
        if str(path).encode() in data:
            raise SystemExit(f"{path} stands in {name}")


if __name__ == "__main__":
    main()
