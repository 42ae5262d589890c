#!/bin/sh
# Measures a peer and our side in turns, so that a machine that slows down slows both, and prints one table.
#
#   take_turns.sh ROUNDS PEER TITLE KEY PEER_COMMAND OUR_COMMAND
#
# Either command prints a JSON document as its last line that starts with a brace; KEY is the path of its number.
# Exit: 0 measured, 4 a side gave no number.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rounds=$1 peer=$2 title=$3 key=$4 theirs=$5 ours=$6

results=$(mktemp)
trap 'rm -f "$results"' EXIT
measure() { # NAME COMMAND
    line=$(sh -c "$2" | grep '^{' | tail -n 1)
    if [ -z "$line" ]; then
        echo "take_turns.sh: $1 gave no number in round $round" >&2
        exit 4
    fi
    printf '%s\n' "$line" >>"$results"
}
round=1
while [ "$round" -le "$rounds" ]; do
    echo "round $round of $rounds" >&2
    measure "$peer" "$theirs"
    measure "our side" "$ours"
    round=$((round + 1))
done
python3 "$here/table.py" "$results" "$peer" "$title" "$key"
