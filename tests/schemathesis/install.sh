#!/usr/bin/env bash
# Installs schemathesis, as requirements.txt pins it, into <repository>/.tools/schemathesis; Python's venv too,
# where the machine has none. Does nothing when that is done.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
out=$(cd "$here/../.." && pwd -P)/.tools/schemathesis
say() { echo "tests/schemathesis: $*" >&2; }

stamp=$(sha256sum <"$here/requirements.txt")
if [[ -x $out/bin/st && -f $out/stamp && $(<"$out/stamp") == "$stamp" ]]; then
    exit 0
fi

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
        say "python3 with venv is not there and apt-get as root is not possible: install Python 3.10 or later"
        exit 1
    fi
    say "python3 with venv is not there, installing Debian's"
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv >&2
fi
rm -rf "$out"
python3 -m venv "$out"
"$out/bin/pip" install --quiet --no-deps --disable-pip-version-check -r "$here/requirements.txt" >&2
echo "$stamp" >"$out/stamp"
