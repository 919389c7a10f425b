"""How sites spell the address of one and the same video, brought to the one spelling that we keep, without the network.

Only what the spelling itself tells for sure: what asks the site (``vm.tiktok.com``, ``redd.it``'s videos, ``b23.tv``'s
short links) is left as it is. A secret stays where it is, so that it goes on telling one submission from another.
"""

import re
from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, urlsplit

_YOUTUBE_HOST = re.compile(r"(?:[a-z-]+\.)?youtube(?:-nocookie|kids)?\.com|youtube\.googleapis\.com")
_VK_SHARING = re.compile(r"from|ref|t|utm_\w+")
# The port of the other scheme: the site itself answers at both.
_OTHER_PORT = re.compile(r":(?:80|443)\Z")


def spelled_by_site(parts: SplitResult) -> str | None:
    """The one spelling of a site that is known to have several; None where there is nothing to say.

    Args:
        parts: with scheme and host in small letters.
    """
    parts = parts._replace(netloc=_OTHER_PORT.sub("", parts.netloc))
    found = (spell(parts) for known, spell in _SPELLINGS if known.fullmatch(parts.netloc))
    return next((spelled for spelled in found if spelled), None)


def _only(parts: SplitResult, name: str) -> str:
    """The first value of a parameter; blank where it is not there."""
    return parse_qs(parts.query).get(name, [""])[0]


def _youtube(parts: SplitResult) -> str | None:
    path = re.sub("/+", "/", parts.path)
    if path == "/attribution_link" and (target := _only(parts, "u")):
        inner = urlsplit(target)
        ours = inner.netloc == "" or _YOUTUBE_HOST.fullmatch(inner.netloc.lower())
        return _youtube(inner) if ours and inner.path != path else None
    asked = path.rstrip("/") in {"", "/watch", "/watch_popup", "/ytscreeningroom"}
    video_id = (_only(parts, "v") or _only(parts, "vi")) if asked else ""
    # Below /vi/ID/ lie its thumbnails.
    found = re.match(r"/(?:(?:watch|v|e|embed|shorts|live)/([\w-]{11})(?=[/&?]|$)|vi/([\w-]{11})/*$)", path, re.ASCII)
    video_id = video_id or (found[1] or found[2] if found else "")
    is_one = re.fullmatch(r"[\w-]{11}", video_id, re.ASCII) and video_id not in {"videoseries", "live_stream"}
    return f"https://www.youtube.com/watch?v={video_id}" if is_one else None


def _youtu_be(parts: SplitResult) -> str | None:
    found = re.match(r"/+([\w-]{11})(?:/*$|&)", parts.path, re.ASCII)
    return f"https://www.youtube.com/watch?v={found[1]}" if found else _youtube(parts)


def _vimeo(parts: SplitResult) -> str | None:
    """Without what says how its player looks; a private video's hash (``h``) stays where its address has it."""
    found = re.fullmatch(r"/(?:videos?/)?(\d+)(/[0-9a-f]{6,})?/*", parts.path, re.ASCII)
    if not found:
        return None
    in_player, secret = parts.netloc.startswith("player."), _only(parts, "h")
    query = f"?h={secret}" if re.fullmatch(r"\w+", secret, re.ASCII) else ""
    if in_player and not found[2]:
        return f"https://player.vimeo.com/video/{found[1]}{query}"
    return f"https://vimeo.com/{found[1]}{found[2] or ''}{query}"


def _instagram(parts: SplitResult) -> str | None:
    # What /share/ leads to is another name, which only the site knows.
    path = re.fullmatch(
        r"(?:/(?!share/)[\w.]+)?/(?:p|tv|reels?)/([\w-]+)(?:/embed(?:/captioned)?)?/*", parts.path, re.ASCII
    )
    return f"https://www.instagram.com/p/{path[1]}/" if path and path[1] not in {"audio", "videos"} else None


def _x(parts: SplitResult) -> str | None:
    """By the number alone: under whatever name, an old one too, a site of numbers shows the same."""
    found = re.match(r"/(?:(?:i/web|\w+)/status|statuses)/(\d+)(/(?:video|photo)/\d+)?/*$", parts.path, re.ASCII)
    return f"https://x.com/i/status/{found[1]}{found[2] or ''}" if found else None


def _facebook(parts: SplitResult) -> str | None:
    path = parts.path.rstrip("/")
    found = re.fullmatch(r"/(?:reel|[\w.-]+/videos(?:/[^/]+)?)/(\d+)", path, re.ASCII)
    number = _only(parts, "v") if path in {"/watch", "/watch/live", "/video.php"} else (found[1] if found else "")
    return f"https://www.facebook.com/watch/?v={number}" if re.fullmatch(r"[0-9]+", number) else None


def _twitch(parts: SplitResult) -> str | None:
    if parts.netloc == "clips.twitch.tv":
        found = re.fullmatch(r"/([\w-]+)/*", parts.path, re.ASCII)
        slug = found[1] if found else ""
        slug = _only(parts, "clip") if slug == "embed" else slug
        return f"https://clips.twitch.tv/{slug}" if re.fullmatch(r"[\w-]+", slug, re.ASCII) else None
    if found := re.fullmatch(r"(?:/\w+)?/clip/([\w-]+)/*", parts.path, re.ASCII):
        return f"https://clips.twitch.tv/{found[1]}"
    number = _only(parts, "video").removeprefix("v") if parts.netloc == "player.twitch.tv" else ""
    found = re.fullmatch(r"/(?:\w+/v(?:ideo)?|videos)/(\d+)/*", parts.path, re.ASCII)
    number = number or (found[1] if found else "")
    return f"https://www.twitch.tv/videos/{number}" if re.fullmatch(r"[0-9]+", number) else None


def _dailymotion(parts: SplitResult) -> str | None:
    found = re.fullmatch(r"/(\w+)/*", parts.path, re.ASCII)
    return f"https://www.dailymotion.com/video/{found[1]}" if found else None


def _tiktok(parts: SplitResult) -> str | None:
    found = re.fullmatch(r"/(?:v|(?:embed|player)/v\d)/(\d+)(?:\.html)?/*", parts.path, re.ASCII)
    return f"https://www.tiktok.com/embed/{found[1]}" if found else None


def _reddit(parts: SplitResult) -> str | None:
    post = r"/(?:(?:r|u|user)/[\w-]+/)?comments/(\w+)(?:/.*)?" if parts.netloc != "redd.it" else r"/(\w+)/*"
    found = re.fullmatch(post, parts.path, re.ASCII)
    return f"https://www.reddit.com/comments/{found[1].lower()}" if found else None


def _google_drive(parts: SplitResult) -> str | None:
    found = re.match(r"(?:/a/[\w.-]+)?/file/(?:u/\d+/)?d/([\w-]+)(?:/|$)", parts.path, re.ASCII)
    given = _only(parts, "id") if re.fullmatch(r"(?:/u/\d+)?/(?:uc|open|download)", parts.path, re.ASCII) else ""
    file_id, key = (found[1] if found else given), _only(parts, "resourcekey")
    if not re.fullmatch(r"[\w-]+", file_id, re.ASCII):
        return None
    query = f"?resourcekey={key}" if re.fullmatch(r"[\w-]+", key, re.ASCII) else ""
    return f"https://drive.google.com/file/d/{file_id}/view{query}"


def _loom(parts: SplitResult) -> str | None:
    found = re.fullmatch(r"/(?:share|embed)/(?:[^/]*-)?([0-9a-f]{32})/*", parts.path)
    return f"https://www.loom.com/share/{found[1]}" if found else None


def _wistia(parts: SplitResult) -> str | None:
    found = re.fullmatch(r"/(?:embed/)?(?:iframe|medias)/([a-z0-9]{10})(?:\.\w+)?/*", parts.path, re.ASCII)
    return f"https://fast.wistia.net/embed/iframe/{found[1]}" if found else None


def _soundcloud(parts: SplitResult) -> str | None:
    """One host; a secret link's token is in the path, or beside it."""
    found = re.fullmatch(r"(/(?!search/|discover/|you/)[\w-]+/[\w-]+)(/s-[\w-]+)?/*", parts.path, re.ASCII)
    token = _only(parts, "secret_token")
    in_path = (found[2] if found else None) or (f"/{token}" if re.fullmatch(r"s-[\w-]+", token, re.ASCII) else "")
    return f"https://soundcloud.com{found[1]}{in_path}" if found else None


def _bilibili(parts: SplitResult) -> str | None:
    given = _only(parts, "bvid") if parts.netloc == "player.bilibili.com" else ""
    found = re.fullmatch(r"(?:/video)?/(BV1\w{9})/*", f"/{given}" if given else parts.path, re.ASCII)
    part = _only(parts, "p") or _only(parts, "page")
    query = f"?p={int(part)}" if re.fullmatch(r"[0-9]{1,4}", part) and int(part) > 1 else ""
    return f"https://www.bilibili.com/video/{found[1]}{query}" if found else None


def _vk(parts: SplitResult) -> str | None:
    """One host; what else is asked for, as the key of a list that lets somebody in, stays where it is."""
    found = re.fullmatch(r"/(video|clip)(-?\d+_\d+)/*", parts.path, re.ASCII)
    kept = [each for each in parts.query.split("&") if each and not _VK_SHARING.fullmatch(each.partition("=")[0])]
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"https://vk.com/{found[1]}{found[2]}{query}" if found else None


_SPELLINGS: tuple[tuple[re.Pattern[str], Callable[[SplitResult], str | None]], ...] = (
    (_YOUTUBE_HOST, _youtube),
    (re.compile(r"(?:www\.)?youtu\.be"), _youtu_be),
    (re.compile(r"(?:www\.|player\.)?vimeo\.com"), _vimeo),
    (re.compile(r"(?:www\.|m\.)?(?:instagram\.com|instagr\.am)"), _instagram),
    (re.compile(r"(?:www\.|m\.|mobile\.)?(?:twitter|x)\.com"), _x),
    (re.compile(r"(?:(?:www|m|mobile|mbasic|web|touch|[a-z]{2}-[a-z]{2})\.)?facebook\.com"), _facebook),
    (re.compile(r"(?:(?:www|m|go|player|clips)\.)?twitch\.tv"), _twitch),
    (re.compile(r"(?:www\.)?dai\.ly"), _dailymotion),
    (re.compile(r"(?:www\.|m\.)?tiktok\.com"), _tiktok),
    (re.compile(r"(?:(?:www|old|new|np|m|i|sh|amp)\.)?reddit\.com|redd\.it"), _reddit),
    (re.compile(r"(?:drive|docs|drive\.usercontent)\.google\.com"), _google_drive),
    (re.compile(r"(?:www\.)?loom\.com"), _loom),
    (re.compile(r"[\w-]+\.wistia\.(?:net|com)"), _wistia),
    (re.compile(r"(?:www\.|m\.)?soundcloud\.com"), _soundcloud),
    (re.compile(r"(?:(?:www|m|new)\.)?vk\.(?:com|ru)|(?:(?:www|m|vksport)\.)?vkvideo\.ru"), _vk),
    (re.compile(r"(?:(?:www|m|player)\.)?bilibili\.com|b23\.tv"), _bilibili),
)
