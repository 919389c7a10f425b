"""Claims about what an operator says of sites: cookies, proxies, impersonation, and which are taken."""

import base64
import random
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from madvision_assets.connections import make_sources
from madvision_assets.domain import failures as f
from madvision_assets.domain.sources import Sources
from madvision_assets.settings import Settings, SettingsError, read_secret
from madvision_assets.tools.download import Download, Downloader, Etiquette
from madvision_assets.tools.download.manners import cookies_of
from madvision_assets.tools.download.wheels import Wheels
from madvision_assets_tests.downloads import DOWNLOADER
from madvision_assets_tests.served import served
from madvision_assets_tests.site import Site
from madvision_assets_tests.tools.po_tokens import Provider, plugin_wheel

pytestmark = pytest.mark.whole

BODY = random.Random(4).randbytes(300_000)  # noqa: S311 - any bytes will do
SECRET = "s3cr3t-cookie"


def met_as(said: Mapping[str, object]) -> Downloader:
    """A downloader whose operator says this."""
    return replace(DOWNLOADER, etiquette=Etiquette(Sources.model_validate(said), read_secret))


def fetch(downloader: Downloader, address: str, folder: Path) -> Download:
    return downloader.fetch(address, folder, lambda *_: None)


def cookie(host: str, value: str) -> str:
    return f"{host}\tFALSE\t/\tFALSE\t4102444800\tsession\t{value}"


@dataclass
class Upstream:
    """A proxy as an operator has one: tunnels only, for who knows the password."""

    status: int = 200
    targets: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def running(self) -> Iterator["Upstream"]:
        """Serves while its context is open."""
        upstream = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                target = self.rfile.readline().split()[1].decode()
                upstream.targets.append(target)
                while (line := self.rfile.readline()).strip():
                    if line.lower().startswith(b"proxy-authorization: basic "):
                        upstream.logins.append(base64.b64decode(line.split()[-1]).decode())
                self.wfile.write(b"HTTP/1.1 %d Whatever\r\n\r\n" % upstream.status)
                if upstream.status == 200:
                    host, _, port = target.rpartition(":")
                    with socket.create_connection((host, int(port)), 5) as far:
                        back = threading.Thread(target=pump, args=(far, self.connection))
                        back.start()
                        pump(self.connection, far)
                        back.join()

        def pump(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        with served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as self.port:
            yield self


def test_a_sites_cookies_reach_that_site_alone_and_lie_nowhere(site: Site, tmp_path: Path) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text(f"{cookie('127.0.0.1', SECRET)}\n{cookie('localhost', 'another-s3cr3t')}\n")
    said = {"site": [{"hosts": ["127.0.0.1"], "cookies": f"file:{jar}"}]}
    site.serve("/elsewhere.mp4", BODY, content_type="video/mp4")
    site.redirect("/talk", f"http://localhost:{site.port}/elsewhere.mp4")
    folder = tmp_path / "folder"
    assert fetch(met_as(said), site.url("/talk"), folder).path.read_bytes() == BODY
    assert {hit.headers.get("cookie") for hit in site.hits("/talk")} == {f"session={SECRET}"}
    assert {hit.headers.get("cookie") for hit in site.hits("/elsewhere.mp4")} == {None}
    assert not [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_cookies_of_other_hosts_and_of_those_above_are_left_out() -> None:
    kept = [cookie("www.site.example", "1"), "#HttpOnly_" + cookie(".a.www.site.example", "2")]
    others = [cookie(".site.example", "3"), cookie("notwww.site.example", "4"), cookie("evil.example", "5")]
    text = "\n".join(["# Netscape HTTP Cookie File", *others, *kept])
    assert cookies_of(text, ("www.site.example",)).splitlines()[1:] == kept


@pytest.mark.parametrize("reference", ["file:/nonexistent/cookies.txt", "env:MADVISION_NO_SUCH_SECRET"])
def test_a_secret_that_cannot_be_read_is_the_operators_matter(site: Site, tmp_path: Path, reference: str) -> None:
    said = {"site": [{"hosts": ["127.0.0.1"], "cookies": reference}]}
    with pytest.raises(f.SourceSecretError, match="cannot be read"):
        fetch(met_as(said), site.serve("/talk.mp4", BODY), tmp_path / "folder")
    with pytest.raises(f.SourceSecretError):
        met_as(said).etiquette.check()
    assert site.hits("/talk.mp4") == []


def test_a_site_is_reached_through_its_proxy_by_the_address_that_was_vetted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = site.serve("/talk.mp4", BODY, content_type="video/mp4").replace("127.0.0.1", "localhost")
    with Upstream().running() as upstream:
        monkeypatch.setenv("THE_PROXY", f"http://me:p%40ss@127.0.0.1:{upstream.port}")
        said = {"site": [{"hosts": ["localhost"], "proxies": ["env:THE_PROXY"]}]}
        assert fetch(met_as(said), address, tmp_path / "folder").path.read_bytes() == BODY
    assert set(upstream.targets) <= {f"127.0.0.1:{site.port}", f"[::1]:{site.port}"}
    assert set(upstream.logins) == {"me:p@ss"}


def test_a_private_address_is_refused_before_the_proxy_is_asked(site: Site, tmp_path: Path) -> None:
    with Upstream().running() as upstream:
        said = {"site": [{"hosts": ["127.0.0.1"], "proxies": [f"http://127.0.0.1:{upstream.port}"]}]}
        with pytest.raises(f.RefusedAddressError):
            fetch(replace(met_as(said), allow_private=False), site.serve("/talk.mp4", BODY), tmp_path / "folder")
    assert upstream.targets == []


def test_a_proxy_that_refuses_is_told_without_its_address(site: Site, tmp_path: Path) -> None:
    with Upstream(status=407).running() as upstream:
        said = {"site": [{"hosts": ["127.0.0.1"], "proxies": [f"http://127.0.0.1:{upstream.port}"]}]}
        with pytest.raises(f.SourceProxyError, match="answers 407") as caught:
            fetch(met_as(said), site.serve("/talk.mp4", BODY), tmp_path / "folder")
    assert str(upstream.port) not in str(caught.value)


def asking(provider: str, folder: Path) -> Downloader:
    """A downloader with the plugin that asks a provider of tokens."""
    plugin_wheel(folder)
    said = {"site": [{"hosts": ["127.0.0.1"], "po_token_provider": provider}]}
    return replace(met_as(said), wheels=Wheels(folder))


def test_a_token_comes_from_the_provider_that_is_named_for_the_site(site: Site, tmp_path: Path) -> None:
    site.serve("/media/one?pot=cHJvdmVuLXRva2Vu", BODY, content_type="video/mp4")
    with Provider().running() as provider:
        downloader = asking(provider.address, tmp_path / "wheels")
        arrived = fetch(downloader, site.html("/watch-token/one"), tmp_path / "folder")
        assert (arrived.source.title, arrived.path.read_bytes()) == ("proven", BODY)
        # Our proxy is nothing to the provider, which is another machine's.
        assert provider.asked == [{"content_binding": "a visitor", "proxy": None}]


def test_a_provider_asks_through_the_sites_own_proxy(site: Site, tmp_path: Path) -> None:
    site.serve("/media/one?pot=cHJvdmVuLXRva2Vu", BODY, content_type="video/mp4")
    with Provider().running() as provider, Upstream().running() as upstream:
        way = f"http://127.0.0.1:{upstream.port}"
        downloader = asking(provider.address, tmp_path / "wheels")
        met = downloader.etiquette.sources.site[0].model_copy(update={"proxies": (way,)})
        etiquette = replace(downloader.etiquette, sources=Sources(site=(met,)))
        fetch(replace(downloader, etiquette=etiquette), site.html("/watch-token/one"), tmp_path / "folder")
        assert [asked["proxy"] for asked in provider.asked] == [way]


def test_a_provider_that_is_away_is_the_operators_matter_and_not_the_videos(site: Site, tmp_path: Path) -> None:
    with Provider().running() as provider:
        gone = provider.address
    with pytest.raises(f.SourceProxyError, match="provider of tokens does not answer"):
        fetch(asking(gone, tmp_path / "wheels"), site.html("/watch-token/one"), tmp_path / "folder")


@pytest.mark.parametrize(
    "value", ["10.0.0.5:4416", "ftp://pot:1", "http://user:s3cret@pot:4416", "http://pot:4416/get"]
)
def test_a_provider_is_an_address_and_nothing_else(value: str) -> None:
    with pytest.raises(ValueError, match="a provider of PO tokens is http://HOST:PORT") as told:
        Sources.model_validate({"site": [{"hosts": ["a.example"], "po_token_provider": value}]})
    assert "s3cret" not in str(told.value)


def test_a_browser_is_imitated_and_still_cannot_leave_but_by_the_proxy(site: Site, tmp_path: Path) -> None:
    said = met_as({"site": [{"hosts": ["127.0.0.1"], "impersonate": "chrome"}]})
    address = site.serve("/talk.mp4", BODY, content_type="video/mp4")
    assert fetch(said, address, tmp_path / "folder").path.read_bytes() == BODY
    assert {"sec-ch-ua" in hit.headers for hit in site.hits("/talk.mp4")} == {True}
    with pytest.raises(f.RefusedAddressError):
        fetch(replace(said, allow_private=False), address, tmp_path / "other")


def test_a_denied_site_is_not_taken_nor_one_that_a_page_leads_to(site: Site, tmp_path: Path) -> None:
    address = site.serve("/talk.mp4", BODY, content_type="video/mp4")
    with pytest.raises(f.SourceRefusedError):
        fetch(met_as({"deny": ["127.0.0.1"]}), address, tmp_path / "folder")
    with pytest.raises(f.SourceRefusedError):
        fetch(met_as({"allow": ["site.example"]}), address, tmp_path / "folder")
    assert site.hits("/talk.mp4") == []
    site.redirect("/away", address.replace("127.0.0.1", "localhost"))
    with pytest.raises(f.SourceRefusedError):
        fetch(met_as({"deny": ["localhost"]}), site.url("/away"), tmp_path / "folder")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("deny = ['https://bad.example/']", "deny.0: .*lower case, without scheme"),
        ("[[site]]\nhosts = []", "site.0.hosts: "),
        ("[[site]]\nhosts = ['a.example']\ncookies = 'sid=s3cr3t'", "site.0.cookies: .*by reference"),
        ("[[site]]\nhosts = ['a.example']\nproxies = ['http://me:s3cr3t@b']", "site.0.proxies.0: .*by reference"),
        ("[[site]]\nhosts = ['a.example']\ncookie = 's3cr3t'", "site.0.cookie: "),
        ("deny = ", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_key_and_without_its_secret(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=told) as caught:
        make_sources(Settings(sources_file=path))
    assert "s3cr3t" not in str(caught.value)
