"""Addresses that operators follow between Dagster's UI and the intake: a video, a clip, a run.

Whoever has one learns a video's ID and nothing else: what is behind it asks for a key or a password, and none stands
in the address.
"""

import re

RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CLIP_SUFFIX = "mp4"


def video_page(base_url: str, video_id: str) -> str:
    """A video's page for operators, on the intake that they reach at ``base_url``."""
    return f"{base_url.rstrip('/')}/internal/video/{video_id}"


def clip_files(base_url: str, video_id: str) -> str:
    """What the addresses of a video's clips begin with, likewise."""
    return f"{video_page(base_url, video_id)}/clips"


def clip_page(base_url: str, video_id: str, clip_id: str) -> str:
    """A clip, to be played, likewise."""
    return f"{clip_files(base_url, video_id)}/{clip_id}.{CLIP_SUFFIX}"


def run_page(dagster_url: str | None, run_id: str | None) -> str | None:
    """A run in Dagster's UI at ``dagster_url``; None where nobody said where that is, or it is no run of Dagster's."""
    if dagster_url is None or run_id is None or RUN_ID.fullmatch(run_id) is None:
        return None
    return f"{dagster_url.rstrip('/')}/runs/{run_id}"
