"""The server: uvicorn, told everything it needs to know here."""

import logging
import socket
import sys
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from madvision_assets.intake.app import make_app
from madvision_assets.intake.connections import Held, bounded
from madvision_assets.intake.services import Services, make_services
from madvision_assets.settings import Settings

KEEP_ALIVE_S = 5
STOP_WITHIN_S = 20
MAX_HEADER_BYTES = 32 * 1024


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished.

    Raises:
        SchemaOutdatedError: PostgreSQL wants ``madvision migrate``.
        DatabaseUnavailableError: the database cannot be reached.
        ValueError: an address in the settings cannot be one.
    """
    services = make_services(settings)
    services.database.ensure_schema()
    log_as_json()
    Server(configured(services, host, port)).run()


class Server(uvicorn.Server):
    """Ends the streams of open pages when it is to stop; it would wait for them as for any request."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, once the requests under way are finished."""
        if isinstance(self.config.app, FastAPI):
            self.config.app.state.streams.close()
        await super().shutdown(sockets)


def configured(services: Services, host: str, port: int) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        make_app(services),
        host=host,
        port=port,
        access_log=False,  # the guard writes it, without tokens
        log_config=None,
        proxy_headers=True,
        forwarded_allow_ips=services.settings.trusted_proxies,
        server_header=False,
        http=bounded(Held(services.settings.connections_per_client, services.settings.trusted_proxies)),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )


def log_as_json() -> None:
    """Every line of log as one line of JSON on standard error, what uvicorn says included."""
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Without what variables held: a token, an address with a password.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
