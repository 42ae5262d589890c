"""Golden counts of the real collections, in stats.json.

Run: python make_stats.py REAL, with pycocotools 2.0.11, pillow 13.0.0, numpy, where REAL holds coco_cc and caltech101_mini.
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image, ImageOps
from pycocotools.coco import COCO

HERE = pathlib.Path(__file__).parent
REAL = pathlib.Path(sys.argv[1])


def spread(values):
    return {"min": int(min(values)), "median": float(np.median(values)), "mean": round(float(np.mean(values)), 6), "max": int(max(values))}


def sizes(files):
    upright = [ImageOps.exif_transpose(Image.open(f)).size for f in files]
    return {"width": spread([w for w, _ in upright]), "height": spread([h for _, h in upright])}


def detection(folder, name):
    coco = COCO(folder / f"annotations/instances_{name}.json")
    images = coco.getImgIds()
    areas = [a["bbox"][2] * a["bbox"][3] for a in coco.loadAnns(coco.getAnnIds(iscrowd=False))]
    per_image = [len(coco.getAnnIds(imgIds=[i], iscrowd=False)) for i in images]
    classes = []
    for category in coco.loadCats(coco.getCatIds()):
        plain = coco.loadAnns(coco.getAnnIds(catIds=[category["id"]], iscrowd=False))
        crowds = coco.getAnnIds(catIds=[category["id"]], iscrowd=True)
        classes.append([category["name"], len({a["image_id"] for a in plain}), len(plain), len(crowds)])
    return {
        "images": len(images), "total": len(areas), "crowds": len(coco.getAnnIds(iscrowd=True)),
        "images_without": per_image.count(0), "per_image": spread(per_image),
        "small": sum(a < 32**2 for a in areas), "medium": sum(32**2 <= a < 96**2 for a in areas),
        "large": sum(a >= 96**2 for a in areas), "classes": classes,
    } | sizes([folder / name / i["file_name"] for i in coco.loadImgs(images)])


def classification(folder, split):
    files = {c.name: sorted(c.glob("*.jpg")) for c in sorted((folder / split).iterdir())}
    every = [f for those in files.values() for f in those]
    return {"images": len(every), "classes": [[name, len(those)] for name, those in files.items()]} | sizes(every)


golden = {name: detection(REAL / "coco_cc", name) for name in ("train2017", "val2017")}
golden |= {split: classification(REAL / "caltech101_mini", split) for split in ("train", "val")}
(HERE / "stats.json").write_text(json.dumps(golden) + "\n")
