"""Reads the pairs of JSON lines that detection.sh collects (peer, ours, peer, ours, ...) and prints one table."""

import json
import statistics
import sys


def main(path):
    with open(path) as lines:
        seconds = [json.loads(line)["seconds_per_step"]["median"] for line in lines]
    peers, ours = seconds[0::2], seconds[1::2]
    if not ours or len(peers) != len(ours) or not all(s > 0 for s in seconds):
        sys.stderr.write(f"{path}: no complete pair of measurements\n")
        return 4
    ratios = [mine / peer for mine, peer in zip(ours, peers)]
    print("detection training step, median seconds a step of each round")
    print(f"{'round':<8}{'torchvision':>12}{'ours':>12}{'ours / torchvision':>20}")
    for number, row in enumerate(zip(peers, ours, ratios), 1):
        print(f"{number:<8}{row[0]:>12.4f}{row[1]:>12.4f}{row[2]:>20.3f}")
    median = statistics.median
    print(f"{'median':<8}{median(peers):>12.4f}{median(ours):>12.4f}{median(ratios):>20.3f}")
    print(f"ratio: median {median(ratios):.3f}, range {min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
