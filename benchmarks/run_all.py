"""`make bench`: every benchmark, one table."""

import sys

import import_cost
from measure import show

BENCHMARKS = (import_cost,)

if __name__ == "__main__":
    sys.exit(not show([figure for benchmark in BENCHMARKS for figure in benchmark.figures()]))
