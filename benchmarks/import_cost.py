"""Importing the code location, beside importing dagster itself: every run through the daemon pays it again."""

import sys

from measure import Figure, at_most, medians, python, show

ROUNDS = 9
LIMIT = 1.3


def figures() -> list[Figure]:
    """CPU seconds of both imports, medians of alternating fresh processes."""
    names = {"peer": "import dagster", "ours": "import madvision_assets.definitions"}
    # A first import of each compiles nothing later.
    cpu_s = medians({name: python(code) for name, code in names.items()}, ROUNDS)
    claim = "import madvision_assets.definitions / import dagster, CPU s"
    return [at_most(claim, cpu_s["ours"], cpu_s["peer"], LIMIT, "{:.2f} s")]


if __name__ == "__main__":
    sys.exit(not show(figures()))
