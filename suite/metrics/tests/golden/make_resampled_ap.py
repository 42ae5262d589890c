"""Makes resampled_ap.json: a small COCO set with crowds, ties and empty images, and pycocotools' AP of resamples of it.

A resample is made as a set of its own: each drawn image is copied under a new id, in the order of image ids. `resamples` has
AP, AP50 and AP75 of 50 of them, and in `categories` those of each category that has objects; `difference` is the bootstrap of AP(dt) - AP(other) in boxes: the same 2,000 resamples for both.

Made with Python 3.11, numpy 2.4.6, pycocotools 2.0.11 (some minutes):
    python make_resampled_ap.py > resampled_ap.json
"""
import contextlib
import io
import json

import numpy as np
from pycocotools import mask as M
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

H, W, IMAGES = 48, 64, 40
CATEGORIES = [{"id": i, "name": f"c{i}"} for i in (2, 3, 17, 44)]
RARE = 44  # in two images only, so that many resamples lack it


def rounded(values):
    return [round(float(v), 1) for v in values]


def mask(box):
    x, y, w, h = box
    rows, columns = np.mgrid[:H, :W] + 0.5
    dense = ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2 <= 1
    rle = M.encode(np.asfortranarray(dense.astype(np.uint8)))
    return {"size": [H, W], "counts": rle["counts"].decode()}, int(dense.sum())


def random_box(rng):
    w, h = rng.uniform(8, 30), rng.uniform(8, 24)
    return rounded([rng.uniform(0, W - w), rng.uniform(0, H - h), w, h])


def entry(image_id, category, box, score):
    return {"image_id": image_id, "category_id": category, "bbox": box, "segmentation": mask(box)[0], "score": score}


def detect(rng, gt, noise, extra, digits):
    """Moved objects, some twice, some of another category, and false ones; scores have few digits, so that many tie."""
    found = []
    for object in gt["annotations"]:
        for _ in range(int(rng.choice([0, 1, 1, 1, 2, 3]))):
            box = np.array(object["bbox"])
            box = rounded(np.maximum(box + rng.normal(0, noise, 4) * box[[2, 3, 2, 3]], [0, 0, 3, 3]))
            category = object["category_id"] if rng.random() < 0.9 else 3
            found.append(entry(object["image_id"], category, box, round(float(rng.beta(3, 2)), digits)))
    for _ in range(extra):
        image = gt["images"][int(rng.integers(IMAGES))]["id"]
        category = int(rng.choice([2, 3, 17, RARE]))
        found.append(entry(image, category, random_box(rng), round(float(rng.beta(2, 3)), digits)))
    return [found[i] for i in rng.permutation(len(found))]


def make_set():
    rng = np.random.default_rng(20)
    ids = sorted(int(i) for i in rng.permutation(500)[:IMAGES])
    gt = {"images": [{"id": ids[i], "height": H, "width": W} for i in rng.permutation(IMAGES)],
          "categories": CATEGORIES, "annotations": []}
    for n, image in enumerate(gt["images"]):
        objects = 0 if n % 8 == 7 else int(rng.integers(1, 6))
        categories = [int(rng.choice([2, 3, 17], p=[0.5, 0.3, 0.2])) for _ in range(objects)] + [RARE] * (n in (1, 9))
        for category in categories:
            box = random_box(rng)
            segmentation, area = mask(box)
            gt["annotations"].append({
                "id": len(gt["annotations"]) + 1, "image_id": image["id"], "category_id": category, "bbox": box,
                "area": float(area), "iscrowd": int(rng.random() < 0.15), "segmentation": segmentation})
    return gt, detect(rng, gt, 0.08, 60, 1), detect(rng, gt, 0.13, 50, 2)


def resampled(entries, drawn):
    """The entries of the drawn images, as image 1, 2, ...; each in the order of the list."""
    of_image = {}
    for one in entries:
        of_image.setdefault(one["image_id"], []).append(one)
    return [{**one, "image_id": n} for n, image in enumerate(drawn, 1) for one in of_image.get(image, [])]


def average_precision(gt, dt, drawn, iou_type, areas=None):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        annotations = resampled(gt["annotations"], drawn)
        coco.dataset = {
            "images": [{"id": n, "height": H, "width": W} for n in range(1, len(drawn) + 1)], "categories": CATEGORIES,
            "annotations": [{**one, "id": n} for n, one in enumerate(annotations, 1)]}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(resampled(dt, drawn)), iou_type)
        if areas:
            evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:areas], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
        if areas is None:
            evaluation.summarize()
            precision = evaluation.eval["precision"][:, :, :, 0, -1]
            assert list(evaluation.params.iouThrs[[0, 5]]) == [0.5, 0.75]
            categories = {str(category): [float(of.mean()) for of in (found, found[0], found[5])]
                          for category, found in zip(evaluation.params.catIds, np.moveaxis(precision, 2, 0))
                          if found.max() > -1}
            return [float(v) for v in evaluation.stats[:3]], categories
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        return float(precision[precision > -1].mean())


gt, dt, other = make_set()
ids = np.array(sorted(image["id"] for image in gt["images"]))
rng = np.random.default_rng(7)
draws = [np.arange(IMAGES)] + [np.sort(rng.integers(0, IMAGES, IMAGES)) for _ in range(44)]
draws += [np.sort(rng.integers(0, IMAGES, n)) for n in (1, 2, 3, 8, 120)]
resamples = []
for drawn in draws:
    found = {iou: average_precision(gt, dt, [int(i) for i in ids[drawn]], iou) for iou in ("bbox", "segm")}
    resamples.append({"drawn": [int(i) for i in drawn], **{iou: ap for iou, (ap, _) in found.items()},
                      "categories": {iou: categories for iou, (_, categories) in found.items()}})

rng = np.random.default_rng(11)
differences = []
for _ in range(2000):
    drawn = [int(i) for i in ids[np.sort(rng.integers(0, IMAGES, IMAGES))]]
    differences.append(average_precision(gt, dt, drawn, "bbox", 1) - average_precision(gt, other, drawn, "bbox", 1))
low, high = np.quantile(differences, [0.025, 0.975])
difference = {"resamples": len(differences), "standard_error": float(np.std(differences, ddof=1)), "low": float(low),
              "high": float(high)}
case = {"gt": gt, "dt": dt, "other": other, "difference": difference}
lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in resamples)
print(json.dumps(case, separators=(",", ":"))[:-1] + ',"resamples":[\n' + lines + "\n]}")
