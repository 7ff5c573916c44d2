#!/bin/sh
# Programs from Debian's packages, where this is Debian, we are root and they are missing: install_packages.sh nginx:nginx-light ...
# Elsewhere it does nothing; whoever needs them says what is missing.
missing=""
for pair in "$@"; do
    PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || exit 0
echo "installing$missing" >&2
# With RUNLEVEL=1 no service is started by installing it.
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1
exit 0
