-- Dagster's tables: in a schema of their own, which the data API does not show, by a role of their own, which sees no
-- other. A role's tables go by themselves to the schema of its name ("$user" comes first in the search path), so neither
-- dagster.yaml nor the pooler has to be told. The role may log in once it is given a password (README.md).
do $migration$
begin
if not exists (select from pg_roles where rolname = 'dagster') then
  create role dagster;
end if;
grant dagster to current_user;
create schema if not exists dagster authorization dagster;
alter role dagster set search_path = dagster;
revoke all on schema dagster from public, anon, authenticated;
end
$migration$;
