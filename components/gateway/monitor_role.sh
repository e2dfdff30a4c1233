#!/bin/sh
# Gives the database the role of its exporter: statistics, and no table; running it again changes nothing.
# psql reads the role's password itself: it stands in no argument and in no environment.
set -eu
PGPASSWORD="$(cat /run/secrets/postgres-password)"
export PGPASSWORD
exec psql -q -v ON_ERROR_STOP=1 <<'SQL'
SELECT 'CREATE ROLE monitor LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitor') \gexec
\set password `cat /run/secrets/monitor-password`
ALTER ROLE monitor PASSWORD :'password';
GRANT pg_monitor TO monitor;
SQL
