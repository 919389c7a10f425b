"""What is left of a campaign, gathered from tables, store, logs, processes, and from those that the system spoke to."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import boto3  # type: ignore[import-untyped]
import httpx
from sqlalchemy import create_engine, text

from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.store.documents import current_envelope, current_version
from madvision_assets_tests.chaos import points
from madvision_assets_tests.chaos.invariants import ASKING, Attempt, Callback, Evidence, Film, Made
from madvision_assets_tests.chaos.videos import Served
from madvision_assets_tests.chaos.world import World
from madvision_assets_tests.databases import history
from madvision_assets_tests.fakes import KEY
from madvision_assets_tests.real_servers import S3_BUCKET
from madvision_assets_tests.real_servers.postgresql import PASSWORD
from madvision_assets_tests.site import Hit

DELIVERY = "madvision-delivery"


@dataclass
class Asked:
    """A video, and everybody who was given a receipt for it.

    Attributes:
        tokens: of those.
        hooks: paths on the receiver that were given with submissions that were answered.
    """

    served: Served
    tokens: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)


def film_of(world: World, asked: Asked, ledger: Sequence[dict[str, object]]) -> Film:
    """All that is known of one video, while the system is there to be asked."""
    trial, served = world.trial, asked.served
    video_id = served.video_id
    row = trial.queue.get(video_id)
    film = Film(
        name=served.video.name,
        kind=served.video.kind,
        end=served.end,
        status=row.status.value if row else "unknown",
        cause=row.failure_cause if row else None,
        outcome=row.outcome.value if row and row.outcome else None,
        attempts=[_attempt(told) for told in history(trial.database, video_id)],
        lineage=[Made(r.asset, r.run_id, r.data_version) for r in trial.database.lineage_of(video_id)],
        documents=Counter({step.value: count for step, count in trial.versions(video_id).items()}),
        begun={str(e["run_id"]) for e in ledger if "run_id" in e},
        worked=[
            (str(e["step"]), int(str(e["pid"]))) for e in ledger if e["what"] == "worked" and e["video_id"] == video_id
        ],
        downloads=trial.downloads(video_id),
        asked=Counter({step: trial.asked(video_id, PipelineStep(step)) for step in ASKING}),
        forgiven=world.forgiven[video_id],
    )
    for step in PipelineStep:
        version = current_version(trial.store, step, video_id)
        if version is not None:
            film.current[step.value] = version
            envelope = current_envelope(trial.store, step, video_id)
            keys = [ref.key for ref in envelope.objects] if envelope else [f"{step}/{video_id}/{version}"]
            film.missing += [key for key in keys if not trial.store.exists(key)]
    for token in asked.tokens:
        _look(world, token, film)
    return film


def _look(world: World, token: str, film: Film) -> None:
    """As who submitted it."""
    answer = world.trial.get("/public/video/status", token=token)
    film.told.append(answer.json() if answer.is_success else {"status": f"HTTP {answer.status_code}"})
    film.pages.append(("its page", world.trial.get(f"/video/{token}").status_code))
    for clip in film.told[-1].get("clips") or ():
        got = httpx.get(str(clip["url"]), headers={"Range": "bytes=4-7"}, timeout=30, follow_redirects=True)
        film.pages.append((f"clip {clip['url']}", got.status_code if got.content == b"ftyp" else 0))


def struck(world: World, ledger: Sequence[dict[str, object]]) -> set[int]:
    """The processes that faults killed or stopped."""
    died = {int(str(line["pid"])) for line in ledger if line["what"] == "died"}
    marks = {
        int(p.name.partition("@")[0].removeprefix("struck-")) for p in (world.inside / points.DEAD).glob("struck-*")
    }
    stopped = world.folder / "stopped.txt"
    return died | marks | ({int(line) for line in stopped.read_text().split()} if stopped.exists() else set())


def left_working(world: World) -> list[str]:
    """Commands of processes that are at work."""
    return world.trial.workers()


def left_files(world: World) -> list[str]:
    """Temporary files and locks of stages."""
    work = world.trial.home / "work"
    return [str(path.relative_to(world.trial.home)) for path in work.rglob("*") if path.is_file()]


def left_slots(world: World) -> dict[str, int]:
    """Slots of pools that are taken or waited for."""
    return world.trial.taken_slots()


def left_uploads(world: World) -> list[str]:
    """Multipart uploads that nobody ended."""
    s3 = world.s3
    client = boto3.client(
        "s3", endpoint_url=s3.endpoint_url, region_name=s3.region, aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
    )  # fmt: skip
    try:
        return [upload["Key"] for upload in client.list_multipart_uploads(Bucket=S3_BUCKET).get("Uploads", ())]
    finally:
        client.close()


def callbacks_of(hits: Sequence[Hit]) -> Iterator[Callback]:
    """What a receiver took."""
    for hit in (hit for hit in hits if hit.status == HTTPStatus.OK):
        with suppress(ValueError, KeyError):
            told = json.loads(hit.body)
            yield Callback(hit.headers[DELIVERY], hit.path, told["video_id"], int(told["attempt"]))


def secrets_in_logs(world: World, tokens: Sequence[str]) -> list[str]:
    """Where a secret was found: in the logs of the parts, of the runs, and in Dagster's events."""
    secrets = {"the API key": KEY, "the database's password": PASSWORD, **{f"token {t[:4]}…": t for t in tokens}}
    logs = [path for path in (world.trial.home / "logs").rglob("*") if path.is_file()]
    logs += [path for path in (world.trial.home / "dagster" / "storage").rglob("*") if path.is_file()]
    found = [
        f"{name} is in {path.relative_to(world.trial.home)}"
        for path in logs
        for name, secret in secrets.items()
        if secret.encode() in path.read_bytes()
    ]
    engine = create_engine(world.dagster_url)
    with engine.connect() as connection:
        for name, secret in secrets.items():
            query = text("SELECT count(*) FROM event_logs WHERE position(:secret IN event) > 0")
            if connection.execute(query, {"secret": secret}).scalar_one():
                found.append(f"{name} is in Dagster's events")
    engine.dispose()
    return found


def gather(world: World, asked: Sequence[Asked], tokens: Sequence[str] = ()) -> Evidence:
    """All of it; what is not there yet is waited for by the caller, who knows of more tokens."""
    ledger = world.ledger()
    films = [film_of(world, each, ledger) for each in asked]
    return Evidence(
        films=films,
        struck=struck(world, ledger),
        slots=left_slots(world),
        breakers=world.trial.shut_breakers(),
        processes=left_working(world),
        files=left_files(world),
        uploads=left_uploads(world),
        wanted=[hook for each in asked for hook in each.hooks],
        callbacks=list(callbacks_of(world.receiver._hits)),
        secrets=secrets_in_logs(world, [*tokens, *(token for each in asked for token in each.tokens)]),
    )


def _attempt(told: dict[str, Any]) -> Attempt:
    began, ended = told["started_at"], told["ended_at"]
    return Attempt(
        number=int(str(told["attempt"])),
        run_id=told["run_id"] and str(told["run_id"]),
        began_at=began.timestamp(),
        ended_at=ended.timestamp() if ended else None,
        step=str(told["pipeline_step"]),
        status=str(told["status"]),
        cause=told["failure_cause"] and str(told["failure_cause"]),
    )
