#!/usr/bin/env bash
# Runs every test, then the new system of docs/variants.md (ci/variants.sh, one test more; not when arguments choose tests),
# then lists what was skipped: a test that can't run here prints a line "skipped: WHAT (WHY)".
# The exit code is cargo's, or 1 when only the document's system failed; 4 when nothing was tested at all.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# --show-output: the lines of tests that passed are shown too, each on a line of its own.
cargo test --release --workspace --no-fail-fast "$@" -- --show-output 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

total() { # passed | failed | ignored
    sed -n "s/^test result: .*[ .]\([0-9][0-9]*\) $1;.*/\1/p" "$log" | awk '{n += $1} END {print n + 0}'
}
passed=$(total passed)
failed=$(total failed)
if (($# == 0)); then
    if ci/variants.sh; then
        passed=$((passed + 1))
    else
        echo "test ci/variants.sh ... FAILED (the reason is above)" >&2
        failed=$((failed + 1))
        ((code != 0)) || code=1
    fi
fi
echo
echo "tests: $passed passed, $failed failed, $(total ignored) ignored"
skipped=$(grep '^skipped:' "$log" | sort -u)
if [[ -n $skipped ]]; then
    echo "skipped here ($(wc -l <<<"$skipped")):"
    sed 's/^skipped: */  /' <<<"$skipped"
else
    echo "skipped here: nothing"
fi
if ((code == 0 && passed == 0)); then
    echo "error: no test ran" >&2
    code=4
fi
exit "$code"
