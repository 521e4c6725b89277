#!/bin/sh
# Runs cargo-fuzz over the targets named, or over all, for so many seconds each.
#
#   tests/fuzz/run.sh SECONDS [TARGET...]
#
# Needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`. What it finds lies in
# `tests/fuzz/cargo-fuzz/artifacts/any/`: mend it, and keep the input in `tests/fuzz/corpus/TARGET/`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
seconds=${1:?"run.sh SECONDS [TARGET...]"}
shift
[ $# -gt 0 ] || set -- $(ls "$here/corpus" | grep -v '^http$')
for target in "$@"; do
    # What is found on the way is kept apart from the small corpus in the repository.
    grown=$here/cargo-fuzz/corpus/$target
    mkdir -p "$grown"
    echo "== $target"
    LOA_TARGET=$target nice -n 19 cargo +nightly fuzz run --fuzz-dir "$here/cargo-fuzz" any \
        "$grown" "$here/corpus/$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=20 \
        -print_final_stats=1 2>&1 | grep -E '^(==|stat::number|stat::average|SUMMARY|thread|.*panicked|Done)|artifact' || true
done
