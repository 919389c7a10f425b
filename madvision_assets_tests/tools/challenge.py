"""A site whose player must be run to know where its video is, and the small extractor that reads it, as a wheel.

The player has the form that yt-dlp's own solver of challenges (``yt-dlp-ejs``) takes; what it does is ours: it turns
the challenge round, and before that it tries to look around where it runs.
"""

import hashlib
import zipfile
from pathlib import Path

EXTRACTOR = """
import re
from yt_dlp.extractor.youtube import YoutubeIE
from yt_dlp.extractor.youtube.jsc._director import initialize_jsc_director
from yt_dlp.extractor.youtube.jsc.provider import JsChallengeRequest, JsChallengeType, NChallengeInput


class ChallengeIE(YoutubeIE):
    IE_NAME = "challenge"
    _VALID_URL = r"http://[^/]+/watch-challenge/(?P<id>\\w+)"

    def _real_initialize(self):
        self._jsc_director = initialize_jsc_director(self)

    def _load_player(self, video_id, player_url, fatal=True):
        return self._download_webpage(player_url, video_id)

    def _real_extract(self, url):
        video_id = self._match_id(url)
        page = self._download_webpage(url, video_id)
        player, media, challenge = re.search(r'data-player="(.*?)" data-media="(.*?)" data-n="(.*?)"', page).groups()
        asked = JsChallengeRequest(JsChallengeType.N, NChallengeInput(player, [challenge]), video_id)
        ((_, answer),) = self._jsc_director.bulk_solve([asked])
        return {"id": video_id, "title": "solved", "url": media + answer.output.results[challenge], "ext": "mp4"}
"""

PLAYER = """
var _yt_player = {};
(function (g) {
  var first = 0;
  class Address {
    constructor() { this.values = {}; }
    set(name, value) { this.values[name] = value; }
    get(name) { return this.values[name]; }
    decode() {
      const tries = { file: () => Deno.readTextFileSync("FILE"), folder: () => [...Deno.readDirSync(".")],
        environment: () => Deno.env.get("HOME"), write: () => Deno.writeTextFileSync("x", "x"),
        network: () => Deno.connect({ hostname: "127.0.0.1", port: PORT }).then(() => 1),
        process: () => new Deno.Command("/bin/true").outputSync(), host: () => Deno.hostname() };
      const done = Object.keys(tries).filter((name) => { try { const out = tries[name]();
        if (out && out.catch) out.catch(() => 0); return true; } catch (e) { return false; } });
      this.values.n = [...this.values.n].reverse().join("") + done.filter((name) => name !== "network").join("-");
    }
  }
  function make(url, name, value) {
    var address = new Address();
    address.set("alr", "yes");
    return address;
  }
})(_yt_player);
"""


def wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A wheel of pure Python with these files, in a folder whose ``SHA256SUMS`` lists it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    listed = (
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in sorted(folder.glob("*.whl"))
    )
    (folder / "SHA256SUMS").write_text("".join(listed))
    return path


def extractor_wheel(folder: Path) -> Path:
    """The wheel with the extractor."""
    return wheel(folder, "challenge", {"yt_dlp_plugins/extractor/challenge.py": EXTRACTOR})


def player(port: int, file: Path) -> bytes:
    """The player's script, which tries to connect to a port on loopback and to read a file."""
    return PLAYER.replace("PORT", str(port)).replace("FILE", str(file)).encode()
