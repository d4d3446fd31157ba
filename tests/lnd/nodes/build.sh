#!/usr/bin/env bash
# Builds the real lnd and btcd of the tests into <repository>/.tools/lnd and prints that folder.
# Does nothing else when the binaries there were built from this very go.mod, go.sum and script.
#
# Needs Go 1.24.11 or later (lnd says so itself); an older one from 1.21 on fetches it as a
# toolchain. Cold: 5 to 10 minutes and 2 GB of Go's caches; seconds when those are warm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
out=$root/.tools/lnd
# lowscrypt makes only the wallet's own key derivation cheap: a node starts in a third of the time.
tags="lowscrypt autopilotrpc signrpc walletrpc chainrpc invoicesrpc watchtowerrpc neutrinorpc monitoring peersrpc kvdb_sqlite"

say() { echo "tests/lnd/nodes: $*" >&2; }

mkdir -p "$out"
exec 9>"$out/lock"
if ! flock -n 9; then
    say "another build is running, waiting for it"
    flock 9
fi

stamp=$(cat "$here/go.mod" "$here/go.sum" "$here/build.sh" | sha256sum | cut -d' ' -f1)
if [[ -x $out/lnd && -x $out/btcd && -f $out/stamp && $(<"$out/stamp") == "$stamp" ]]; then
    echo "$out"
    exit 0
fi

export PATH=$PATH:/usr/local/go/bin
if ! command -v go >/dev/null; then
    if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
        say "go is not on PATH and apt-get as root is not possible: install Go 1.24.11 or later"
        exit 1
    fi
    say "go is not on PATH, installing Debian's golang"
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends golang >&2
fi

# An older Go does not know GOTOOLCHAIN, and then lnd's go.mod only gives puzzling errors.
have=$(go env GOVERSION)
have=${have#go}
at_least() { [[ $(printf '%s\n%s\n' "$1" "$have" | sort -V | head -n 1) == "$1" ]]; }
if ! at_least 1.21; then
    say "Go $have is too old: lnd needs Go 1.24.11 or later (1.21 or later may fetch it)"
    exit 1
fi
at_least 1.24.11 || export GOTOOLCHAIN=auto

# Built beside and then moved, so that a broken build never leaves a half pair behind.
fresh=$(mktemp -d "$out/build.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
say "building lnd and btcd with Go $have (cold: 5 to 10 minutes)"
cd "$here"
CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false" go build -trimpath -ldflags '-s -w' \
    -tags "$tags" -o "$fresh/" github.com/lightningnetwork/lnd/cmd/lnd github.com/btcsuite/btcd
rm -f "$out/stamp"
mv -f "$fresh/lnd" "$fresh/btcd" "$out/"
echo "$stamp" >"$out/stamp"
say "done"
echo "$out"
