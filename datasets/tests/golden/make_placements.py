"""Golden numbers for scale, cut and flip of boxes and masks and for the minimum-box filter, in placements.json.

Run: python make_placements.py, with torch 2.11.0, torchvision 0.26.0. Objects are discs that the tests draw for themselves: see `disc`.
"""

import json
import pathlib

import torch
import torchvision
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

HERE = pathlib.Path(__file__).parent


def disc(width, height, cx, cy, radius):
    """The pixels whose centre is at most `radius` from (cx, cy); whole numbers only."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (2 * x + 1 - 2 * cx) ** 2 + (2 * y + 1 - 2 * cy) ** 2 <= (2 * radius) ** 2


def tight(mask):
    """The smallest box `x1 y1 x2 y2` around a mask."""
    rows, columns = torch.where(mask)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


def tensors(width, height, discs):
    masks = torch.stack([disc(width, height, *d) for d in discs])
    boxes = torch.tensor([tight(m) for m in masks], dtype=torch.float64)
    boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width))
    return {"boxes": boxes, "masks": tv_tensors.Mask(masks.to(torch.uint8))}


def rows(masks):
    return [["".join(str(int(v)) for v in row) for row in mask] for mask in masks]


DISCS = [[12, 9, 7], [30, 20, 9], [3, 27, 5], [20, 15, 1]]
placements = []
# Scales that leave whole numbers of pixels, since torchvision scales each axis by the rounded size.
for scale, (left, top), (ew, eh), mirrored in [
    (1.0, (0, 0), (40, 30), False),
    (1.0, (5, 3), (24, 20), True),
    (2.0, (0, 0), (48, 48), False),
    (2.0, (17, 9), (48, 48), True),
    (2.5, (31, 12), (48, 48), True),
    (1.5, (7, 0), (48, 45), False),
    (0.5, (0, 0), (20, 15), True),
    (0.1, (0, 0), (4, 3), False),
]:
    size = [round(30 * scale), round(40 * scale)]
    sample = tensors(40, 30, DISCS)
    boxes, masks = (F.crop(F.resize(sample[k], size), top, left, eh, ew) for k in ("boxes", "masks"))
    if mirrored:
        boxes, masks = F.horizontal_flip(boxes), F.horizontal_flip(masks)
    placements.append({
        "scale": scale, "offset": [left, top], "extent": [ew, eh], "mirrored": mirrored,
        "boxes": [[round(float(v), 6) for v in b] for b in boxes], "masks": rows(masks),
    })

# A whole sample: large-scale jitter at one fixed scale, then the filter.
SIZES = [[6, 6, 1], [12, 6, 2], [20, 6, 3], [30, 8, 5], [10, 20, 7], [39, 29, 3], [0, 15, 4]]
filtered = []
for scale in (1.0, 0.5, 0.2):
    for min_box in (1.0, 2.0, 3.0, 5.0):
        jitter = v2.ScaleJitter(target_size=(40, 40), scale_range=(scale, scale))
        # The labels only now: ScaleJitter takes a plain tensor for an image.
        jittered = jitter(tensors(40, 30, SIZES)) | {"labels": torch.arange(len(SIZES))}
        out = v2.SanitizeBoundingBoxes(min_size=min_box)(jittered)
        filtered.append({
            "scale": scale, "min_box": min_box, "labels": out["labels"].tolist(),
            "boxes": [[round(float(v), 6) for v in b] for b in out["boxes"]],
        })
golden = {
    "made_with": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    "discs": DISCS, "placements": placements, "filter_discs": SIZES, "filtered": filtered,
}
(HERE / "placements.json").write_text(json.dumps(golden) + "\n")
