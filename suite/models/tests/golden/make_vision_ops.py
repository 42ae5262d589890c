"""Makes vision_ops.json: torchvision's numbers for the operations of detection, on random input.

Made with Python 3.11, torch 2.11.0, torchvision 0.26.0:
    python make_vision_ops.py > vision_ops.json
Boxes are [x0, y0, x1, y1] in pixels. Numbers are float32, written with nine digits, which give back every bit.
Shapes are in the keys' comments below; a tensor is a nested list.
"""
import json
import math

import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, box_iou, nms, roi_align

torch.manual_seed(0)
torch.set_num_threads(1)


def plain(value):
    """A tensor as nested lists of short numbers."""
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(v) for v in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def random_boxes(n, size=64.0, smallest=1.0, largest=40.0):
    corner = torch.rand(n, 2) * size - 4
    return torch.cat([corner, corner + smallest + torch.rand(n, 2) * (largest - smallest)], 1)


out = {}

# box_iou: a [12, 4], b [9, 4] -> iou [12, 9]; equal boxes, disjoint boxes and one without area among them.
a, b = random_boxes(12), random_boxes(9)
b[0] = a[0]
b[1] = torch.tensor([5.0, 5.0, 5.0, 9.0])
b[2] = torch.tensor([200.0, 200.0, 210.0, 220.0])
out["box_iou"] = {"a": a, "b": b, "iou": box_iou(a, b)}

# anchors [64 * 3 + 16 * 3, 4]: level after level; in a level row after row, cell after cell, ratio after ratio.
sizes, ratios = ((24,), (48,)), (0.5, 1.0, 2.0)
generator = AnchorGenerator(sizes, (ratios,) * 2)
anchors = generator(ImageList(torch.zeros(1, 3, 64, 64), [(64, 64)]),
                    [torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)])[0]
out["anchors"] = {"sizes": [24, 48], "strides": [8, 16], "ratios": list(ratios), "canvas": 64, "anchors": anchors}

# box coder: references and proposals [10, 4] -> deltas [10, 4]; then given deltas, one beyond the clamp
# log(1000 / 16) in width and in height, decoded on the same proposals -> boxes [10, 4].
coder = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0), bbox_xform_clip=math.log(1000.0 / 16))
references, proposals = random_boxes(10), random_boxes(10)
encoded = coder.encode_single(references, proposals)
deltas = torch.randn(10, 4) * torch.tensor([2.0, 2.0, 1.0, 1.0])
deltas[3, 2], deltas[4, 3] = 40.0, 25.0
out["box_coder"] = {
    "weights": [10.0, 10.0, 5.0, 5.0], "clip": math.log(1000.0 / 16), "references": references,
    "proposals": proposals, "encoded": encoded, "deltas": deltas, "decoded": coder.decode_single(deltas, proposals),
    "decoded_encoded": coder.decode_single(encoded, proposals)}

# nms: boxes [80, 4], four or so around each object; scores [80], all different -> kept indices, best first.
boxes = random_boxes(20, size=56, smallest=12, largest=30).repeat(4, 1) + 1.5 * torch.randn(80, 4)
scores = (torch.randperm(80) + 1).float() / 81
labels = torch.randint(0, 4, (80,))
out["nms"] = {"boxes": boxes, "scores": scores, "labels": labels,
              "keep_0.5": nms(boxes, scores, 0.5), "keep_0.7": nms(boxes, scores, 0.7),
              "batched_keep_0.5": batched_nms(boxes, scores, labels, 0.5),
              "batched_keep_0.7": batched_nms(boxes, scores, labels, 0.7)}

# roi_align, aligned, 2 x 2 samples a bin: features [2, 4, 8, 8] of a 64 px image, rois [9, 5] = (image, box)
# -> pooled [9, 4, 7, 7]. `gradient` [2, 4, 8, 8] is that of sum(pooled^2) / 2 with respect to the features.
features = torch.randn(2, 4, 8, 8, requires_grad=True)
rois = torch.tensor([
    [0, 4.0, 4.0, 40.0, 52.0], [1, 10.3, 20.7, 33.1, 29.9], [0, 0.0, 0.0, 64.0, 64.0],
    [1, -12.0, -9.0, 20.0, 18.0],    # crosses the upper left border
    [0, 50.0, 44.0, 80.0, 90.0],     # crosses the lower right border
    [1, -40.0, 10.0, -20.0, 30.0],   # wholly outside
    [0, 31.0, 17.0, 31.5, 17.2],     # smaller than a pixel
    [1, 22.0, 22.0, 22.0, 22.0],     # without area
    [1, 63.0, 63.0, 71.0, 70.0]])
pooled = roi_align(features, rois, 7, spatial_scale=1 / 8, sampling_ratio=2, aligned=True)
(pooled.square().sum() / 2).backward()
out["roi_align"] = {"features": features.detach(), "rois": rois, "spatial_scale": 0.125, "sampling_ratio": 2,
                    "output_size": 7, "pooled": pooled.detach(), "gradient": features.grad}

print("{\n" + ",\n".join(
    f'"{name}": ' + json.dumps({k: plain(v) for k, v in part.items()}, separators=(",", ":"))
    for name, part in out.items()) + "\n}")
