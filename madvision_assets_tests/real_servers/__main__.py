"""Serve S3, for trials by hand."""

import argparse
import signal
import sys
from pathlib import Path

from madvision_assets_tests.real_servers import S3_BUCKET, swift_s3


def main() -> None:
    """Serve S3 from a folder until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=swift_s3.__doc__)
    parser.add_argument("server", choices=["swift"])
    parser.add_argument("folder", type=Path, help="for configuration, data and logs; new or empty")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    signals = {signal.SIGINT, signal.SIGTERM}
    with swift_s3(folder) as server:
        server.create_bucket(S3_BUCKET)
        for name, value in server.environment().items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
