#!/bin/sh
# Makes the secrets of compose.yaml, where there are none yet: one random line each. Others on this
# machine cannot enter the folder; the files themselves are open, because a container reads them under
# a number that this machine does not know.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 0700 secrets
for name in plant_password prometheus_token grafana_password; do
  [ -s "secrets/$name" ] || head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_' >"secrets/$name"
  chmod 0644 "secrets/$name"
done
