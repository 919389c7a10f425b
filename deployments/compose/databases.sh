#!/bin/sh
# Run by the postgres image while its volume is new: a role without special rights, our database and Dagster's.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$DATABASE_PASSWORD" --username "${POSTGRES_USER:-postgres}" <<'SQL'
CREATE ROLE madvision LOGIN PASSWORD :'password';
CREATE DATABASE madvision OWNER madvision;
CREATE DATABASE dagster OWNER madvision;
SQL
