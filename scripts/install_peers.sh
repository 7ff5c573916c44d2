#!/bin/sh
# nginx, which the benchmarks need, and their optional peers: from Debian's packages, where this is Debian and we are root.
set -u
missing=""
for pair in nginx:nginx-light wrk:wrk hey:hey ab:apache2-utils; do
    PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1
fi
PATH="$PATH:/usr/sbin" command -v nginx >/dev/null 2>&1 || {
    echo "benchmarks: nginx is missing (Debian: apt-get install nginx-light wrk hey apache2-utils)" >&2
    exit 2
}
