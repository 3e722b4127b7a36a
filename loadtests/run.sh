#!/bin/sh
# What `make load` runs: one minute of locust against $HOST, or against a service started here for it.
set -eu

server=""
stop_server() {
  if [ -n "$server" ]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
}
trap stop_server EXIT
trap 'exit 130' INT TERM

if [ -z "$HOST" ]; then
  port=$("$VENV/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  HOST=http://127.0.0.1:$port
  "$VENV/bin/seqserve" serve --port "$port" --log-level warning &
  server=$!
  until "$VENV/bin/python" -c "import urllib.request as r; r.urlopen('$HOST/readyz', timeout=2)" 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || { echo "error: the service did not start" >&2; server=""; exit 1; }
    sleep 0.5
  done
fi

"$VENV/bin/locust" -f loadtests/locustfile.py --host "$HOST" --headless --only-summary \
  --users "$USERS" --spawn-rate "$USERS" --run-time 1m --stop-timeout 10 "$@"
