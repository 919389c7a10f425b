"""A site that asks for a proof-of-origin token, a provider that makes one, and what reads and asks them, as a wheel.

The plugin asks as the one for ``bgutil-ytdlp-pot-provider`` does: past every proxy, at the address of its argument.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from madvision_assets_tests.served import served
from madvision_assets_tests.tools.challenge import wheel

PLUGIN = """
import json
from yt_dlp.extractor.youtube import YoutubeIE
from yt_dlp.extractor.youtube.pot._director import initialize_pot_director
from yt_dlp.extractor.youtube.pot.provider import (
    PoTokenContext, PoTokenProvider, PoTokenRequest, PoTokenResponse, register_provider)
from yt_dlp.networking.common import Request


@register_provider
class BgUtilHTTPPTP(PoTokenProvider):
    PROVIDER_NAME = "asked"
    PROVIDER_VERSION = "1"
    BUG_REPORT_LOCATION = "nowhere"
    _SUPPORTED_CONTEXTS = None
    _SUPPORTED_CLIENTS = None
    _SUPPORTED_EXTERNAL_REQUEST_FEATURES = None

    def is_available(self):
        return True

    def _real_request_pot(self, request):
        (base,) = self._configuration_arg("base_url", default=["http://127.0.0.1:1"])
        body = json.dumps({"content_binding": request.visitor_data, "proxy": request.request_proxy}).encode()
        json.load(self._request_webpage(Request(base + "/ping", proxies={"all": None})))
        asked = Request(
            base + "/get_pot", data=body, headers={"Content-Type": "application/json"}, proxies={"all": None})
        return PoTokenResponse(json.load(self._request_webpage(asked))["poToken"])


class TokenIE(YoutubeIE):
    IE_NAME = "token"
    _VALID_URL = r"http://[^/]+/watch-token/(?P<id>\\w+)"

    def _real_initialize(self):
        self._pot_director = initialize_pot_director(self)

    def _real_extract(self, url):
        video_id = self._match_id(url)
        self._download_webpage(url, video_id)
        token = self._pot_director.get_po_token(PoTokenRequest(
            PoTokenContext.GVS, {"client": {"clientName": "WEB"}}, internal_client_name="web",
            visitor_data="a visitor", request_proxy=self.get_param("proxy")))
        address = url.replace("/watch-token/", "/media/") + "?pot=" + (token or "none")
        return {"id": video_id, "title": "proven", "url": address, "ext": "mp4"}
"""


def plugin_wheel(folder: Path) -> Path:
    """The wheel with both; the name of the provider is what its arguments go by."""
    return wheel(folder, "tokens", {"yt_dlp_plugins/extractor/tokens.py": PLUGIN})


@dataclass
class Provider:
    """Makes tokens on loopback.

    Attributes:
        status: of its answers.
        asked: the bodies of ``/get_pot``.
        address: where it listens.
    """

    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    @contextmanager
    def running(self) -> Iterator["Provider"]:
        """Serves while its context is open."""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"version": "2.0.2"})

            def do_POST(self) -> None:
                provider.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer({"poToken": "cHJvdmVuLXRva2Vu"})

            def answer(self, said: dict[str, Any]) -> None:
                self.send_response(provider.status)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_: object) -> None:
                pass

        with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
            self.address = f"http://127.0.0.1:{port}"
            yield self
