"""Golden numbers for evaluation crops, for evaluation without one, and for CutMix with the released code's box, in
crops.json.

Run: python make_crops.py, with pillow 13.0.0, numpy 2.4.6. Resizes are Pillow's; sizes and offsets of a crop are those of
torchvision's Resize and CenterCrop. CutMix is written here pixel by pixel from what google-research
`moe_mtl/main/trainer_utils.py` (`get_random_bounding_box`, `wrap_mixup_and_cutmix`) does.
"""

import json
import pathlib

import numpy as np
import PIL
from PIL import Image

from picture import picture

HERE = pathlib.Path(__file__).parent


def pixels(image):
    return np.asarray(image).reshape(-1).tolist()


def centres():
    for (w, h), share, side in [
        ((50, 40), 1.0, 14),
        ((40, 53), 1.0, 16),
        ((50, 40), 0.5, 14),
        ((33, 20), 0.9, 28),
        ((40, 53), 0.72, 9),
        ((16, 16), 0.01, 1),
    ]:
        short = int(side / share + 0.5)
        width, height = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        left, top = round((width - side) / 2), round((height - side) / 2)
        resized = picture(w, h).resize((width, height), Image.Resampling.BILINEAR)
        out = resized.crop((left, top, left + side, top + side))
        yield {"image": [w, h], "share": share, "side": side, "pixels": pixels(out)}


def squashed():
    for size, side in [((50, 40), 14), ((40, 53), 16), ((16, 16), 14), ((33, 20), 28), ((7, 90), 12), ((90, 7), 12)]:
        out = picture(*size).resize((side, side), Image.Resampling.BILINEAR)
        yield {"image": list(size), "side": side, "pixels": pixels(out)}


def partners(side, lam, centre):
    """Which pixels are the partner's, as [row, column]. Lambda is a float32 there, and so is its product."""
    cut = int(np.float32(lam) * np.float32(side))
    inside = [[c - cut // 2 <= i < c + cut // 2 for i in range(side)] for c in centre]
    columns, rows = inside
    return np.array([[row and column for column in columns] for row in rows])


def boxes():
    for side in (5, 32, 224):
        for lam in (0.0, 0.01, 0.3333, 0.5, 0.7, 0.875, 0.99, 1.0):
            for centre in [(0, 0), (side // 2, side // 3), (side - 1, side - 2)]:
                cut = partners(side, lam, centre)
                rows, columns = np.where(cut.any(1))[0], np.where(cut.any(0))[0]
                yield {
                    "side": side,
                    "lambda": lam,
                    "centre": list(centre),
                    # x1 y1 x2 y2; null where no pixel is the partner's.
                    "box": [int(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)] if cut.any() else None,
                    "own": float((~cut).mean()),
                }


def mixes():
    for samples, side, lam, centre in [(4, 6, 0.5, (3, 2)), (2, 8, 0.8, (7, 0)), (5, 8, 0.6, (0, 4)), (4, 6, 1.0, (3, 3))]:
        # A pattern that any language can make from integers.
        i = np.arange(samples * 3 * side * side)
        images = ((i * 37 % 101) / 32 - 1.5).reshape(samples, 3, side, side)
        labels = np.eye(samples)
        cut = partners(side, lam, centre)
        # The partner of sample b is B - 1 - b.
        mixed = np.where(cut, images[::-1], images)
        own = float((~cut).mean())
        yield {
            "samples": samples,
            "side": side,
            "lambda": lam,
            "centre": list(centre),
            "images": mixed.reshape(-1).tolist(),
            "targets": (own * labels + (1 - own) * labels[::-1]).tolist(),
        }


golden = {
    "versions": {p.__name__: p.__version__ for p in (np, PIL)},
    "centres": list(centres()),
    "squashed": list(squashed()),
    "boxes": list(boxes()),
    "mixes": list(mixes()),
}
(HERE / "crops.json").write_text(json.dumps(golden) + "\n")
