#!/bin/bash
# The official image's contract: an empty PGDATA becomes a cluster with POSTGRES_USER, POSTGRES_DB and a password.
set -euo pipefail
[[ "${1:-}" != -* ]] || set -- postgres "$@"
[[ "${1:-}" == postgres ]] || exec "$@"

if [[ -n "${POSTGRES_PASSWORD_FILE:-}" ]]; then
    POSTGRES_PASSWORD="$(< "$POSTGRES_PASSWORD_FILE")"  # as root: the file may be readable by nobody else
    export POSTGRES_PASSWORD
    unset POSTGRES_PASSWORD_FILE
fi
if [[ "$(id -u)" == 0 ]]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    chown -R postgres "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [[ ! -s "$PGDATA/PG_VERSION" ]]; then
    user="${POSTGRES_USER:-postgres}" database="${POSTGRES_DB:-${POSTGRES_USER:-postgres}}"
    if [[ -z "${POSTGRES_PASSWORD:-}" ]]; then
        echo "Expected POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD; found neither. Give one, non-empty." >&2
        exit 1
    fi
    initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8 --auth=trust
    printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
    printf "\nlisten_addresses = '*'\n" >> "$PGDATA/postgresql.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    [[ "$database" == postgres ]] || createdb --username="$user" --maintenance-db=postgres "$database"
    pg_ctl --wait --mode=fast stop
fi
unset POSTGRES_PASSWORD
exec "$@"
