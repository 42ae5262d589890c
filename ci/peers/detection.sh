#!/bin/sh
# The detection training step of this project beside torchvision's Mask R-CNN: same backbone, sizes,
# batch, threads and machine, in one run. The two take turns (torchvision, ours, three times), so
# that a machine that slows down slows both.
#
# Prints one table; the ratio is ours / torchvision, below 1 is faster.
#   ADAMV_BENCH_STEPS   timed steps a round (default 20)
#   ADAMV_BENCH_ROUNDS  rounds (default 3)
#   ADAMV_BENCH_THREADS threads of either side (default 2)
#   PEERS_PYTHON        a Python that has the peers (see setup.sh)
# Exit: 0 measured, 4 a side gave no number, 5 set-up.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
rounds=${ADAMV_BENCH_ROUNDS:-3}
threads=${ADAMV_BENCH_THREADS:-2}
export ADAMV_BENCH_STEPS="${ADAMV_BENCH_STEPS:-20}"
export OMP_NUM_THREADS="$threads" MKL_NUM_THREADS="$threads" RAYON_NUM_THREADS="$threads"

python=$("$here/setup.sh")
cd "$root"
ours() { cargo bench --quiet -p adamv-engine --bench detection_step; }
echo "building our side" >&2
cargo bench --quiet -p adamv-engine --bench detection_step --no-run >&2 || exit 5

results=$(mktemp)
trap 'rm -f "$results"' EXIT
round=1
while [ "$round" -le "$rounds" ]; do
    echo "round $round of $rounds" >&2
    # The JSON document is the last line that starts with a brace.
    peer=$("$python" "$here/detection.py" --threads "$threads" | grep '^{' | tail -n 1)
    mine=$(ours | grep '^{' | tail -n 1)
    if [ -z "$peer" ] || [ -z "$mine" ]; then
        echo "detection.sh: $([ -n "$peer" ] && echo "our side" || echo torchvision) gave no number in round $round" >&2
        exit 4
    fi
    printf '%s\n%s\n' "$peer" "$mine" >>"$results"
    round=$((round + 1))
done
"$python" "$here/table.py" "$results"
