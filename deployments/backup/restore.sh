#!/bin/sh
# Bring a backup back: restore.sh [--force] [TIME]. Stop everything first. See README.md.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"

force=
if [ "${1:-}" = --force ]; then
    force=yes
    shift
fi
time=${1:-}

# Nothing is touched before all of this is well.
keys=$(reaching env list "$BACKUP_URL/dumps")
whole=$(echo "$keys" | sed -n 's,/SHA256SUMS$,,p' | sort)
[ -n "$time" ] || time=$(echo "$whole" | tail -n 1)
[ -n "$time" ] || fail "there is no complete backup at $BACKUP_URL."
echo "$whole" | grep -qxF -- "$time" || fail "there is no complete backup $time at $BACKUP_URL."
mkdir "$scratch/dumps"
reaching source-env copy "$BACKUP_URL/dumps/$time" "file://$scratch/dumps"
(cd "$scratch/dumps" && sha256sum --check --quiet SHA256SUMS) || fail "the dumps of $time are damaged."

# Rows in a table, 0 without it.
rows_of() {
    there=$(sql "$1" "select to_regclass('$2') is not null") || fail "the database of $1 does not answer."
    if [ "$there" = t ]; then sql "$1" "select count(*) from $2"; else echo 0; fi
}
if [ -z "$force" ]; then
    rows=$(rows_of madvision videos)
    [ "$rows" = 0 ] || fail "the database of madvision holds $rows videos; --force replaces them."
    runs=$(rows_of dagster runs)
    [ "$runs" = 0 ] || fail "the database of dagster holds $runs runs; --force replaces them."
    objects=$(store list "$MADVISION_STORE_URL" --limit 1)
    [ -z "$objects" ] || fail "the store is not empty; --force adds to it what is missing."
fi
others=$(sql madvision "select count(*) from pg_stat_activity
    where datname = current_database() and application_name = 'madvision'")
[ "$others" = 0 ] || fail "$others connections of madvision are open: stop intake, daemon and runs first."

reaching source-env copy "$BACKUP_URL/objects" "$MADVISION_STORE_URL"
for database in dagster madvision; do
    schema=$(schema_of "$database") || exit 1
    pg_restore --clean --if-exists --no-owner --no-privileges --single-transaction --schema="$schema" \
        --dbname="service=$database" "$scratch/dumps/$database.dump" ||
        fail "the database of $database was left as it was. Mend the cause, and restore again with --force."
done
madvision migrate
store rebuild-lineage
store verify
echo "Backup $time is restored."
