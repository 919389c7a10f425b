"""How the site of one download is met: its cookies, its proxy, its pace, out of what the operator says of sites."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from madvision_assets.domain.failures import SourceRefusedError, SourceSecretError
from madvision_assets.domain.provenance import Value
from madvision_assets.domain.sources import Sources, is_reference, is_within

PLUGIN = "youtubepot-bgutilhttp"  # as yt-dlp names the arguments of the one that asks for tokens
MAX_COOKIES_BYTES = 200_000
COOKIE_FIELDS = 7
HTTP_ONLY = "#HttpOnly_"
HEADER = "# Netscape HTTP Cookie File\n"

# Takes a reference; raises LookupError with what is wrong, and without the secret.
ReadSecret = Callable[[str], str]


def no_secret(reference: str) -> str:
    """Reads nothing."""
    raise LookupError(reference)


class Manners(Value):
    """What the child is told of a site.

    Attributes:
        cookies: a ``cookies.txt`` with those of the site alone.
        po_tokens: the proxy passes on what its provider of proof-of-origin tokens is asked.
        impersonate: the browser to imitate.
        max_bytes_per_s: at most so fast.
        request_pause_s: between two requests, seconds.
        concurrent_fragments: so many at once.
        allow: where there are any, the video's page must be on one of these hosts.
        deny: nor on one of these.
    """

    cookies: str = ""
    po_tokens: bool = False
    impersonate: str | None = None
    max_bytes_per_s: int | None = None
    request_pause_s: float = 0.0
    concurrent_fragments: int | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the cookies."""
        return f"Manners(impersonate={self.impersonate!r})"

    __str__ = __repr__

    def admit(self, address: object) -> None:
        """Checks the address of a page that a download has come to.

        Raises:
            SourceRefusedError: its site is not taken.
        """
        host = urlsplit(address).hostname if isinstance(address, str) else None
        if host and not Sources(allow=self.allow, deny=self.deny).admits(host):
            raise SourceRefusedError(host)


@dataclass(frozen=True)
class Way:
    """What the operator has put between us and a site.

    Attributes:
        upstream: a proxy, with its password; None for none.
        token_provider: who makes proof-of-origin tokens; None for nobody.
    """

    upstream: str | None = None
    token_provider: str | None = None


@dataclass(frozen=True)
class Etiquette:
    """What the operator says of sites, and how its secrets are read.

    Attributes:
        sources: of each site.
        read_secret: turns a reference into a secret.
        choose: picks one of several proxies.
    """

    sources: Sources = field(default_factory=Sources)
    read_secret: ReadSecret = no_secret
    choose: Callable[[tuple[str, ...]], str] = random.choice

    def manners(self, address: str) -> Manners:
        """How the child meets the site of an address.

        Raises:
            SourceRefusedError: the site is not taken.
            SourceSecretError: its cookies cannot be read.
        """
        host = urlsplit(address).hostname or ""
        allow, deny = self.sources.allow, self.sources.deny
        if not self.sources.admits(host):
            raise SourceRefusedError(host)
        site = self.sources.of(host)
        if site is None:
            return Manners(allow=allow, deny=deny)
        return Manners(
            cookies=cookies_of(self._read(site.cookies), site.hosts) if site.cookies else "",
            po_tokens=site.po_token_provider is not None,
            impersonate=site.impersonate,
            max_bytes_per_s=site.max_bytes_per_s,
            request_pause_s=site.request_pause_s,
            concurrent_fragments=site.concurrent_fragments,
            allow=allow,
            deny=deny,
        )

    def way(self, address: str) -> Way:
        """What stands between us and the site of an address, for this try.

        Raises:
            SourceSecretError: the reference to the proxy cannot be read.
        """
        site = self.sources.of(urlsplit(address).hostname or "")
        if site is None:
            return Way()
        chosen = self.choose(site.proxies) if site.proxies else None
        upstream = self._read(chosen).strip() if chosen and is_reference(chosen) else chosen
        return Way(upstream, site.po_token_provider)

    def check(self) -> tuple[bool, str]:
        """Whether every secret can be read, and what is said of how many sites.

        Raises:
            SourceSecretError: one cannot.
        """
        for site in self.sources.site:
            if site.cookies:
                cookies_of(self._read(site.cookies), site.hosts)
            for proxy in filter(is_reference, site.proxies):
                self._read(proxy)
        sources = self.sources
        return True, f"{len(sources.site)} sites, {len(sources.allow)} allowed, {len(sources.deny)} denied"

    def _read(self, reference: str) -> str:
        try:
            return self.read_secret(reference)
        except LookupError as error:
            raise SourceSecretError(str(error.args[0] if error.args else reference)) from None


def cookies_of(text: str, hosts: tuple[str, ...]) -> str:
    """A ``cookies.txt`` with the cookies of these hosts alone.

    Raises:
        SourceSecretError: there are none.
    """
    kept = [line for line in text.splitlines() if _cookie_host(line) and is_within(_cookie_host(line), hosts)]
    found = HEADER + "".join(f"{line}\n" for line in kept)
    if not kept or len(found) > MAX_COOKIES_BYTES:
        raise SourceSecretError(f"there are {'too many' if kept else 'no'} cookies for {hosts[0]} in Netscape's format")
    return found


def _cookie_host(line: str) -> str:
    """The host that a line's cookie is for; empty for what is no cookie."""
    fields = line.removeprefix(HTTP_ONLY).split("\t")
    return "" if line.startswith("# ") or len(fields) != COOKIE_FIELDS else fields[0].lstrip(".").lower()


def options_of(manners: Manners, proxy: str) -> dict[str, Any]:
    """yt-dlp's options for them.

    Args:
        manners: of the site.
        proxy: the address of ours, which stands for the provider of tokens as well.
    """
    from io import StringIO

    from yt_dlp.networking.impersonate import ImpersonateTarget

    options: dict[str, Any] = {"sleep_interval_requests": manners.request_pause_s}
    if manners.cookies:
        options["cookiefile"] = StringIO(manners.cookies)  # yt-dlp writes them back: not to a disk
    if manners.po_tokens:
        options["extractor_args"] = {PLUGIN: {"base_url": [proxy]}}
    if manners.impersonate:
        options["impersonate"] = ImpersonateTarget.from_str(manners.impersonate)
    if manners.max_bytes_per_s:
        options |= {"ratelimit": manners.max_bytes_per_s, "concurrent_fragment_downloads": 1}
    if manners.concurrent_fragments:
        options["concurrent_fragment_downloads"] = manners.concurrent_fragments
    return options
