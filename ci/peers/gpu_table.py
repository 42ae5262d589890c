"""Prints the one table of gpu-check.sh from a cell's record.json, gpu_eager.py's and gpu_features.py's documents."""

import json
import sys


def main(record_path, eager_path, features_path):
    with open(record_path) as f:
        record = json.load(f)
    with open(eager_path) as f:
        eager = json.load(f)
    with open(features_path) as f:
        features = json.load(f)
    timing = record["timing"]
    if record["status"] != "done" or not timing["train_images_per_second"] > 0:
        print(f"{record_path}: status {record['status']}, {record.get('error')}; no training was timed", file=sys.stderr)
        return 4
    seconds, waited = timing["train_seconds"], timing["data_wait_seconds"]
    fed = timing["train_images_per_second"] * seconds / max(seconds - waited, 1e-9)
    mib = lambda b: None if b is None else b / 2**20
    rows = [
        ("training, images/s", timing["train_images_per_second"], None),
        ("  without waiting for data", fed, eager["train_images_per_second"]),
        ("evaluation, images/s", timing["evaluate_images_per_second"], eager["evaluate_images_per_second"]),
        ("peak memory on the device, MiB", mib(record["device_peak_memory_bytes"]), mib(eager["device_peak_memory_bytes"])),
        ("peak memory of the process, MiB", mib(record["peak_memory_bytes"]), None),
    ]
    show = lambda value: "-" if value is None else f"{value:,.1f}"
    cell, environment = record["cell"], record["environment"]
    print(f"{cell['system']} {cell['backbone']}, {timing['steps']} steps in {environment['precision']} on {environment['device']}, "
          f"libtorch {environment['libtorch']}; PyTorch eager {eager['torch']} on {eager['device']} in {eager['precision']}")
    print(f"{'':<34}{'adamv-bench':>14}{'PyTorch eager':>16}{'ratio':>8}")
    for name, ours, theirs in rows:
        ratio = "-" if None in (ours, theirs) or not theirs else f"{ours / theirs:.2f}"
        print(f"{name:<34}{show(ours):>14}{show(theirs):>16}{ratio:>8}")
    for row in features:
        verdict = "agree" if row["agree"] else "DISAGREE"
        label = f"features, {row['tensor']}, {row['pair']}"
        print(f"{label:<34} differ by {row['difference']:.1e} at most (tolerance {row['tolerance']:.0e}): {verdict}")
    metrics = record["metrics"]
    if metrics.get("classification") and metrics.get("detection"):
        print(f"top-1 {metrics['classification']['top1']:.3f}, AP50 {metrics['detection']['bbox']['AP50']:.3f}, "
              f"APmask {metrics['detection']['segm']['AP']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
