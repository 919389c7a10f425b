"""Print a libpq service file with our database and Dagster's, so that no password stands on a command line.

``[madvision]`` comes from MADVISION_DATABASE_URL, ``[dagster]`` from the DAGSTER_PG_* that dagster.yaml reads.
"""

import os
import sys
from collections.abc import Mapping

from madvision_assets.tools.database import engines

DAGSTER = {
    "host": "DAGSTER_PG_HOST",
    "port": "DAGSTER_PG_PORT",
    "user": "DAGSTER_PG_USERNAME",
    "password": "DAGSTER_PG_PASSWORD",
    "dbname": "DAGSTER_PG_DB",
}
OPTIONAL = {"port", "password"}


def services(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What libpq is to be told of each database.

    Raises:
        ValueError: a variable is missing, or names no PostgreSQL; the message names it.
    """
    missing = [name for key, name in DAGSTER.items() if key not in OPTIONAL and not environment.get(name)]
    if not environment.get("MADVISION_DATABASE_URL"):
        missing.insert(0, "MADVISION_DATABASE_URL")
    if missing:
        raise ValueError(f"set {', '.join(missing)}")
    url = engines.parse(environment["MADVISION_DATABASE_URL"])
    if engines.is_sqlite(url):
        raise ValueError("MADVISION_DATABASE_URL names a SQLite file: copy that file while nothing runs")
    ours = {**url.translate_connect_args(username="user", database="dbname"), **url.query}
    dagster = {key: environment[name] for key, name in DAGSTER.items() if environment.get(name)}
    return {"madvision": {key: str(value) for key, value in ours.items()}, "dagster": dagster}


def main() -> int:
    """Print it; 1 with a sentence where something is missing."""
    try:
        told = services(os.environ)
    except ValueError as error:
        print(f"error: {error}.".replace("..", "."), file=sys.stderr)
        return 1
    for service, parameters in told.items():
        print(f"[{service}]", *(f"{key}={value}" for key, value in parameters.items()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
