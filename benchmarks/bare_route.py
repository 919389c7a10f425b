"""The peer of ``submissions_per_second``: a bare FastAPI route that inserts one row by SQLAlchemy Core.

Its engine is made as ours is: the same pool, the same settings of the connection.
"""

import secrets
import sys
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Column, DateTime, Engine, MetaData, String, Table, Text

from madvision_assets.tools.database.engines import make_engine, parse

rows = Table(
    "bare_rows",
    MetaData(),
    Column("token", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)


class Asked(BaseModel):
    """What is handed in."""

    url: str


class Accepted(BaseModel):
    """What is given back."""

    token: str


def make_app(engine: Engine) -> FastAPI:
    """The application."""
    app = FastAPI()

    @app.post("/public/video", status_code=202)
    def submit(asked: Asked) -> Accepted:
        """Insert one row."""
        token = secrets.token_urlsafe(32)
        with engine.begin() as connection:
            connection.execute(rows.insert().values(token=token, url=asked.url, created_at=datetime.now(UTC)))
        return Accepted(token=token)

    return app


if __name__ == "__main__":
    database_url, port = sys.argv[1:]
    its_engine = make_engine(parse(database_url))
    rows.metadata.create_all(its_engine)
    uvicorn.run(make_app(its_engine), host="127.0.0.1", port=int(port), access_log=False, log_level="warning")
