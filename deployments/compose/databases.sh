#!/bin/sh
# Run by the postgres image while its volume is new: our database and Dagster's, each with a role that sees no other.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$DATABASE_PASSWORD" --set dagster="$DAGSTER_DATABASE_PASSWORD" \
    --username "${POSTGRES_USER:-postgres}" <<'SQL'
CREATE ROLE madvision LOGIN PASSWORD :'password';
CREATE ROLE dagster LOGIN PASSWORD :'dagster';
CREATE DATABASE madvision OWNER madvision;
CREATE DATABASE dagster OWNER dagster;
REVOKE ALL ON DATABASE madvision, dagster FROM PUBLIC;
SQL
