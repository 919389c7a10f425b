#!/bin/sh
# Start SeaweedFS with one identity. Only S3, which asks for keys, listens beyond this container: its other ports ask nobody.
set -eu
umask 077
cat >/tmp/s3.json <<JSON
{"identities": [{
  "name": "madvision",
  "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]
}]}
JSON
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.volumeSizeLimitMB=1024 -volume.max=0 \
    -s3 -s3.config=/tmp/s3.json -s3.ip.bind=0.0.0.0 -s3.port=8333
