#!/usr/bin/env bash
# Installs the published SDK, as its lock file pins it, beside the tests that drive it; Node too, where the
# machine has none. Does nothing when both are there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
say() { echo "tests/sdk: $*" >&2; }

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
        say "node or npm is not on PATH and apt-get as root is not possible: install Node 18 or later"
        exit 1
    fi
    say "node or npm is not on PATH, installing Debian's"
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs npm >&2
fi
if (($(node -p 'process.versions.node.split(".")[0]') < 18)); then
    say "Node $(node -v) is too old: the SDK needs its fetch, so 18 or later"
    exit 1
fi

stamp=$(sha256sum package.json package-lock.json)
if [[ -f node_modules/.stamp && $(<node_modules/.stamp) == "$stamp" ]]; then
    exit 0
fi
npm ci --no-audit --no-fund --ignore-scripts >&2
echo "$stamp" >node_modules/.stamp
