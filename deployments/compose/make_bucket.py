"""Make a bucket where it is missing: ``make_bucket.py NAME``; the AWS variables say where."""

import sys

import boto3  # type: ignore[import-untyped]

s3 = boto3.client("s3")
if sys.argv[1] not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
    s3.create_bucket(Bucket=sys.argv[1])
