"""Small baseline JPEGs of every kind, each beside what Pillow (libjpeg-turbo) reads from it as a PNG.

Pillow 12 (libjpeg-turbo 3.1), opencv-python-headless 4 for the 4:4:0 one. Run: python make_jpegs.py
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, features

OUT = Path(__file__).parent / "jpegs"
print(Image.__version__, features.version("libjpeg_turbo"), cv2.__version__)


def picture(width, height, seed):
    """Smooth colours, hard edges and noise: all of what makes coefficients of every size."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    channels = [127 + 120 * np.sin(x / (5 + 4 * c) + seed) * np.cos(y / (9 - 2 * c)) for c in range(3)]
    pixels = np.stack(channels, -1)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    pixels[:, width * 3 // 4 :] += rng.normal(0, 60, (height, width - width * 3 // 4, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


KINDS = {
    "444": (61, 47, {"quality": 90, "subsampling": 0}),
    "422": (61, 47, {"quality": 75, "subsampling": 1}),
    "420": (61, 47, {"quality": 75, "subsampling": 2}),
    "420_even": (64, 48, {"quality": 60, "subsampling": 2}),
    "420_small": (7, 5, {"quality": 75, "subsampling": 2}),
    "420_best": (37, 50, {"quality": 100, "subsampling": 2}),
    "420_worst": (50, 37, {"quality": 5, "subsampling": 2}),
    "420_optimised": (70, 33, {"quality": 85, "subsampling": 2, "optimize": True}),
    "420_restarts": (70, 61, {"quality": 75, "subsampling": 2, "restart_marker_blocks": 3}),
    "422_restart_rows": (70, 61, {"quality": 75, "subsampling": 1, "restart_marker_rows": 1}),
    "narrow": (3, 40, {"quality": 75, "subsampling": 2}),
    "grey": (45, 39, {"quality": 80}),
}
for number, (name, (width, height, options)) in enumerate(KINDS.items()):
    image = picture(width, height, number)
    (image.convert("L") if name == "grey" else image).save(OUT / f"{name}.jpg", **options)
# What lossless rotation makes of 4:2:2; Pillow does not write it.
flags = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, cv2.IMWRITE_JPEG_QUALITY, 75]
cv2.imwrite(str(OUT / "440.jpg"), np.asarray(picture(61, 47, 99))[:, :, ::-1], flags)
for path in sorted(OUT.glob("*.jpg")):
    Image.open(path).convert("RGB").save(path.with_suffix(".png"), optimize=True)
