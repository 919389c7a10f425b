"""`make bench`: every benchmark, one table."""

import sys

import analyst_calls
import catalogue
import cpu_per_video
import cpu_speech
import cutting
import gpu_speech
import import_cost
import listing
import pods
import queue_size
import reframing
import row_to_finish
import search
import store_throughput
import submissions_per_second
from measure import show

BENCHMARKS = (
    analyst_calls,
    import_cost,
    submissions_per_second,
    queue_size,
    listing,
    search,
    catalogue,
    row_to_finish,
    cpu_per_video,
    store_throughput,
    pods,
    cpu_speech,
    gpu_speech,
    reframing,
    cutting,
)

if __name__ == "__main__":
    sys.exit(not show([figure for benchmark in BENCHMARKS for figure in benchmark.figures()]))
