#!/usr/bin/env bash
# Every system on every backbone of the paper, at the paper's resolutions: builds, takes one training step of both tasks and
# evaluates an image, on the CPU, each pair in a process of its own. Prints a table of time and peak memory and leaves it in
# OUT/table.md. Fails when a pair fails or takes 20 GiB or more. Pairs that are finished are not run again.
#
#   ci/full-size.sh [OUT]          OUT: run directory, runs/full-size by default
#
# Needs what `make build` makes, 24 GiB of memory and 8 GiB of disk.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bench=target/release/adamv-bench
suite=suite/suites/full-size.yaml
out=${1:-runs/full-size}
limit_gib=20
[ -x "$bench" ] || { echo "$bench is missing; run make build" >&2; exit 5; }

# Of a record, which has one value a line, the first value of a key.
value() { sed -nE "s/^ *\"$2\": \"?([^\",]*)\"?,?$/\1/p" "$1" | head -n 1; }

mkdir -p "$out"
table=$out/table.md
failed=0
{
    echo "One training step and one evaluated image of both tasks at 224 and 640 px, batch 1, $(nproc) cores."
    echo
    echo "| system | backbone | state | training, s | evaluation, s | peak memory, GiB |"
    echo "| --- | --- | --- | ---: | ---: | ---: |"
} >"$table"
for backbone in vit-small-star vit-small uvit-base vit-base; do
    for system in stl mtl-vit large-dense taps mtl-moe adamv-moe; do
        cell=$out/$system-$backbone-s0
        "$bench" run "$suite" --only "system=$system,backbone=$backbone" --out "$out" >"$out/$system-$backbone.log" 2>&1 || true
        record=$cell/record.json
        state=$(value "$record" status 2>/dev/null || true)
        bytes=$(value "$record" peak_memory_bytes 2>/dev/null || true)
        row=$(awk -v train="$(value "$record" train_seconds 2>/dev/null)" -v evaluate="$(value "$record" evaluate_seconds 2>/dev/null)" \
            -v bytes="${bytes:-0}" 'BEGIN { printf "%.1f | %.1f | %.2f", train, evaluate, bytes / 2^30 }')
        echo "| $system | $backbone | ${state:-no record} | $row |" | tee -a "$table"
        if [ "$state" != done ]; then
            echo "$system on $backbone failed; see $out/$system-$backbone.log" >&2
            failed=1
        elif [ "$bytes" -ge $((limit_gib << 30)) ]; then
            echo "$system on $backbone took more than $limit_gib GiB" >&2
            failed=1
        fi
        # Weights of a model that has learnt nothing.
        rm -rf "$cell/checkpoints"
    done
done
echo "$table"
exit $failed
