#!/usr/bin/env bash
# Makes docs/dashboards/*.png anew: runs `lamplighter dev` under load for some minutes, has a Prometheus scrape it, and
# draws the dashboards with Grafana's own components. Needs Debian's packages prometheus and chromium, and half a
# gigabyte for node modules, so that CI does not run it.
#
#   pictures.sh [MINUTES]
#
# LAMPLIGHTER names a binary that is there already; without it, one is built.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-5}
for program in prometheus chromium node; do
  command -v "$program" >/dev/null || {
    echo "$program is missing; Debian's packages are prometheus and chromium, and Node 20 or newer is needed" >&2
    exit 1
  }
done
stamp=dashboards/pictures/node_modules/.installed-from
if ! cmp --silent dashboards/pictures/package-lock.json "$stamp"; then
  (cd dashboards/pictures && npm ci --no-progress --legacy-peer-deps)
  cp dashboards/pictures/package-lock.json "$stamp"
fi
binary=${LAMPLIGHTER:-}
if [[ -z $binary ]]; then
  cargo build --quiet --locked
  binary=target/debug/lamplighter
fi
work=$(mktemp -d)
started=()
finish() {
  ((${#started[@]} == 0)) || kill "${started[@]}" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT

"$binary" dev --speed 40 --builds 3 --aws-port 0 --api-port 0 --admin-port 0 \
  --ready-file "$work/ready.json" >"$work/dev.out" 2>"$work/dev.err" &
started+=($!)
until [[ -e $work/ready.json ]]; do sleep 0.2; done
address() { node -p "JSON.parse(require('fs').readFileSync('$work/ready.json')).$1"; }
admin=$(address admin)
LAMPLIGHTER_SERVER=$(address api)
export LAMPLIGHTER_SERVER

cat >"$work/prometheus.yaml" <<CONFIG
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: lamplighter
    static_configs: [{targets: ['${admin#http://}']}]
CONFIG
port=$(node -e "const s=require('net').createServer().listen(0,'127.0.0.1',()=>{console.log(s.address().port);s.close()})")
prometheus --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/tsdb" --log.level=error \
  --web.listen-address="127.0.0.1:$port" 2>"$work/prometheus.err" &
started+=($!)

# A working day in minutes: people come, some of their apps fail, and in the end they go, or their time is over.
cli() { "$binary" apps "$@" >/dev/null; }
run() { cli apply --id "$1" --user "$1" --app "${2:-notes}" --desired Running "${@:3}"; }
end=$((SECONDS + minutes * 60))
half=$((SECONDS + minutes * 30))
count=0
sleep 5
run broken hello --param SIM_BEHAVIOUR=fail
while ((SECONDS < end)); do
  count=$((count + 1))
  if ((SECONDS < half)); then
    brief=()
    ((count % 3)) || brief=(--expires-at "$(date --utc --date "+$((minutes * 25)) seconds" +%FT%TZ)")
    run "app-$count" notes "${brief[@]}"
  else
    gone=$((count * 7 % 23 + 1))
    # Not all of them were ever there.
    if ! cli get "app-$gone" 2>/dev/null; then
      :
    elif ((gone % 4)); then
      cli destroy "app-$gone"
    else
      cli apply --id "app-$gone" --desired Suspended
    fi
  fi
  sleep $((count % 5 + 2))
done
node dashboards/pictures/render.mjs "http://127.0.0.1:$port" "$minutes" docs/dashboards
