"""torchvision's ImageFolder and DataLoader on the work of the benchmark `loader`: JPEG files to normalised float
tensors of 224 px, random crop and flip, batches of 64. Prints one JSON document."""

import argparse
import json
import math
import os
import time

import torch
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToTensor

BATCH = 64
SIDE = 224
WARM_UP = 8


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    batches = int(os.environ.get("ADAMV_BENCH_BATCHES", "75"))
    # Workers decode; the main process only collects.
    torch.set_num_threads(1)
    transform = Compose(
        [
            RandomResizedCrop(SIDE),
            RandomHorizontalFlip(),
            ToTensor(),
            Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    data = ImageFolder(os.path.join(os.environ["ADAMV_BENCH_IMAGES"], "train"), transform)
    # One epoch longer than what is timed, so that the workers are as busy at the end as before.
    sampler = RandomSampler(data, replacement=True, num_samples=(WARM_UP + batches + 4 * workers + 1) * BATCH)
    loader = iter(DataLoader(data, BATCH, sampler=sampler, num_workers=workers, prefetch_factor=4))

    def step():
        images, labels = next(loader)
        assert images.shape == (BATCH, 3, SIDE, SIDE) and labels.shape == (BATCH,)
        return float(images[0, 0, 0, 0])

    total = sum(step() for _ in range(WARM_UP))
    clock = time.perf_counter()
    total += sum(step() for _ in range(batches))
    seconds = time.perf_counter() - clock
    assert math.isfinite(total)
    print(json.dumps({"images_per_second": batches * BATCH / seconds, "images": batches * BATCH, "threads": workers}))


if __name__ == "__main__":
    main()
