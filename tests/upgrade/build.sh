#!/usr/bin/env bash
# Builds the version that pods are upgraded from into <target>/switchyard-base and prints that path. Does
# nothing else when that is there already, built from the commit that BASE names.
#
# Its crates have the names of today's: in one target folder Cargo would take the artifacts of one for those of
# the other. So it has a folder of its own, which begins with copies of what both share, the libraries from
# outside, if today's binary has been built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
binary=$target/switchyard-base
stamp=$binary.commit
work=$target/base
source=$work/source
seeded=$work/target/debug

say() { echo "tests/upgrade: $*" >&2; }

base=$(grep -v '^#' "$here/BASE")
if [[ -x $binary && -f $stamp && $(<"$stamp") == "$base" ]]; then
    echo "$binary"
    exit 0
fi
# A clone of the last commits only has its elders where it came from.
if [[ $(git -C "$root" rev-parse --is-shallow-repository) == true ]]; then
    git -C "$root" fetch --quiet --unshallow || true
fi
if ! git -C "$root" cat-file -e "$base^{commit}" 2>/dev/null; then
    say "commit $base, which tests/upgrade/BASE names, is not in this repository: fetch its whole history"
    exit 1
fi

# Sources are as old as their commit: whatever an earlier build left would pass for newer than them.
rm -rf "$work" "$binary" "$stamp"
mkdir -p "$source" "$seeded"/{.fingerprint,build,deps}
git -C "$root" archive "$base" | tar -x -C "$source"
make --silent --directory "$root" tools >&2
ln -s "$root/.tools" "$source/.tools"

declare -A ours
for name in $(sed -n 's/^name = "\(.*\)"$/\1/p' "$source"/*/Cargo.toml "$source"/*/*/Cargo.toml); do
    ours[$name]=1
done
shopt -s nullglob
prints=() builds=() libraries=()
for print in "$target"/debug/.fingerprint/*-*; do
    unit=${print##*/}
    if [[ -z ${ours[${unit%-*}]:-} ]]; then
        prints+=("$print")
        builds+=("$target/debug/build/$unit"*)
        libraries+=("$target"/debug/deps/*-"${unit##*-}"*)
    fi
done
if ((${#prints[@]})); then
    cp -a -t "$seeded/.fingerprint" "${prints[@]}"
    cp -a -t "$seeded/build" "${builds[@]}"
    cp -a -t "$seeded/deps" "${libraries[@]}"
fi

say "building $base"
(cd "$source" && CARGO_TARGET_DIR=$work/target cargo build --locked --quiet -p switchyard)
mv "$seeded/switchyard" "$binary"
echo "$base" >"$stamp"
rm -rf "$work"
echo "$binary"
