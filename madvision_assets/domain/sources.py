"""What an operator says of the sites that videos come from: which are taken, and how each is met.

A secret stands in it by reference alone: ``env:NAME`` or ``file:PATH``.
"""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("a host is written as in example.org: lower case, without scheme, port, path or star")
    return value


def _reference(value: str) -> str:
    if not re.fullmatch(r"env:\w+|file:.+", value):
        raise ValueError("a secret is given by reference: env:NAME or file:PATH")
    return value


def _proxy(value: str) -> str:
    """Raises what never quotes the value, which may hold a password."""
    if is_reference(value):
        return _reference(value)
    parts = urlsplit(value)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("a proxy is http://HOST:PORT, or a reference to it: env:NAME or file:PATH")
    if parts.username or parts.password:
        raise ValueError("a proxy with a password is given by reference: env:NAME or file:PATH")
    return value


def _provider(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or "@" in value
    ):
        raise ValueError("a provider of PO tokens is http://HOST:PORT or https://HOST:PORT, without a path or a user")
    return value.rstrip("/")


def is_reference(value: str) -> bool:
    """Whether a value stands for a secret that lies elsewhere."""
    return value.startswith(("env:", "file:"))


Host = Annotated[str, AfterValidator(_host)]
Reference = Annotated[str, AfterValidator(_reference)]
ProxyAddress = Annotated[str, AfterValidator(_proxy)]
ProviderAddress = Annotated[str, AfterValidator(_provider)]


class Site(BaseModel):
    """How one site is met.

    Attributes:
        hosts: its hosts; each stands for those below it too.
        cookies: reference to a ``cookies.txt``; those of other hosts in it are left out.
        proxies: each try goes through one of them.
        po_token_provider: who makes proof-of-origin tokens for it, asked by the plugin ``bgutil-ytdlp-pot-provider``.
        impersonate: the browser whose handshake is imitated, such as ``chrome`` or ``safari-18.0``.
        max_bytes_per_s: of one download.
        request_pause_s: between two requests of one download, seconds.
        concurrent_fragments: so many at once.
        max_downloads: so many of its videos are downloaded at once, over all workers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    cookies: Reference | None = None
    proxies: tuple[ProxyAddress, ...] = ()
    po_token_provider: ProviderAddress | None = None
    impersonate: Annotated[str | None, Field(pattern=r"^[a-z]+(-[\d.]+)?(:[a-z]+(-[\d.]+)?)?$")] = None
    max_bytes_per_s: Annotated[int | None, Field(gt=0)] = None
    request_pause_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    concurrent_fragments: Annotated[int | None, Field(ge=1, le=16)] = None
    max_downloads: Annotated[int | None, Field(ge=1)] = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if self.max_bytes_per_s and self.concurrent_fragments not in {None, 1}:
            raise ValueError("max_bytes_per_s is for one fragment at a time: leave concurrent_fragments out")
        return self


class Sources(BaseModel):
    """All that is said of sites.

    Attributes:
        allow: where there are any, no other hosts are taken.
        deny: these are not taken.
        site: how single sites are met; the first that fits counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    allow: tuple[Host, ...] = ()
    deny: tuple[Host, ...] = ()
    site: tuple[Site, ...] = ()

    def admits(self, host: str) -> bool:
        """Whether videos of a host are taken."""
        return not is_within(host, self.deny) and (not self.allow or is_within(host, self.allow))

    def of(self, host: str) -> Site | None:
        """How a host is met; None where nothing is said of it."""
        return next((site for site in self.site if is_within(host, site.hosts)), None)


def is_within(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether a host is one of these, or below one of them."""
    host = host.lower().rstrip(".")
    return any(host == each or host.endswith(f".{each}") for each in hosts)
