"""Makes tide.json: small sets of boxes and what AP50 loses to each kind of error, by tidecv, the implementation of TIDE's authors.
All categories have objects: tidecv counts categories without any as AP 0, COCO leaves them out.

Made with Python 3.11, numpy 2.4.6, pycocotools 2.0.11, tidecv 1.0.1 (but for its drawing, which needs more packages):
    python make_tide.py > tide.json
"""
import json
import sys
import tempfile
import types

import numpy as np

# tidecv draws with these; its numbers need none of them.
for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.lines", "tqdm", "appdirs"):
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["matplotlib"].pyplot = sys.modules["matplotlib.pyplot"]
sys.modules["appdirs"].user_data_dir = None
sys.modules["tqdm"].tqdm = lambda values, **_: values
sys.modules["tidecv.plotting"] = types.ModuleType("tidecv.plotting")
sys.modules["tidecv.plotting"].Plotter = object
sys.modules["cv2"] = types.ModuleType("cv2")
sys.modules["cv2"].FONT_HERSHEY_SIMPLEX = 0
# Names that numpy 2 no longer has.
for name in ("float", "int", "bool"):
    if not hasattr(np, name):
        setattr(np, name, getattr(__builtins__, name))

from tidecv import TIDE, datasets  # noqa: E402

# As many objects a category. With some other numbers a recall lies on one of the 101 thresholds and tidecv rounds it the other way.
IMAGES, SIDE = 29, 200


def box_set(seed):
    """Objects of three categories, all of which occur, and detections with every kind of error; no two scores are equal."""
    rng = np.random.default_rng(seed)
    objects, found = [], []
    for image in range(1, IMAGES + 1):
        for category in (1, 2, 3):
            x, y, w, h = rng.uniform(0, 120), rng.uniform(0, 120), rng.uniform(20, 60), rng.uniform(20, 60)
            box = [round(float(v), 2) for v in (x, y, w, h)]
            objects.append({"id": len(objects) + 1, "image_id": image, "category_id": category, "bbox": box,
                            "area": round(box[2] * box[3], 4), "iscrowd": 0})
            other = category % 3 + 1
            shifted = [x + 0.3 * w, y, w, h]
            for chance, kind, at in ((0.7, category, box), (0.3, category, box), (0.3, other, box), (0.3, category, shifted),
                                     (0.2, other, shifted), (0.2, category, [rng.uniform(0, 150), rng.uniform(0, 150), 9, 9])):
                if rng.random() < chance:
                    noisy = [round(float(v + rng.uniform(-2, 2)), 2) for v in at]
                    found.append({"image_id": image, "category_id": kind, "bbox": noisy, "score": 0.0})
    for detection, score in zip(found, rng.permutation(len(found))):
        detection["score"] = round(float(score + 1) / (len(found) + 1), 6)
    images = [{"id": i, "file_name": str(i), "height": SIDE, "width": SIDE} for i in range(1, IMAGES + 1)]
    return {"images": images, "categories": [{"id": i, "name": f"c{i}"} for i in (1, 2, 3)], "annotations": objects}, found


cases = []
for seed in range(4):
    truth, results = box_set(seed)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as gt, tempfile.NamedTemporaryFile("w", suffix=".json") as dt:
        # tidecv wants masks, too.
        corners = lambda x, y, w, h: [[x, y, x + w, y, x + w, y + h, x, y + h]]  # noqa: E731
        annotations = [{**a, "segmentation": corners(*a["bbox"])} for a in truth["annotations"]]
        json.dump({**truth, "annotations": annotations}, gt), json.dump(results, dt)
        gt.flush(), dt.flush()
        tide = TIDE()
        tide.evaluate_range(datasets.COCO(gt.name), datasets.COCOResult(dt.name), thresholds=[0.5], mode=TIDE.BOX)
    errors = tide.get_all_errors()
    name = next(iter(errors["main"]))
    main, special = errors["main"][name], errors["special"][name]
    values = {**main, "FP": special["FalsePos"], "FN": special["FalseNeg"]}
    cases.append({"gt": truth, "dt": results, "errors": {key: value / 100 for key, value in values.items()}})
json.dump(cases, sys.stdout)
print()
