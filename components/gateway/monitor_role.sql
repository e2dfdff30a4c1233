-- The role of the exporter: statistics, and no table. psql reads the password itself: it stands in no argument.
SELECT 'CREATE ROLE monitor LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitor') \gexec
\set password `cat /run/secrets/monitor-password`
ALTER ROLE monitor PASSWORD :'password';
GRANT pg_monitor TO monitor;
