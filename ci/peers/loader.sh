#!/bin/sh
# JPEG files to training batches beside torchvision's ImageFolder + DataLoader: random crop and flip, 224 px, normalised
# float tensors, batches of 64, the same files and number of threads, in one run. The two take turns.
#
# Prints one table of images a second; the ratio is ours / torchvision, above 1 is faster.
#   ADAMV_BENCH_IMAGES  a folder with train/<class>/*.jpg (default ../shared/real/caltech101_mini)
#   ADAMV_BENCH_BATCHES timed batches a round (default 75)
#   ADAMV_BENCH_ROUNDS  rounds (default 5)
#   ADAMV_BENCH_THREADS our decoding threads, and their workers (default 2)
#   PEERS_PYTHON        a Python that has the peers (see setup.sh)
# Exit: 0 measured, 4 a side gave no number, 5 set-up.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
threads=${ADAMV_BENCH_THREADS:-2}
export ADAMV_BENCH_IMAGES="${ADAMV_BENCH_IMAGES:-$PWD/../shared/real/caltech101_mini}"
export RAYON_NUM_THREADS="$threads"
if [ ! -d "$ADAMV_BENCH_IMAGES/train" ]; then
    echo "loader.sh: no folder $ADAMV_BENCH_IMAGES/train; set ADAMV_BENCH_IMAGES to one with train/<class>/*.jpg" >&2
    exit 5
fi

python=$("$here/setup.sh")
echo "building our side" >&2
cargo bench --quiet -p adamv-engine --bench loader --no-run >&2 || exit 5
"$here/take_turns.sh" "${ADAMV_BENCH_ROUNDS:-5}" torchvision "loader, images a second of each round" images_per_second \
    "'$python' '$here/loader.py' --workers $threads" "cargo bench --quiet -p adamv-engine --bench loader"
