"""Golden numbers for RandAugment's operations and for MixUp and CutMix, in augment.json.

Run: python make_augment.py, with torch 2.11.0, torchvision 0.26.0, timm 1.0.28, pillow 13.0.0, numpy. Random choices are
replaced by fixed ones; everything else is the packages' own.
"""

import json
import pathlib
from unittest.mock import patch

import numpy as np
import PIL
import timm
import torch
import torchvision
from PIL import Image
from timm.data.mixup import Mixup, mixup_target
from torchvision.transforms import InterpolationMode, RandAugment
from torchvision.transforms.autoaugment import _apply_op
from torchvision.transforms.v2 import CutMix, MixUp

from picture import picture

HERE = pathlib.Path(__file__).parent


def toned(width, height, tone):
    """`picture`, as it is, with little contrast, or of one colour."""
    image = np.asarray(picture(width, height)).astype(int)
    image = {"full": image, "dim": image // 3 + 40, "flat": image * 0 + [10, 120, 200]}[tone]
    return Image.fromarray(image.astype(np.uint8))


def operations():
    signed = lambda *values: [s * v for v in values for s in (1, -1)]
    parameters = {
        "Identity": [0.0],
        "ShearX": [0.0] + signed(0.09000000357627869, 0.3),
        "ShearY": [0.0] + signed(0.09000000357627869, 0.3),
        "TranslateX": [0.0] + signed(3.9, 10.42, 40.0),
        "TranslateY": [0.0] + signed(3.9, 7.7, 40.0),
        "Rotate": [0.0] + signed(9.0, 30.0) + [90.0, 180.0],
        "Brightness": signed(0.27000001072883606, 0.9) + [0.0],
        "Color": signed(0.27000001072883606, 0.9) + [0.0],
        "Contrast": signed(0.27000001072883606, 0.9) + [0.0],
        "Sharpness": signed(0.27000001072883606, 0.9) + [0.0],
        "Posterize": [8, 7, 5, 4],
        "Solarize": [255.0, 178.5, 0.0],
        "AutoContrast": [0.0],
        "Equalize": [0.0],
    }
    by_tone = ("Contrast", "Color", "AutoContrast", "Equalize")
    for name, magnitudes in parameters.items():
        for magnitude in magnitudes:
            for size, tone in [((19, 13), "full"), ((24, 22), "dim"), ((5, 4), "flat"), ((2, 9), "full")]:
                if tone in ("dim", "flat") and name not in by_tone:
                    continue
                out = _apply_op(toned(*size, tone), name, magnitude, InterpolationMode.NEAREST, None)
                yield {
                    "operation": name,
                    "magnitude": magnitude,
                    "image": list(size),
                    "tone": tone,
                    "pixels": np.asarray(out).tobytes().hex(),
                }


def spaces():
    for width, height in [(224, 224), (64, 48), (331, 7)]:
        space = RandAugment()._augmentation_space(31, (height, width))
        yield {
            "image": [width, height],
            "operations": [
                {
                    "operation": name,
                    "signed": signed,
                    "magnitudes": [float(m) for m in (magnitudes if magnitudes.ndim else magnitudes.expand(31))],
                }
                for name, (magnitudes, signed) in space.items()
            ],
        }


def batch(samples, side):
    """A pattern that any language can make from integers."""
    i = torch.arange(samples * 3 * side * side)
    return (((i * 37) % 101).float() / 32 - 1.5).reshape(samples, 3, side, side)


def fixed(integers):
    """Stands in for numpy's and torch's randint."""
    return lambda *_, **__: integers.pop(0)


def mixes():
    for samples, side, cut, lam, (cx, cy) in [
        (4, 6, False, 0.75, (0, 0)),
        (2, 6, False, 0.3, (0, 0)),
        (5, 4, False, 0.9, (0, 0)),
        (4, 6, True, 0.5, (3, 2)),
        (2, 8, True, 0.2, (7, 0)),
        (5, 8, True, 0.6, (0, 4)),
        (4, 6, True, 0.999, (3, 3)),
        (2, 6, True, 0.0, (3, 3)),
    ]:
        lam = float(np.float32(lam))
        mixup = Mixup(mode="batch", num_classes=samples)
        mixup._params_per_batch = lambda: (lam, cut)
        x = batch(samples, side)
        # timm draws the row first.
        with patch("numpy.random.randint", fixed([cy, cx])):
            corrected = mixup._mix_batch(x)
        target = mixup_target(torch.arange(samples), samples, corrected)
        if samples == 2:
            # Rolled by one is the same as reversed: torchvision's results must be timm's.
            transform = (CutMix if cut else MixUp)(num_classes=samples)
            transform._dist.sample = lambda *_: torch.tensor(lam)
            with patch("torch.randint", fixed([torch.tensor(cx), torch.tensor(cy)])):
                other, labels = transform(batch(samples, side), torch.arange(samples))
            assert torch.allclose(other, x, atol=1e-6) and torch.allclose(labels, target, atol=1e-6)
        yield {
            "samples": samples,
            "side": side,
            "cut": cut,
            "lambda": lam,
            "centre": [cx, cy],
            "corrected": float(corrected),
            "images": x.reshape(-1).tolist(),
            "targets": target.tolist(),
        }


def boxes():
    """torchvision's rectangle (x1 y1 x2 y2) and corrected lambda."""
    transform = CutMix(num_classes=1)
    for side in (5, 32, 224):
        for lam in (0.0, 0.01, 0.3333, 0.5, 0.875, 0.99, 1.0):
            for centre in [(0, 0), (side // 2, side // 3), (side - 1, side - 2)]:
                transform._dist.sample = lambda *_: torch.tensor(lam, dtype=torch.float64)
                with patch("torch.randint", fixed([torch.tensor(c) for c in centre])):
                    params = transform.make_params([torch.zeros(1, 3, side, side)])
                yield {
                    "side": side,
                    "lambda": lam,
                    "centre": list(centre),
                    "box": list(params["box"]),
                    "corrected": params["lam_adjusted"],
                }


golden = {
    "versions": {p.__name__: p.__version__ for p in (np, PIL, timm, torch, torchvision)},
    "operations": list(operations()),
    "spaces": list(spaces()),
    "mixes": list(mixes()),
    "boxes": list(boxes()),
}
print(golden["versions"])
(HERE / "augment.json").write_text(json.dumps(golden) + "\n")
