"""Makes ../fixtures: tiny images of every kind that image collections trap a reader with, and what Pillow reads in each.

Run: python make_fixtures.py, with pillow 13.0.0 and numpy. The outputs are kept in the repository.
"""

import io
import json
import pathlib
import zlib

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

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


def claim_jpeg(name, side):
    bytes = (OUT / name).read_bytes()
    at = max(bytes.find(b"\xff\xc0"), bytes.find(b"\xff\xc2")) + 5
    return bytes[:at] + side.to_bytes(2, "big") * 2 + bytes[at + 4 :]


def claim_png(name, side):
    bytes = (OUT / name).read_bytes()
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + bytes[24:29]
    return bytes[:12] + header + zlib.crc32(header).to_bytes(4, "big") + bytes[33:]


# Decompression bombs: whole files but for the size that their headers claim, the largest that JPEG can express.
(OUT / "bomb.jpg").write_bytes(claim_jpeg("rgb.jpg", 65_535))
(OUT / "bomb.png").write_bytes(claim_png("rgb.png", 100_000))

# What the readers guard against, for ../fuzz: sizes below the limit that the files cannot hold, and COCO files that
# nest deeply, draw far more than they write, or overflow.
CORPUS = OUT.parent / "fuzz_corpus"
for kind in ("images", "coco"):
    (CORPUS / kind).mkdir(parents=True, exist_ok=True)
(CORPUS / "images" / "hollow.jpg").write_bytes(claim_jpeg("rgb.jpg", 13_000))
(CORPUS / "images" / "hollow_progressive.jpg").write_bytes(claim_jpeg("progressive.jpg", 13_000))
(CORPUS / "images" / "hollow.png").write_bytes(claim_png("grey_alpha.png", 13_000))
picture.save(CORPUS / "images" / "restarts.jpg", restart_marker_rows=1, subsampling=2)
picture.save(CORPUS / "images" / "progressive_restarts.jpg", progressive=True, restart_marker_blocks=2, subsampling=1)
picture.convert("L").convert("I;16").save(CORPUS / "images" / "deep.png")
picture.convert("1").save(CORPUS / "images" / "bits.png")
picture.convert("P").save(CORPUS / "images" / "clear.png", transparency=3)
picture.save(CORPUS / "images" / "moving.png", save_all=True, append_images=[picture.rotate(180)])
packed = PngImagePlugin.PngInfo()
packed.add_text("Comment", "0" * 500_000, zip=True)
picture.save(CORPUS / "images" / "packed.png", pnginfo=packed, icc_profile=bytes(500_000))


def coco(name, width, height, segmentation, bbox=(5, 5, 10, 10)):
    file = {
        "images": [{"id": 1, "file_name": "rgb.png", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": bbox, "segmentation": segmentation}],
    }
    (CORPUS / "coco" / name).write_text(json.dumps(file))


zigzag = [value for i in range(500) for value in (i % 2 * 1e300, i)]
coco("long_outline.json", 178_956_970, 1, [zigzag])
coco("far_corners.json", 40, 24, [[-1e300, -1e300, 1e300, 3.5, 7, 1e300], [1e9, 1e9, -1e9, 1e9, 0, -1e9]])
coco("many_polygons.json", 40, 24, [[1, 1, 9, 1, 9, 9]] * 2000)
coco("runs_beyond.json", 100_000, 100_000, {"size": [100_000, 100_000], "counts": [0, 2**32 - 1, 2**32 - 1, 1_410_065_410]})
coco("string_beyond.json", 40, 24, {"size": [24, 40], "counts": "o" * 4000})
coco("box_beyond.json", 40, 24, [[1, 1, 9, 1, 9, 9]], [-1e308, -1e308, 1.7e308, 1.7e308])
(CORPUS / "coco" / "deep.json").write_text('{"info": ' + "[" * 20_000)

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
