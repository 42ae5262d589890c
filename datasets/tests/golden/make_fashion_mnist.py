"""Golden numbers of Fashion-MNIST in fashion_mnist.json, from numpy's reading of the files.

Run: python make_fashion_mnist.py, with numpy and the Debian package dataset-fashion-mnist.
"""

import gzip
import json
import pathlib
import sys

import numpy as np

FOLDER = "/usr/share/datasets/fashion-mnist"


def read(name, header):
    with gzip.open(f"{FOLDER}/{name}.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


golden = {"versions": f"python {sys.version.split()[0]}, numpy {np.__version__}"}
for split, prefix in [("train", "train"), ("val", "t10k")]:
    images = read(f"{prefix}-images-idx3-ubyte", 16).reshape(-1, 28, 28).astype(np.int64)
    labels = read(f"{prefix}-labels-idx1-ubyte", 8).astype(np.int64)
    number = np.arange(1, len(labels) + 1)
    picked = [0, 1, 4321, len(labels) - 1]
    golden[split] = {
        "count": len(labels),
        "per_class": np.bincount(labels).tolist(),
        # Sums that change when two images or labels change places.
        "label_checksum": int((labels * number).sum()),
        "pixel_checksum": int((images.sum((1, 2)) * number).sum()),
        "picked": [
            {"index": i, "label": int(labels[i]), "row_14": images[i, 14].tolist(), "column_9": images[i, :, 9].tolist()}
            for i in picked
        ],
    }
(pathlib.Path(__file__).parent / "fashion_mnist.json").write_text(json.dumps(golden) + "\n")
