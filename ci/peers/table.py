"""Reads the pairs of JSON lines that a peer script collects (peer, ours, peer, ours, ...) and prints one table.

    table.py FILE PEER TITLE KEY     KEY is the path of the number, such as seconds_per_step.median
"""

import functools
import json
import statistics
import sys


def main(path, peer, title, key):
    with open(path) as lines:
        values = [functools.reduce(dict.get, key.split("."), json.loads(line)) for line in lines]
    peers, ours = values[0::2], values[1::2]
    if not ours or len(peers) != len(ours) or not all(v > 0 for v in values):
        sys.stderr.write(f"{path}: no complete pair of measurements\n")
        return 4
    ratios = [mine / other for mine, other in zip(ours, peers)]
    print(title)
    print(f"{'round':<8}{peer:>12}{'ours':>12}{'ours / ' + peer:>20}")
    for number, row in enumerate(zip(peers, ours, ratios), 1):
        print(f"{number:<8}{row[0]:>12.4g}{row[1]:>12.4g}{row[2]:>20.3f}")
    median = statistics.median
    print(f"{'median':<8}{median(peers):>12.4g}{median(ours):>12.4g}{median(ratios):>20.3f}")
    print(f"ratio: median {median(ratios):.3f}, range {min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
