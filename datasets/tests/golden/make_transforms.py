"""Golden numbers for crop, resize, flip and normalise, in transforms.json.

Run: python make_transforms.py, with torch 2.11.0, torchvision 0.26.0, pillow 13.0.0, numpy. The images are patterns that the tests
make for themselves: see `picture.py`.
"""

import json
import pathlib

import numpy as np
from PIL import Image
from torchvision.transforms import functional as F
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from picture import picture

HERE = pathlib.Path(__file__).parent
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def pixels(image):
    return np.asarray(image).reshape(-1).tolist()


def main():
    cases = {"crop_and_resize": [], "centre": [], "resize_box": [], "normalised": []}
    for (w, h), (left, top, cw, ch), side in [
        ((50, 40), (5, 7, 30, 20), 12),
        ((50, 40), (0, 0, 50, 40), 16),
        ((31, 57), (10, 20, 9, 11), 16),
    ]:
        out = F.resized_crop(picture(w, h), top, left, ch, cw, [side, side], InterpolationMode.BILINEAR, antialias=True)
        cases["crop_and_resize"].append({"image": [w, h], "crop": [left, top, cw, ch], "side": side, "pixels": pixels(out)})
    for (w, h), side in [((50, 40), 14), ((40, 53), 16), ((16, 16), 14), ((33, 20), 28)]:
        short = int(side / 0.875 + 0.5)
        out = Compose([Resize(short, antialias=True), CenterCrop(side)])(picture(w, h))
        cases["centre"].append({"image": [w, h], "side": side, "pixels": pixels(out)})
    for (w, h), box, (ow, oh) in [((50, 40), (3.5, 2.25, 30.0, 21.75), (12, 9)), ((20, 30), (0, 0, 10.4, 30), (5, 14)), ((10, 10), (2.2, 0, 8, 6), (20, 19))]:
        out = picture(w, h).resize((ow, oh), Image.Resampling.BILINEAR, box=box)
        cases["resize_box"].append({"image": [w, h], "box": box, "size": [ow, oh], "pixels": pixels(out)})
    image = picture(9, 6)
    for mirrored in (False, True):
        source = F.hflip(image) if mirrored else image
        values = Compose([ToTensor(), Normalize(MEAN, STD)])(source)
        cases["normalised"].append({"image": [9, 6], "mirrored": mirrored, "values": [round(float(v), 6) for v in values.reshape(-1)]})
    (HERE / "transforms.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
