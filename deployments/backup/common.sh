# What backup.sh and restore.sh share; sourced by both.
# shellcheck shell=sh
set -eu
umask 077

fail() {
    echo "$(basename "$0" .sh): $*" >&2
    exit 1
}

store() {
    madvision store "$@"
}

# madvision store, told how to reach the backup: options of their own where it is in another account or server.
reaching() {
    option=$1 command=$2
    shift 2
    if [ -n "${BACKUP_S3_ENV:-}" ]; then set -- "$@" "--$option" "$BACKUP_S3_ENV"; fi
    store "$command" "$@"
}

sql() {
    psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "service=$1" --command "$2"
}

# The schema that a database's tables are made in: public, or one of the role's own (Supabase).
schema_of() {
    schema=$(sql "$1" 'select current_schema()') || fail "the database of $1 does not answer."
    [ -n "$schema" ] || fail "the role of $1's database has no schema to make tables in."
    echo "$schema"
}

[ -n "${BACKUP_URL:-}" ] || fail "set BACKUP_URL to file:///folder or s3://bucket/prefix."
[ -n "${MADVISION_STORE_URL:-}" ] || fail "set MADVISION_STORE_URL to the store, file:///folder or s3://bucket/prefix."
BACKUP_URL=${BACKUP_URL%/}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' HUP INT TERM
export PGSERVICEFILE="$scratch/services" PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-10}"
python3 "$(dirname "$0")/pg_services.py" >"$PGSERVICEFILE" || exit 1
