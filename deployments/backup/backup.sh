#!/bin/sh
# A backup of both databases and the store to BACKUP_URL, while everything runs. See README.md.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

# The order makes it consistent: what is dumped later knows all that an earlier dump speaks of. Dagster's runs are in
# our rows, our rows name objects, and objects never change.
time=$(date -u +%Y%m%dT%H%M%SZ)
mkdir "$scratch/dumps" "$scratch/marker"
for database in dagster madvision; do
    schema=$(schema_of "$database") || exit 1
    pg_dump --format=custom --no-owner --no-privileges --schema="$schema" --dbname="service=$database" \
        --file="$scratch/dumps/$database.dump" || fail "the database of $database could not be dumped."
done
(cd "$scratch/dumps" && sha256sum -- *.dump) >"$scratch/marker/SHA256SUMS"

reaching target-env copy "file://$scratch/dumps" "$BACKUP_URL/dumps/$time"
# What somebody is sending goes when it is taken over; here, where nothing is deleted, it would stay for ever.
reaching target-env copy "$MADVISION_STORE_URL" "$BACKUP_URL/objects" --without incoming
# Without this one it is no backup, so it comes last.
reaching target-env copy "file://$scratch/marker" "$BACKUP_URL/dumps/$time"
reaching env prune "$BACKUP_URL/dumps" --keep "${BACKUP_KEEP:-14}"
echo "Backup $time is complete."
