"""Makes coco_stats.json: small random COCO sets and the twelve numbers of pycocotools for each.

Made with Python 3.11, numpy 2.4.6, pycocotools 2.0.11:
    python make_coco_stats.py > coco_stats.json
"""
import contextlib
import copy
import io
import json

import numpy as np
from pycocotools import mask as M
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

H, W = 120, 160
CATEGORIES = [{"id": i, "name": f"c{i}"} for i in (1, 4, 90)]


def rounded(values):
    return [round(float(v), 2) for v in values]


def ellipse_polygon(rng, box):
    x, y, w, h = box
    t = np.linspace(0, 2 * np.pi, 8, endpoint=False) + rng.uniform(0, 0.3, 8)
    return rounded(np.stack([x + w / 2 + w / 2 * np.cos(t), y + h / 2 + h / 2 * np.sin(t)], 1).reshape(-1))


def encode(dense):
    rle = M.encode(np.asfortranarray(dense.astype(np.uint8)))
    return {"size": [int(s) for s in rle["size"]], "counts": rle["counts"].decode()}


def counts_list(dense):
    flat, runs, value = dense.reshape(-1, order="F").astype(int), [], 0
    start = 0
    for i in range(len(flat) + 1):
        if i == len(flat) or flat[i] != value:
            runs.append(i - start)
            start, value = i, 1 - value
    return {"size": list(dense.shape), "counts": runs}


def dense_of(polygon):
    return M.decode(M.merge(M.frPyObjects([polygon], H, W)))


def random_box(rng):
    w, h = rng.choice([8, 40, 120]) * rng.uniform(0.6, 1.3), rng.choice([8, 40, 90]) * rng.uniform(0.6, 1.3)
    return rounded([rng.uniform(0, max(W - w, 1)), rng.uniform(0, max(H - h, 1)), w, h])


def make_set(seed, images, objects, extra, crowd, form):
    """form: bbox, segm, both (box and mask in each result), polygons (box and polygons)."""
    rng = np.random.default_rng(seed)
    gt = {"images": [{"id": int(i), "height": H, "width": W} for i in rng.permutation(200)[:images]],
          "categories": CATEGORIES, "annotations": []}
    results = []
    for n, image in enumerate(gt["images"]):
        if n % 4 == 3:
            continue  # an image without annotations; it may still get detections below
        for _ in range(int(rng.integers(1, objects + 1))):
            box, category = random_box(rng), int(rng.choice([c["id"] for c in CATEGORIES]))
            polygon = ellipse_polygon(rng, box)
            dense = dense_of(polygon)
            iscrowd = int(rng.random() < crowd)
            gt["annotations"].append({
                "id": len(gt["annotations"]) + 1, "image_id": image["id"], "category_id": category, "bbox": box,
                "area": float(dense.sum()), "iscrowd": iscrowd,
                "segmentation": counts_list(dense) if iscrowd else [polygon]})
            for _ in range(int(rng.integers(0, 3))):
                shift = rng.normal(0, 0.08, 4) * [box[2], box[3], box[2], box[3]]
                moved = rounded(np.maximum(np.array(box) + shift, [0, 0, 1, 1]))
                results.append((image["id"], category if rng.random() < 0.9 else 4, moved))
    for _ in range(extra):
        image = gt["images"][int(rng.integers(0, images))]
        results.append((image["id"], int(rng.choice([c["id"] for c in CATEGORIES])), random_box(rng)))
    dt = []
    for image_id, category, box in (results[i] for i in rng.permutation(len(results))):
        entry = {"image_id": image_id, "category_id": category, "score": round(float(rng.random()), 1 if seed % 2 else 4)}
        polygon = ellipse_polygon(rng, box)
        if form != "segm":
            entry["bbox"] = box
        if form in ("segm", "both"):
            entry["segmentation"] = encode(dense_of(polygon))
        if form == "polygons":
            entry["segmentation"] = [polygon]
        dt.append(entry)
    return gt, dt


def stats(gt, dt, iou_type):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(gt)
        coco.createIndex()
        if dt:
            results = coco.loadRes(copy.deepcopy(dt))
        else:
            results = COCO()
            results.dataset = {**copy.deepcopy(gt), "annotations": []}
            results.createIndex()
        evaluation = COCOeval(coco, results, iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(v) for v in evaluation.stats]


cases = []
for name, arguments, types in [
    ("plain", dict(seed=1, images=8, objects=4, extra=5, crowd=0.0, form="both"), ("bbox", "segm")),
    ("crowds and ties", dict(seed=3, images=8, objects=4, extra=6, crowd=0.4, form="both"), ("bbox", "segm")),
    ("masks only", dict(seed=4, images=7, objects=4, extra=5, crowd=0.2, form="segm"), ("bbox", "segm")),
    ("boxes only", dict(seed=5, images=9, objects=5, extra=9, crowd=0.2, form="bbox"), ("bbox",)),
    ("polygons", dict(seed=6, images=6, objects=4, extra=4, crowd=0.2, form="polygons"), ("bbox", "segm")),
    ("more than 100 an image", dict(seed=7, images=2, objects=9, extra=620, crowd=0.3, form="bbox"), ("bbox",)),
    ("one object", dict(seed=8, images=1, objects=1, extra=0, crowd=0.0, form="both"), ("bbox", "segm")),
]:
    gt, dt = make_set(**arguments)
    cases += [{"name": name, "gt": gt, "dt": dt, "stats": {t: stats(gt, dt, t) for t in types}}]
gt, _ = make_set(seed=9, images=5, objects=3, extra=0, crowd=0.3, form="bbox")
cases.append({"name": "no detections", "gt": gt, "dt": [], "stats": {t: stats(gt, [], t) for t in ("bbox", "segm")}})
gt = {**gt, "annotations": []}
dt = [{"image_id": gt["images"][0]["id"], "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]
cases.append({"name": "no annotations", "gt": gt, "dt": dt, "stats": {"bbox": stats(gt, dt, "bbox")}})
print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")
