"""Claims about the one spelling of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.addresses import public_address, secrets_in
from madvision_assets.domain.failures import InvalidAddressError
from madvision_assets.tools.download.addresses import canonical_address


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("HTTP://Example.COM:80", "http://example.com/"),
        ("https://example.com:443/a#part", "https://example.com/a"),
        ("https://example.com./a", "https://example.com/a"),
        ("http://example.com:8080/a b.mp4", "http://example.com:8080/a%20b.mp4"),
        ("https://example.com/v?utm_source=x&id=7", "https://example.com/v?id=7"),
        ("https://example.com/v?sig=a%2Fb&x=1", "https://example.com/v?sig=a%2Fb&x=1"),
        ("https://b\u00fccher.example/\u00e4", "https://xn--bcher-kva.example/%C3%A4"),
        ("  https://example.com/a  ", "https://example.com/a"),
        ("http://[::1]:81/a", "http://[::1]:81/a"),
        ("https://example.com/v?utm_source=x&sig=a%2Fb+c", "https://example.com/v?sig=a%2Fb+c"),
        ("example.com/v", "https://example.com/v"),
        ("//www.example.com:8080/v?a=b", "https://www.example.com:8080/v?a=b"),
        ("\u200bhttps://example.com/a\u200b\ufeff \u2060", "https://example.com/a"),
        ("https://stra\u00dfe.example/", "https://xn--strae-oqa.example/"),
        ("https://STRASSE.example/", "https://strasse.example/"),
        ("https://\u03b2\u03cc\u03bb\u03bf\u03c2.com/", "https://xn--nxasmm1c.com/"),
        ("https://\uff57\uff57\uff57\u3002example\u3002com/", "https://www.example.com/"),
        ("https://my_host.example/", "https://my_host.example/"),
        ("https://\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example/", "https://xn--mgba3gch31f060k.example/"),
        ("https://XN--STRAE-OQA.example/", "https://xn--strae-oqa.example/"),
        ("https://b\u00dcCHER.example/\u06cc\u200c\u06cc", "https://xn--bcher-kva.example/%DB%8C%E2%80%8C%DB%8C"),
        ("https://bu\u0308cher.example/", "https://xn--bcher-kva.example/"),
        ("http://[0:0:0:0:0:0:0:1]/a", "http://[::1]/a"),
        ("http://[2001:4860:4860:0:0:0:0:8888]/", "http://[2001:4860:4860::8888]/"),
        ("http://[::FFFF:1.2.3.4]/", "http://[::ffff:102:304]/"),
        ("https://example.com/%7euser/%61%2f%c3%a4", "https://example.com/~user/a%2F%C3%A4"),
        ("https://example.com/a/./b/../c/%2e%2e/d//e", "https://example.com/a/d//e"),
        ("https://example.com/../..", "https://example.com/"),
        ("https://example.com/v?a=1&amp;b=2&amp;utm_source=x", "https://example.com/v?a=1&b=2"),
        ("https://example.com/v?UTM_Source=x&id=7", "https://example.com/v?id=7"),
        ("<https://example.com/a>", "https://example.com/a"),
        ("(\u201chttps://example.com/a\u201d).", "https://example.com/a"),
        ("https://example.com/a\u2026)!", "https://example.com/a"),
        ("https://example.com/a,#part", "https://example.com/a"),
        ("https://example.com/v?id=7).&utm_source=x", "https://example.com/v?id=7"),
        ("https://example.com/a_(b)", "https://example.com/a_(b)"),
        ("(https://example.com/a_(b))", "https://example.com/a_(b)"),
        ("https://example.com/app#/videos/7", "https://example.com/app#/videos/7"),
        ("https://example.com/app#!/videos/7?t=5", "https://example.com/app#!/videos/7?t=5"),
        ("https://example.com/app#id=7", "https://example.com/app#id=7"),
        *(
            (f"https://example.com/a#{part}", "https://example.com/a")
            for part in ("/", "!", "!/", "t=30", ":~:text=a/b", "top")
        ),
        *(
            (text.replace("URL", "https://example.com/a_(b)?c=d"), "https://example.com/a_(b)?c=d")
            for text in (
                "Watch this: URL",
                "Look\u00a0at this \u2013 it is 12:30 long! (URL). Sent from a phone",
                "\u3010\u6f14\u8bb2\u3011 > URL \U0001f44d\ufe0f #talk @somebody / 5",
                "A title\nURL\r\n",
                "[a video](URL)",
                "see [a (good) video](<URL>), please",
                '[](URL "A title")',
                "[URL](URL)",
                "Video: \u201cURL\u201d",
                "javascript: URL",
            )
        ),
        ("See https://h.example/v?u=https://example.com/a", "https://h.example/v?u=https://example.com/a"),
        ("https:/www.example.com/a", "https://www.example.com/a"),
        ("HTTP:/example.com:81/a b", "http://example.com:81/a%20b"),
    ],
)
def test_one_address_has_one_spelling(typed: str, canonical: str) -> None:
    assert canonical_address(typed) == canonical
    assert canonical_address(canonical) == canonical


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "talk.mp4",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://h/a",
        "http://",
        "http:///a",
        "http://h:99999/",
        "http://user:secret@h/",
        "http://h/\x00",
        "http://h/a\nb",
        "http://h/" + "a" * 10_000,
        "http://[::1",
        "data:text/html,x",
        "user:secret@example.com/a",
        "localhost/a",
        "folder/talk.mp4",
        "http://\u2764\ud83d.example/",
        "https://exa mple.com/a",
        "https://a..b.example/",
        "https://.example.com/",
        f"https://{'a' * 64}.example/",
        "https://a|b.example/",
        "https://b%C3%BCcher.example/",
        "https://ab\u200cc.example/",
        "https://example.com/a\u200bb",
        "https://example.com/a\u202eb",
        "https://exa\u2066mple.com/a",
        "http://[v1.x]/",
        "https://example.com/" + "\u00e4" * 2000,
    ],
)
def test_what_is_no_address_of_a_video_is_refused(typed: str) -> None:
    with pytest.raises(InvalidAddressError):
        canonical_address(typed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *(
            (text, "several addresses")
            for text in (
                "https://example.com/a https://example.com/b",
                "https://example.com/a\nhttps://example.com/b",
                "Part 1: https://example.com/a, part 2: https://example.com/b",
                "[![x](https://example.com/x.png)](https://example.com/a)",
                "[https://example.com/a](https://example.com/b)",
                "example.com/a or https://example.com/b",
            )
        ),
        *(
            (f"{before}https://example.com/a{after}", "more than words")
            for before, after in (
                ("javascript:alert(1) ", ""),
                ("(javascript:alert(1)) ", ""),
                ("file:///x ", ""),
                ("See ", " file:///x"),
                ("See ", " (jar:x)"),
                ("x=http://127.0.0.1/ ", ""),
                ("user:secret@example.com ", ""),
                ("See ", " secret@127.0.0.1"),
                ("/etc/passwd ", ""),
                ("\\\\127.0.0.1\\c$ ", ""),
                ("[x](/etc/passwd) ", ""),
            )
        ),
        ("See https://user:secret@example.com/", "credentials"),
        ("See \x00 https://example.com/", "control characters"),
        ("See\x1fthis https://example.com/", "control characters"),
        ("javascript:https://example.com/", "only http:// and https://"),
        ("see=https://example.com/", "only http:// and https://"),
        ("http:/127.0.0.1/a", "names no host"),
        ("https:/user@example.com/a", "names no host"),
    ],
)
def test_a_text_is_refused_that_could_be_read_as_another_address(text: str, told: str) -> None:
    with pytest.raises(InvalidAddressError, match=told):
        canonical_address(text)


def test_a_refused_password_is_not_repeated() -> None:
    with pytest.raises(InvalidAddressError) as caught:
        canonical_address("http://user:secret@h/")
    assert "secret" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_canonical_or_refused(text: str) -> None:
    for typed in (text, "http://" + text, "https://example.com/" + text):
        try:
            once = canonical_address(typed)
        except InvalidAddressError:
            continue
        assert canonical_address(once) == once


YOUTUBE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
INSTAGRAM = "https://www.instagram.com/p/aye83DjauH/"


@pytest.mark.parametrize(
    ("spelled", "video"),
    [
        *((spelled, YOUTUBE) for spelled in (
            "https://www.youtube.com/watch/dQw4w9WgXcQ",
            "https://youtube.com//watch?v=dQw4w9WgXcQ",
            "https://www.youtube.com/watch/?v=dQw4w9WgXcQ&t=42s&si=aBcDeFgH12345678",
            "https://www.youtube.com/attribution_link?a=8g8kPrPIi-ecwIsS&u=%2Fwatch%3Fv%3DdQw4w9WgXcQ%26feature%3Dshare",
            "https://m.youtube.com/attribution_link?u=/watch?v=dQw4w9WgXcQ&a=x",
            "https://music.youtube.com/watch?v=dQw4w9WgXcQ&list=RDAMVMdQw4w9WgXcQ",
            "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ?start=3",
            "https://www.youtube.com/shorts/dQw4w9WgXcQ?feature=share",
            "https://www.youtube.com/live/dQw4w9WgXcQ?si=x",
            "https://youtu.be/dQw4w9WgXcQ?si=aBcDeFgH12345678&t=5",
            "youtube.com/watch?v=dQw4w9WgXcQ",
            "youtu.be/dQw4w9WgXcQ\u200b",
            "(https://youtu.be/dQw4w9WgXcQ)\u2026",
            "<https://www.youtube.com/shorts/dQw4w9WgXcQ>,",
            "https://youtu.be/dQw4w9WgXcQ&t=5",
            "https://youtu.be/watch?v=dQw4w9WgXcQ&list=PLMC9KNkIncKtPzgY",
            "https://www.youtube.com/watch?list=PLMC9KNkIncKtPzgY&amp;index=3&amp;v=dQw4w9WgXcQ",
            "https://www.youtube.com/attribution_link?u=https%3A%2F%2Fwww.youtube.com%2Fshorts%2FdQw4w9WgXcQ",
            "https://youtube.googleapis.com/v/dQw4w9WgXcQ",
            "https://www.youtube.com/watch?feature=x&vi=dQw4w9WgXcQ",
            "https://m.youtube.com/?v=dQw4w9WgXcQ",
            "https://www.youtube.com/vi/dQw4w9WgXcQ?t=5",
            "https://www.youtube.com/watch?list=PLMC9KNkIncKtPzgY&amp%3Bv=dQw4w9WgXcQ",
            "https://www.youtube.com/watch?list=PLMC9KNkIncKtPzgY&amp%253bamp;v=dQw4w9WgXcQ",
            "http://www.youtube.com:443/watch?v=dQw4w9WgXcQ",
            "https://youtu.be:80/dQw4w9WgXcQ",
        )),
        *((spelled, INSTAGRAM) for spelled in (
            "https://www.instagram.com/reel/aye83DjauH/?igsh=MTc4MmM1YmI2Ng==",
            "https://instagram.com/reels/aye83DjauH",
            "https://www.instagram.com/somebody/reel/aye83DjauH/?utm_source=ig_web_copy_link&img_index=2",
            "https://www.instagram.com/tv/aye83DjauH/",
            "https://www.instagram.com/p/aye83DjauH/embed/captioned/",
            "https://instagr.am/p/aye83DjauH?hl=en",
        )),
        ("https://www.twitch.tv/videos/6528877?t=5m10s", "https://www.twitch.tv/videos/6528877"),
        *((f"https://{spelled}", "https://x.com/i/status/643211948184596480") for spelled in (
            "twitter.com/u/status/643211948184596480?s=20&t=abc",
            "x.com/Another_Name/status/643211948184596480/",
            "twitter.com/i/web/status/643211948184596480",
            "mobile.twitter.com/statuses/643211948184596480",
        )),
        ("https://mobile.x.com/u/status/643211948184596480/video/2", "https://x.com/i/status/643211948184596480/video/2"),
        *((f"https://{spelled}", "https://www.twitch.tv/videos/6528877") for spelled in (
            "m.twitch.tv/videos/6528877",
            "www.twitch.tv/riotgames/v/6528877",
            "go.twitch.tv/riotgames/video/6528877?filter=archives&sort=time",
            "player.twitch.tv/?t=5m10s&video=v6528877&parent=example.com",
        )),
        *((f"https://{spelled}", "https://clips.twitch.tv/FaintLightGullWholeWheat-x_1") for spelled in (
            "www.twitch.tv/rains8/clip/FaintLightGullWholeWheat-x_1?filter=clips&range=7d",
            "m.twitch.tv/clip/FaintLightGullWholeWheat-x_1",
            "clips.twitch.tv/embed?clip=FaintLightGullWholeWheat-x_1&parent=example.com",
            "clips.twitch.tv/FaintLightGullWholeWheat-x_1?tt_medium=redt",
        )),
        *((f"https://{spelled}", "https://www.facebook.com/watch/?v=6475") for spelled in (
            "m.facebook.com/watch?v=6475&fbclid=x",
            "de-de.facebook.com/watch/live/?ref=watch_permalink&v=6475",
            "www.facebook.com/video.php?v=6475",
            "m.facebook.com/reel/6475/?s=single_unit",
            "web.facebook.com/some.body/videos/a-title/6475/?__tn__=F",
        )),
        ("https://fb.watch/kXz1/?mibextid=x", "https://fb.watch/kXz1/"),
        *((f"https://{spelled}", "https://www.reddit.com/comments/6rrwyj") for spelled in (
            "old.reddit.com/r/videos/comments/6rrwyj/that_small_heart_attack/?utm_source=share&context=3",
            "www.reddit.com/r/videos/comments/6rrwyj/comment/djk1234/",
            "www.reddit.com/user/some-body/comments/6rrwyj/x",
            "redd.it/6rrwyj",
        )),
        *((f"https://{spelled}", "https://drive.google.com/file/d/0ByeS4oOUV-49Zzh4/view") for spelled in (
            "drive.google.com/uc?id=0ByeS4oOUV-49Zzh4&export=download",
            "docs.google.com/a/example.com/file/d/0ByeS4oOUV-49Zzh4/edit?pli=1",
            "drive.google.com/file/u/1/d/0ByeS4oOUV-49Zzh4/preview",
            "drive.usercontent.google.com/download?id=0ByeS4oOUV-49Zzh4&confirm=t&uuid=a1b2c3d4e5f6",
        )),
        ("https://drive.google.com/open?id=X&resourcekey=0-k&usp=drive_fs", "https://drive.google.com/file/d/X/view?resourcekey=0-k"),
        *((f"https://{spelled}", "https://www.bilibili.com/video/BV13x41117TL") for spelled in (
            "m.bilibili.com/video/BV13x41117TL/?spm_id_from=333.337&vd_source=x",
            "b23.tv/BV13x41117TL",
            "www.bilibili.com/video/BV13x41117TL?p=1",
            "player.bilibili.com/player.html?aid=1&bvid=BV13x41117TL&page=1",
        )),
        ("https://www.bilibili.com/video/BV13x41117TL/?p=2&t=5", "https://www.bilibili.com/video/BV13x41117TL?p=2"),
        ("https://vimeo.com/video/76979871/", "https://vimeo.com/76979871"),
        ("https://player.vimeo.com/video/76979871?dnt=1&app_id=122963#t=5", "https://player.vimeo.com/video/76979871"),
        ("https://player.vimeo.com/video/76979871?badge=0&h=1234abcd56", "https://player.vimeo.com/video/76979871?h=1234abcd56"),
        ("https://vimeo.com/76979871/1234abcd56/?share=copy", "https://vimeo.com/76979871/1234abcd56"),
        ("https://m.tiktok.com/v/6748451240264420610.html?_r=1", "https://www.tiktok.com/embed/6748451240264420610"),
        ("https://www.loom.com/share/My-talk-43d05f362f734614a2e81b4694a3a523?sid=x", "https://www.loom.com/share/43d05f362f734614a2e81b4694a3a523"),
        ("https://home.wistia.com/medias/sh7fpupwlt", "https://fast.wistia.net/embed/iframe/sh7fpupwlt"),
        ("https://m.soundcloud.com/a/b?secret_token=s-8Pjrp&si=x", "https://soundcloud.com/a/b/s-8Pjrp"),
        ("https://vimeo.com/76979871?share=copy&fl=sv&fe=ci", "https://vimeo.com/76979871"),
        ("https://drive.google.com/file/d/X/view?usp=sharing&resourcekey=0-k", "https://drive.google.com/file/d/X/view?resourcekey=0-k"),
        ("https://www.facebook.com/watch/?v=6475&mibextid=x", "https://www.facebook.com/watch/?v=6475"),
        *((f"https://{spelled}", "https://vk.com/video-1_2") for spelled in (
            "m.vk.com/video-1_2?from=video",
            "vkvideo.ru/video-1_2?t=5s&utm_source=x",
            "vk.ru/video-1_2/",
        )),
        ("https://m.vk.com/video1_2?list=ca5&from=x", "https://vk.com/video1_2?list=ca5"),
        ("https://vkvideo.ru/clip-1_2", "https://vk.com/clip-1_2"),
        ("https://www.bbc.com/news/a?at_medium=x&at_link_id=z&at_campaign=y&b=c", "https://www.bbc.com/news/a?b=c"),
        ("https://www.bbc.co.uk/news/a?at_format=x", "https://www.bbc.co.uk/news/a"),
        ("https://example.com/a?at_medium=x&at_campaign=y&at_time=5", "https://example.com/a?at_time=5"),
        ("https://dai.ly/x5kesuj", "https://www.dailymotion.com/video/x5kesuj"),
    ],
)  # fmt: skip
def test_a_video_of_a_site_has_one_spelling_whoever_shared_it(spelled: str, video: str) -> None:
    assert canonical_address(spelled) == video
    assert canonical_address(video) == video


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/v?t=5&s=2&si=1&igshx=3",
        "https://www.youtube.com.example.com/watch/dQw4w9WgXcQ",
        "https://www.youtube.com:8443/watch/dQw4w9WgXcQ",
        "https://img.youtube.com/vi/dQw4w9WgXcQ/0.jpg",
        "http://example.com:443/a",
        "https://example.com:80/a",
        "https://example.com/a?sig=amp%3Bv&ampere=1",
        "https://vk.com/videos-1?z=video-1_2%2Fbb50cacd3177146d7a",
        "https://www.facebook.com/reel/?v=6475",
        "https://www.youtube.com/embed/videoseries?list=PLMC9KNkIncKtPzgY",
        "https://www.youtube.com/embed/live_stream?channel=UC1",
        "https://www.youtube.com/attribution_link?u=%2Fattribution_link%3Fu%3D%252Fwatch",
        "https://www.youtube.com/playlist?list=PLMC9KNkIncKtPzgY",
        "https://vimeo.com/76979871/1234abcd56",
        "https://www.youtube.com/attribution_link?u=//evil.example/watch?v=dQw4w9WgXcQ",
        "https://www.instagram.com/share/reel/BAabcdef",
        "https://l.instagram.com/?u=https%3A%2F%2Fexample.com%2Fv",
        "https://www.twitch.tv/riotgames/videos",
        "https://www.reddit.com/r/videos/s/AbCdEf123",
        "https://v.redd.it/zv89llsvexdz",
        "https://soundcloud.com/search/sounds?q=talk",
        "https://b23.tv/abcdef",
        "https://vm.tiktok.com/ZMabc/",
        "https://x.com/i/broadcasts/1ypKdEePLPqxW",
        "https://www.facebook.com/share/v/abc/",
        "https://drive.google.com/drive/folders/0ByeS4oOUV-49Zzh4",
        "https://www.loom.com/share/folder/997db4db046f43e5912f10dc5f817b5c",
        "https://music.163.com/#/song?id=550136151",
    ],
)
def test_what_may_name_another_video_is_left_as_it_is(address: str) -> None:
    assert canonical_address(address) == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://clyp.it/ojz2wfah?token=b0078e077e15", "https://clyp.it/ojz2wfah?token=***"),
        ("https://example.com/v.mp4?X-Amz-Signature=abc&X-Amz-Credential=AKIA7", "https://example.com/v.mp4?X-Amz-Signature=***&X-Amz-Credential=***"),
        ("https://vimeo.com/76979871/1234abcd56", "https://vimeo.com/76979871/***"),
        ("https://player.vimeo.com/video/76979871?h=1234abcd56", "https://player.vimeo.com/video/76979871?h=***"),
        ("https://drive.google.com/file/d/0ByeS4/view?resourcekey=0-k", "https://drive.google.com/file/d/0ByeS4/view?resourcekey=***"),
        ("https://www.dropbox.com/scl/fi/a/b.mp4?rlkey=x1", "https://www.dropbox.com/scl/fi/a/b.mp4?rlkey=***"),
        ("https://soundcloud.com/a/b/s-8Pjrp", "https://soundcloud.com/a/b/***"),
        ("https://user:password@example.com/v#key", "https://example.com/v"),
        ("https://example.com/v?x=9f8e7d6c5b4a39281", "https://example.com/v?x=***"),
        ("https://example.com/v.mp4?Zx81kQw92LmPq0Rt7", "https://example.com/v.mp4?***"),
        ("https://example.com/v.mp4?download", "https://example.com/v.mp4?download"),
        ("https://example.com/hls/token=abcdef1234567890/v.m3u8", "https://example.com/hls/token=***/v.m3u8"),
        ("https://example.com/v;jsessionid=0A1B2C3D4E5F/v.mp4", "https://example.com/v;jsessionid=***/v.mp4"),
        ("https://example.com/hdnts=exp=1700000000~acl=/*~hmac=0a1b2c3d4e5f6071/v.m3u8", "https://example.com/hdnts=***~acl=/*~hmac=***/v.m3u8"),
        ("https://example.com/a=b;c=d/w=1280~q=80/v.mp4", "https://example.com/a=b;c=d/w=1280~q=80/v.mp4"),
        ("https://example.com/go?u=https%3A%2F%2Fx.example%2Fv%3Ftoken%3Dhunterhunter", "https://example.com/go?u=https%3A%2F%2Fx.example%2Fv%3Ftoken%3D***"),
        ("https://example.com/go?u=https%3A%2F%2Fx.example%2Fv%3Fid%3D7&a=1", "https://example.com/go?u=https%3A%2F%2Fx.example%2Fv%3Fid%3D7&a=1"),
        ("https://x.org/go?u=https%3A%2F%2Fh.org%2FabCD12ef34GH56%2Fv.mp4", "https://x.org/go?u=***"),
        ("https://x.org/go?u=https%3A%2F%2Fh.org%2Fv%23access_token%3DabCD12ef34GH56", "https://x.org/go?u=***"),
        ("https://x.org/go?u=https%3A%2F%2Fme%3Ahunter2hunter%40h.org%2Fv", "https://x.org/go?u=***"),
        ("https://x.org/exp=1/v1/film1.mp4", "https://x.org/exp=1/v1/film1.mp4"),
        ("https://1drv.ms/v/s!AkIj0kZ?e=AbCdEf", "https://1drv.ms/v/s!AkIj0kZ?e=***"),
        ("https://x.sharepoint.com/:v:/g/a/EaB?e=4%3aAbC&download=1", "https://x.sharepoint.com/:v:/g/a/EaB?e=***&download=1"),
        (YOUTUBE, YOUTUBE),
        ("https://example.com/v?videoId=9f8e7d6c5b4a&page=2&q=season12", "https://example.com/v?videoId=9f8e7d6c5b4a&page=2&q=season12"),
    ],
)  # fmt: skip
def test_others_are_shown_an_address_without_what_lets_somebody_in(address: str, shown: str) -> None:
    assert public_address(address) == shown
    assert not any(secret in shown for secret in secrets_in(address))
    assert bool(secrets_in(address)) == ("***" in shown)
