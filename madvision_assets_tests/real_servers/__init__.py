"""Real servers for tests and trials, on loopback: OpenStack Swift as an S3 server, and PostgreSQL.

Each is a context manager that starts its own processes, waits until they answer, and stops them by their process
IDs. Neither needs root, a system package or the network. A person can run the S3 server as well::

    python -m madvision_assets_tests.real_servers swift FOLDER

prints the environment that points MadVision at it and serves until it is interrupted.
"""

from madvision_assets_tests.real_servers.postgresql import over_tcp, postgres, postgres_programs, postgres_server
from madvision_assets_tests.real_servers.s3 import S3_BUCKET, S3Request, S3Server, swift_s3, swift_server
from madvision_assets_tests.real_servers.servers import Server, free_port

__all__ = [
    "S3_BUCKET",
    "S3Request",
    "S3Server",
    "Server",
    "free_port",
    "over_tcp",
    "postgres",
    "postgres_programs",
    "postgres_server",
    "swift_s3",
    "swift_server",
]
