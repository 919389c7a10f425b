"""One dynamic partition for each video; the key is the video's ID."""

import dagster as dg

videos = dg.DynamicPartitionsDefinition(name="videos")
