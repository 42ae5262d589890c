"""Makes paste.json: masks put into images by torchvision, as RLE.

Made with Python 3.11, torch 2.11.0, torchvision 0.26.0, pycocotools 2.0.11, numpy 2.4.6:
    python make_paste.py > paste.json
Probabilities are multiples of 1/255, so that the file stays small; both sides divide in float32.
"""
import json

import numpy as np
import torch
from pycocotools import mask as M
from torchvision.models.detection.roi_heads import paste_masks_in_image

torch.set_num_threads(1)
rng = np.random.default_rng(20)
cases = []
for n in range(48):
    m = int(rng.choice([7, 14, 28]))
    h, w = (int(v) for v in rng.integers(20, 200, 2))
    kind = n % 6
    x0, y0 = rng.uniform(0, w * 0.7), rng.uniform(0, h * 0.7)
    bw, bh = rng.uniform(2, w * 0.5), rng.uniform(2, h * 0.5)
    if kind == 1:  # crosses the upper left border
        x0, y0 = -rng.uniform(0.2, bw * 0.9), -rng.uniform(0.2, bh * 0.9)
    elif kind == 2:  # crosses the lower right border
        x0, y0 = w - rng.uniform(0.3, bw), h - rng.uniform(0.3, bh)
    elif kind == 3:  # one pixel or less
        bw, bh = rng.uniform(0, 1.2, 2)
    elif kind == 4:  # larger than the image
        x0, y0, bw, bh = -w * 0.3, -h * 0.2, w * 1.7, h * 1.5
    box = np.array([x0, y0, x0 + bw, y0 + bh], np.float32)
    if n % 2:  # a smooth blob as a mask head gives it, else noise
        yy, xx = np.mgrid[0:m, 0:m] / (m - 1) - 0.5
        logit = 6 * (0.4 - np.hypot(xx * rng.uniform(0.7, 1.6), yy)) + rng.normal(0, 0.3, (m, m))
        values = np.round(255 / (1 + np.exp(-6 * logit))).astype(int)
    else:
        values = rng.integers(0, 256, (m, m))
    mask = torch.from_numpy(values.astype(np.float32)) / 255
    image = paste_masks_in_image(mask[None, None], torch.from_numpy(box)[None], (h, w), padding=1)[0, 0]
    # No pixel so near to one half that the order of additions decides it.
    assert ((image - 0.5).abs() > 2e-6).all()
    rle = M.encode(np.asfortranarray((image > 0.5).numpy().astype(np.uint8)))
    cases.append({"m": m, "mask": bytes(values.astype(np.uint8).reshape(-1)).hex(), "box": [float(v) for v in box],
                  "height": h, "width": w, "counts": rle["counts"].decode()})
print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")
