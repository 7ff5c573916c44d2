#!/bin/sh
# An administrator and a database, made while only this machine can ask; then the server.
set -eu
export INFLUXDB_META_DIR=/var/lib/influxdb/meta INFLUXDB_DATA_DIR=/var/lib/influxdb/data INFLUXDB_DATA_WAL_DIR=/var/lib/influxdb/wal
if [ ! -d "$INFLUXDB_META_DIR" ]; then
    INFLUXDB_HTTP_AUTH_ENABLED=false INFLUXDB_HTTP_BIND_ADDRESS=127.0.0.1:8086 influxd run >/dev/null 2>&1 &
    until curl -sf http://127.0.0.1:8086/ping; do sleep 0.2; done
    # Through standard input: what stands in a command line may be read by anybody.
    ask() { printf 'q=%s' "$1" | curl -sf -o /dev/null --data-binary @- http://127.0.0.1:8086/query; }
    ask "CREATE USER $INFLUXDB_ADMIN_USER WITH PASSWORD '$INFLUXDB_ADMIN_PASSWORD' WITH ALL PRIVILEGES"
    ask "CREATE DATABASE $INFLUXDB_DB"
    kill $! && wait $! || true
fi
exec influxd run
