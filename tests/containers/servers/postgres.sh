#!/bin/sh
# A database of that name, owned by that user; then the command.
set -eu
data=/var/lib/postgresql/data/pgdata
if [ ! -s "$data/PG_VERSION" ]; then
    (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password)
    initdb -D "$data" -U "$POSTGRES_USER" --pwfile /tmp/password -A scram-sha-256 -E UTF8 --locale C.UTF-8 >/dev/null
    rm /tmp/password
    printf 'host all all all scram-sha-256\n' >>"$data/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$data" postgres >/dev/null
fi
program=$1
shift
# Podman lays a /run of its own over that of the file, which only root may write to.
exec "$program" -D "$data" -h '*' -k /tmp "$@"
