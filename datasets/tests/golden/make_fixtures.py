"""Makes ../fixtures: tiny images of every kind that image collections trap a reader with, and what Pillow reads in each.

Run: python make_fixtures.py, with pillow 13.0.0 and numpy. The outputs are kept in the repository.
"""

import io
import json
import pathlib
import zlib

import numpy as np
from PIL import Image, ImageOps

OUT = pathlib.Path(__file__).parent.parent / "fixtures"
OUT.mkdir(exist_ok=True)

# Smooth colours: JPEG keeps them, and every corner is different.
Y, X = np.mgrid[0:24, 0:40]
RGB = np.stack([40 + 5 * X, 30 + 8 * Y, 220 - 4 * X - 2 * Y], -1).clip(0, 255).astype(np.uint8)
picture = Image.fromarray(RGB)


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


picture.save(OUT / "rgb.jpg", quality=95, subsampling=0)
picture.save(OUT / "progressive.jpg", quality=95, subsampling=2, progressive=True)
picture.convert("L").save(OUT / "grey.jpg", quality=95)
picture.convert("CMYK").save(OUT / "cmyk.jpg", quality=95)
picture.save(OUT / "rgb.png")
picture.convert("LA").save(OUT / "grey_alpha.png")
picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(OUT / "palette.png")
buffer = io.BytesIO()
picture.save(buffer, "PNG")
(OUT / "png_named.JPEG").write_bytes(buffer.getvalue())
for orientation in range(2, 9):
    picture.save(OUT / f"exif{orientation}.jpg", quality=95, subsampling=0, exif=exif(orientation))
picture.save(OUT / "exif6.png", exif=exif(6))
whole = (OUT / "rgb.jpg").read_bytes()
(OUT / "truncated.jpg").write_bytes(whole[: len(whole) - 40])
(OUT / "empty.jpg").write_bytes(b"")
(OUT / "text.jpg").write_bytes(b"not an image\n")

# Decompression bombs: whole files but for the size that their headers claim, the largest that JPEG can express.
frame = whole.index(b"\xff\xc0")
(OUT / "bomb.jpg").write_bytes(whole[: frame + 5] + b"\xff\xff\xff\xff" + whole[frame + 9 :])
png = (OUT / "rgb.png").read_bytes()
header = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + png[24:29]
(OUT / "bomb.png").write_bytes(png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png[33:])

# What Pillow reads: size, and the RGB of 5 x 4 pixels.
expected = {}
for path in sorted(OUT.iterdir()):
    if path.suffix not in (".jpg", ".JPEG", ".png"):
        continue
    try:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except (OSError, Image.DecompressionBombError):
        continue
    pixels = np.asarray(image)
    ys = [int(v) for v in np.linspace(0, image.height - 1, 4)]
    xs = [int(v) for v in np.linspace(0, image.width - 1, 5)]
    expected[path.name] = {
        "size": [image.width, image.height],
        "samples": [[x, y, *map(int, pixels[y, x])] for y in ys for x in xs],
    }
(OUT / "expected.json").write_text(json.dumps(expected, indent=None) + "\n")
