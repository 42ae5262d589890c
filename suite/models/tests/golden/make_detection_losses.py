"""Makes detection_losses.json: what detection's training should compute, on random input, from the formulas in NumPy.

Made with Python 3.11, NumPy 2.4, torch 2.11.0, torchvision 0.26.0:
    python make_detection_losses.py > detection_losses.json
Where torchvision has the same thing (anchors, the matcher, the sampler's counts, RoIAlign of a mask), its result is
compared with the formula's here, and the script stops where they differ. Boxes are [x0, y0, x1, y1] in pixels of a 64 px
image, on quarters of a pixel, so that every IoU is a fraction of whole numbers and a tie is a tie in any arithmetic.
Sources of the formulas: Ren et al., Faster R-CNN; He et al., Mask R-CNN; Cai and Vasconcelos, Cascade R-CNN;
google-research/google-research moe_mtl/losses/maskrcnn_losses.py for what the RPN's box loss is divided by.
"""
import json

import numpy as np
import torch
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou, roi_align

SIZE = 64
rng = np.random.default_rng(14)
out = {}


def decimals(x, digits):
    """Numbers of few digits, as the nearest float32, in double precision."""
    return np.round(x, digits).astype(np.float32).astype(np.float64)


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        short = float(str(np.float32(value)))
        return int(short) if short == int(short) else short
    return int(value) if isinstance(value, np.integer) else value


def sparse(x):
    """[place in the flat array, value] of what isn't 0."""
    flat = x.reshape(-1)
    return [[int(i), flat[i]] for i in np.flatnonzero(flat)]


def overlap(a, b):
    """Shared and united area of every pair, in units of 1/16 square pixel where the boxes lie on quarters."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), 2)
    area = [np.prod(x[:, 2:] - x[:, :2], 1) for x in (a, b)]
    return 16 * shared, 16 * (area[0][:, None] + area[1][None] - shared)


def iou(a, b):
    shared, united = overlap(a, b)
    return np.where(united > 0, shared / np.where(united > 0, united, 1), 0)


def encode(truth, box, weights):
    def parts(b):
        return (b[..., :2] + b[..., 2:]) / 2, b[..., 2:] - b[..., :2]
    (tc, ts), (bc, bs) = parts(truth), parts(box)
    return np.concatenate([(tc - bc) / bs, np.log(ts / bs)], -1) * weights


def decode(code, box, weights):
    centre, size = (box[..., :2] + box[..., 2:]) / 2, box[..., 2:] - box[..., :2]
    code = code / weights
    centre = centre + code[..., :2] * size
    size = size * np.exp(np.minimum(code[..., 2:], np.log(1000 / 16)))
    return np.concatenate([centre - size / 2, centre + size / 2], -1)


def huber(x, delta):
    return np.where(np.abs(x) <= delta, x * x / 2, delta * (np.abs(x) - delta / 2))


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def quarter_boxes(n, smallest, largest):
    size = rng.integers(4 * smallest, 4 * largest + 1, (n, 2))
    corner = np.array([[rng.integers(0, 4 * SIZE - s + 1) for s in row] for row in size])
    return np.concatenate([corner, corner + size], 1) / 4


def pad(images, most):
    """Boxes and labels of each image, padded to `most` with empty boxes of label -1."""
    boxes, labels = np.zeros((len(images), most, 4)), np.full((len(images), most), -1)
    for i, (b, l) in enumerate(images):
        boxes[i, :len(b)], labels[i, :len(l)] = np.reshape(b, (-1, 4)), l
    return boxes, labels


# ---------------------------------------------------------------- the RPN
# Levels of 8x8, 4x4 and 2x2 cells, three anchors a cell: [252, 4].
PER_LEVEL = [192, 48, 12]
generator = AnchorGenerator(((16,), (32,), (64,)), ((0.5, 1.0, 2.0),) * 3)
anchors = generator(ImageList(torch.zeros(1, 3, SIZE, SIZE), [(SIZE, SIZE)]),
                    [torch.zeros(1, 1, side, side) for side in (8, 4, 2)])[0].double().numpy()
assert len(anchors) == sum(PER_LEVEL) and (anchors == np.round(anchors)).all()


def label_anchors(truth):
    """Foreground: IoU >= 0.7, or the highest of some ground truth, where that is over 0; background: all below 0.3."""
    if len(truth) == 0:
        return np.zeros(len(anchors), bool), np.ones(len(anchors), bool), np.zeros(len(anchors), int)
    shared, united = overlap(anchors, truth)
    shared, united = shared.astype(np.int64), united.astype(np.int64)
    # Compare shared / united as fractions: a/b >= c/d is a*d >= c*b.
    foreground = (10 * shared >= 7 * united).any(1)
    for g in range(len(truth)):
        s, u = shared[:, g], united[:, g]
        best = (s[:, None] * u[None, :] >= s[None, :] * u[:, None]).all(1)
        foreground |= best & (s > 0)
    background = (10 * shared < 3 * united).all(1) & ~foreground
    return foreground, background, iou(anchors, truth).argmax(1)


def edge_case(numerator):
    """A ground truth and an anchor that has an IoU of exactly numerator / 10 with it; another anchor has more."""
    while True:
        truth = quarter_boxes(4000, 8, 40)
        shared, united = overlap(anchors, truth)
        exact = 10 * shared == numerator * united
        better = (shared / united).max(0) > (shared / np.maximum(united, 1))[exact.argmax(0), np.arange(len(truth))]
        found = np.flatnonzero(exact.any(0) & better)
        if len(found):
            return truth[found[0]], int(exact[:, found[0]].argmax())


seven, anchor_seven = edge_case(7)
three, anchor_three = edge_case(3)
same_as_an_anchor = anchors[3 * (8 * 5 + 3) + 1]
rpn_images = [
    ([same_as_an_anchor, seven, *quarter_boxes(2, 12, 40), [2, 2, 61.5, 62.25]], [0, 1, 2, 3, 4]),
    # Small boxes within anchors of one size: several are equally good, none good. A strip.
    ([[30, 30, 33, 33], [9.25, 50, 11.25, 51], [1, 20, 62, 23]], [1, 1, 0]),
    ([], []),
    # A ground truth without area overlaps nothing; two equal ones.
    ([three, [20, 20, 20, 28], [40, 36, 60, 58], [40, 36, 60, 58]], [2, 3, 0, 4])]
# A crowd of the last image's file, no target: anchors within it are background.
crowd = np.array([[0, 30, 30, 64.0]])
boxes, labels = pad(rpn_images, 6)
boxes[3, 5] = anchors[100]  # Padding is what its label says, whatever its box.

labelled = [label_anchors(np.reshape(b, (-1, 4))) for b, _ in rpn_images]
for (truth, _), (foreground, background, index) in zip(rpn_images, labelled):
    truth = np.reshape(truth, (-1, 4))
    truth = truth[np.prod(truth[:, 2:] - truth[:, :2], 1) > 0] if len(truth) else truth
    if len(truth):
        # torchvision lets a ground truth without any overlap match every anchor, so those stay out of the comparison.
        matched = Matcher(0.7, 0.3, allow_low_quality_matches=True)(
            box_iou(torch.tensor(truth).float(), torch.tensor(anchors).float())).numpy()
        assert ((matched >= 0) == foreground).all() and ((matched == -1) == background).all()
assert labelled[0][0][anchor_seven] and not (labelled[3][0] | labelled[3][1])[anchor_three]
inside = overlap(anchors, crowd)[0][:, 0] == 16 * np.prod(anchors[:, 2:] - anchors[:, :2], 1)
assert (inside & labelled[3][1]).sum() >= 3
foreground, background, truth_index = (np.array([l[i] for l in labelled]) for i in range(3))

objectness = decimals(rng.normal(size=(4, len(anchors))) * 2, 3)
code = decimals(rng.normal(size=(4, len(anchors), 4)) * 0.3, 3)


def rpn_box_loss(images):
    """Sum over the levels of: Huber loss over the coordinates whose target isn't 0, over their number + 0.01."""
    total, gradient, start = 0.0, np.zeros((len(images), len(anchors), 4)), 0
    for count in PER_LEVEL:
        level = slice(start, start + count)
        losses, coordinates, slopes = 0.0, 0, np.zeros((len(images), count, 4))
        for k, i in enumerate(images):
            for a in np.flatnonzero(foreground[i, level]):
                target = encode(boxes[i, truth_index[i, start + a]], anchors[start + a], 1.0)
                off = code[i, start + a] - target
                losses += huber(off, 1 / 9)[target != 0].sum()
                coordinates += (target != 0).sum()
                slopes[k, a] = np.clip(off, -1 / 9, 1 / 9) * (target != 0)
        total += losses / (coordinates + 0.01)
        gradient[:, level] = slopes / (coordinates + 0.01)
        start += count
    return total, gradient


def objectness_loss(chosen):
    """Mean binary cross-entropy over the (image, anchor) pairs that are chosen [4, A]; and its gradient."""
    entropy = softplus(objectness) - objectness * foreground
    n = max(chosen.sum(), 1)
    return entropy[chosen].sum() / n, (sigmoid(objectness) - foreground) * chosen / n


# A fixed sample of 24 an image, foreground first; image 1 has two slots that are not filled.
sample = {"index": np.zeros((4, 24), int), "foreground": np.zeros((4, 24), bool), "real": np.ones((4, 24), bool)}
for i in range(4):
    fg = rng.permutation(np.flatnonzero(foreground[i]))[:8]
    bg = rng.permutation(np.flatnonzero(background[i]))[:24 - len(fg)]
    sample["index"][i] = np.concatenate([fg, bg])
    sample["foreground"][i, :len(fg)] = True
sample["real"][1, -2:] = False
chosen = np.zeros((4, len(anchors)), bool)
for i in range(4):
    chosen[i, sample["index"][i][sample["real"][i]]] = True
value, gradient = objectness_loss(chosen)
all_value, _ = objectness_loss(foreground | background)
loss_of = []
for images in ([0, 1, 2, 3], [0], [1], [2], [3]):
    loss, slope = rpn_box_loss(images)
    loss_of.append({"images": images, "loss": loss, "gradient": sparse(slope) if len(images) > 1 else []})
counts = [[int(f[s:s + n].sum()) for s, n in zip((0, 192, 240), PER_LEVEL)] for f in foreground]
assert np.min(np.sum(counts, 0)) > 0 and counts[1][2] == 0, counts
out["rpn"] = {
    "anchors": anchors, "per_level": PER_LEVEL, "boxes": boxes, "labels": labels, "truth": truth_index,
    # F, B or - an anchor.
    "sets": ["".join("FB-"[0 if f else 1 if b else 2] for f, b in zip(*pair)) for pair in zip(foreground, background)],
    "objectness": objectness, "code": code, "sample": sample, "objectness_loss": value,
    "objectness_gradient": sparse(gradient), "objectness_loss_of_all": all_value, "box_loss": loss_of}

# ---------------------------------------------------------------- sampling
# torchvision's sampler: how many of each set are drawn. [foreground, background, ignored, drawn at most, foreground at
# most] -> [foreground, background].
cases = [[0, 40, 3, 16, 8], [3, 40, 3, 16, 8], [30, 40, 3, 16, 8], [30, 2, 5, 16, 8], [5, 4, 9, 16, 8], [0, 0, 9, 16, 8],
         [20, 0, 0, 16, 4], [9, 30, 0, 32, 8], [8, 30, 0, 32, 8], [7, 30, 0, 32, 8], [40, 40, 0, 64, 16]]
drawn = []
for fg, bg, ignored, most, most_fg in cases:
    labels_of = torch.tensor([1] * fg + [0] * bg + [-1] * ignored)
    pos, neg = BalancedPositiveNegativeSampler(most, most_fg / most)([labels_of])
    drawn.append([int(pos[0].sum()), int(neg[0].sum())])
out["sampling"] = {"cases": cases, "drawn": drawn}

# ---------------------------------------------------------------- RoIs
IOU = (5, 6, 7)  # tenths
CODE = np.array([[10, 10, 5, 5], [20, 20, 10, 10], [30, 30, 15, 15.0]])
CLASSES = 5


def label_rois(candidates, real, truth, tenths):
    if len(truth) == 0:
        return np.zeros(len(candidates), bool), real.copy(), np.zeros(len(candidates), int)
    shared, united = overlap(candidates, truth)
    high = (10 * shared >= tenths * united).any(1)
    return high & real, ~high & real, iou(candidates, truth).argmax(1)


def exactly(truth, tenths):
    """A box whose IoU with the ground truth is exactly tenths / 10."""
    while True:
        found = quarter_boxes(20000, 6, 50)
        shared, united = overlap(found, truth[None])
        hit = np.flatnonzero(10 * shared[:, 0] == tenths * united[:, 0])
        if len(hit):
            return found[hit[0]]


roi_images = [
    (quarter_boxes(3, 14, 30), [0, 3, 2]),
    (np.array([[8, 8, 32, 28], [8, 8, 32, 28], [30, 34, 63, 64.0]]), [4, 1, 2]),  # The first two are equal.
    (np.zeros((0, 4)), [])]
roi_boxes, roi_labels = pad(roi_images, 4)
roi_boxes[0, 3] = [10, 10, 50, 50]  # Padding again.
proposals = np.zeros((3, 20, 4))
for i in range(3):
    truth = roi_images[i][0]
    near = [np.clip(truth[k % len(truth)] + rng.integers(-20, 21, 4) / 4, 0, SIZE) for k in range(11)] if len(truth) else []
    exact = [exactly(truth[-1], t) for t in IOU] if len(truth) else []
    made = np.array([*near, *exact, *quarter_boxes(20 - len(near) - len(exact), 4, 40)])
    proposals[i] = made[rng.permutation(20)]
    proposals[i] = np.where(proposals[i][:, [2, 3, 2, 3]] > proposals[i][:, [0, 1, 0, 1]], proposals[i], [4, 4, 20, 20])
proposal_real = np.ones((3, 20), bool)
proposal_real[:, 17:] = False
candidates = np.concatenate([proposals, roi_boxes], 1)
candidate_real = np.concatenate([proposal_real, roi_labels >= 0], 1)
sets, truths = [], []
for tenths in IOU:
    of_stage = [label_rois(c, r, t, tenths) for c, r, (t, _) in zip(candidates, candidate_real, roi_images)]
    sets.append(["".join("FB-"[0 if f else 1 if b else 2] for f, b in zip(fg, bg)) for fg, bg, _ in of_stage])
    truths.append([t for _, _, t in of_stage])
    for c, (t, _), (fg, bg, index), r in zip(candidates, roi_images, of_stage, candidate_real):
        if len(t):
            matched = Matcher(tenths / 10, tenths / 10)(box_iou(torch.tensor(t).float(), torch.tensor(c).float())).numpy()
            assert ((matched >= 0) & r == fg).all() and ((matched == -1) & r == bg).all()
            assert (matched[fg] == index[fg]).all()
assert len({tuple(s) for s in sets}) == 3
out["rois"] = {"proposals": proposals, "proposal_real": proposal_real, "boxes": roi_boxes, "labels": roi_labels,
               "sets": sets, "truth": truths[0]}

# The RoIs of a first stage: the foreground of each image and then background, 14 an image, the last of image 2 is padding.
R = 14
first = {"boxes": np.zeros((3, R, 4)), "truth": np.zeros((3, R), int), "foreground": np.zeros((3, R), bool),
         "real": np.ones((3, R), bool)}
first["real"][2, -3:] = False
for i in range(3):
    fg, bg, index = label_rois(candidates[i], candidate_real[i], roi_images[i][0], IOU[0])
    take = np.concatenate([np.flatnonzero(fg)[:R - 4], np.flatnonzero(bg)])[:R]
    assert len(take) == R, (len(take), fg.sum(), bg.sum())
    first["boxes"][i], first["truth"][i], first["foreground"][i] = candidates[i][take], index[take], fg[take]


def class_loss(logits, rois):
    label = np.where(rois["foreground"], np.take_along_axis(roi_labels, rois["truth"], 1) + 1, 0)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    hot = np.eye(CLASSES + 1)[label]
    real = rois["real"][..., None]
    n = max(rois["real"].sum(), 1)
    return -(log * hot * real).sum() / n, (np.exp(log) - hot) * real / n


def box_loss(stage_code, rois, stage):
    """Mean Huber loss (delta 1) over the coordinates of the foreground RoIs, and its gradient."""
    total, gradient = 0.0, np.zeros_like(stage_code)
    n = max(4 * rois["foreground"].sum(), 1)
    for i, r in zip(*np.nonzero(rois["foreground"])):
        off = stage_code[i, r] - encode(roi_boxes[i, rois["truth"][i, r]], rois["boxes"][i, r], CODE[stage])
        total += huber(off, 1.0).sum()
        gradient[i, r] = np.clip(off, -1, 1) / n
    return total / n, gradient


def next_rois(rois, stage_code, stage):
    """Moves, cuts at the borders, assigns anew; None where an IoU is so near a threshold or another that float32 might
    decide otherwise."""
    moved = np.clip(decode(stage_code, rois["boxes"], CODE[stage]), 0, SIZE)
    new = {"boxes": moved, "truth": np.zeros((3, R), int), "foreground": np.zeros((3, R), bool), "real": rois["real"]}
    for i, (truth, _) in enumerate(roi_images):
        if len(truth) == 0:
            continue
        overlaps = iou(moved[i], truth)
        best = overlaps.max(1)
        different = np.where((truth[None] == truth[overlaps.argmax(1)][:, None]).all(2), -1, overlaps).max(1)
        if (np.abs(best - IOU[stage + 1] / 10) < 1e-3).any() or ((best > 0) & (best - different < 1e-3)).any():
            return None
        new["truth"][i] = overlaps.argmax(1)
        new["foreground"][i] = (best >= IOU[stage + 1] / 10) & rois["real"][i]
    return new


def stage_code(rois, stage):
    """Codes that bring RoIs a part of the way to their ground truth, or push them elsewhere."""
    target = encode(roi_boxes[np.arange(3)[:, None], rois["truth"]], rois["boxes"], CODE[stage])
    target = np.where(np.isfinite(target), target, 0)
    share = rng.uniform(-0.3, 1.1, (3, R, 1))
    return decimals(np.clip(target * share, -12, 12) + rng.normal(size=(3, R, 4)) * 0.3, 3)


with np.errstate(divide="ignore"):
    while True:
        rois, stages = first, []
        for s in range(3):
            c = stage_code(rois, s)
            logits = decimals(rng.normal(size=(3, R, CLASSES + 1)) * 2, 3)
            (cl, cg), (bl, bg) = class_loss(logits, rois), box_loss(c, rois, s)
            stages.append({"rois": rois, "logits": logits, "code": c, "class_loss": cl, "class_gradient": cg,
                           "box_loss": bl, "box_gradient": bg})
            rois = next_rois(rois, c, s) if s < 2 else rois
            if rois is None:
                break
        changed = [] if rois is None else [
            (a["rois"]["foreground"] != b["rois"]["foreground"]).sum() + (a["rois"]["truth"] != b["rois"]["truth"]).sum()
            for a, b in zip(stages, stages[1:])]
        cut = rois is not None and all(((s["rois"]["boxes"] == 0) | (s["rois"]["boxes"] == SIZE)).any() for s in stages[1:])
        both = rois is not None and all(3 <= s["rois"]["foreground"].sum() for s in stages)
        if cut and both and min(changed) >= 3:
            break
out["cascade"] = {"stages": stages}

# The same with a head whose class logits and code are its biases: then whole losses are known, for 1, 2 and 3 stages.
while True:
    bias_code = decimals(rng.normal(size=(3, 4)) * [[1.5, 1.5, 0.8, 0.8], [2, 2, 1, 1], [2, 2, 1, 1]], 2)
    bias_class = decimals(rng.normal(size=(3, CLASSES + 1)), 2)
    rois, constant = first, []
    for s in range(3):
        wide = [np.broadcast_to(b[s], (3, R, b.shape[1])) for b in (bias_class, bias_code)]
        constant.append([class_loss(wide[0], rois)[0], box_loss(np.array(wide[1]), rois, s)[0], int(rois["foreground"].sum())])
        rois = next_rois(rois, wide[1], s) if s < 2 else rois
        if rois is None:
            break
    if rois is not None and len({c[2] for c in constant}) == 3 and min(c[2] for c in constant) > 2:
        break
# A stage's class loss and box loss, before they are divided by the number of stages.
out["cascade"]["biases"] = {"class": bias_class, "code": bias_code, "losses": [c[:2] for c in constant]}

# ---------------------------------------------------------------- masks
# Masks [2, 2, 20, 20] within their boxes; RoIs [2, 3, 4] and whose they are. The boxes of image 1 have 20x20 px on whole
# pixels: there a mask's pixel is the image's, and torchvision's RoIAlign of the whole mask, one sample a bin, is the same.
M = 20
mask_boxes = np.array([[[3.5, 10.25, 40, 51.75], [20, 2, 61.5, 18]], [[6, 30, 26, 50], [41, 5, 61, 25]]])


def blob():
    noise = rng.normal(size=(M, M))
    for _ in range(6):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, -1, 0) + np.roll(noise, 1, 1) + np.roll(noise, -1, 1)) / 5
    return (noise > np.quantile(noise, 0.4)).astype(int)


masks = np.array([[blob() for _ in range(2)] for _ in range(2)])
mask_truth = np.array([[0, 1, 0], [1, 0, 0]])
mask_foreground = np.array([[True, True, False], [True, True, False]])


def bilinear(mask, y, x):
    """The mask at (y, x), where pixel i has its centre at i + 0.5 and outside is 0."""
    y, x = y - 0.5, x - 0.5
    y0, x0 = int(np.floor(y)), int(np.floor(x))
    total = 0.0
    for i, wy in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
        for j, wx in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
            if 0 <= i < M and 0 <= j < M:
                total += wy * wx * mask[i, j]
    return total


def crop(mask, box, roi):
    centres = (np.arange(28) + 0.5) / 28
    x = (roi[0] + (roi[2] - roi[0]) * centres - box[0]) / (box[2] - box[0]) * M
    y = (roi[1] + (roi[3] - roi[1]) * centres - box[1]) / (box[3] - box[1]) * M
    return np.array([[bilinear(mask, v, u) for u in x] for v in y])


mask_rois, soft = np.zeros((2, 3, 4)), np.zeros((2, 3, 28, 28))
for i in range(2):
    for r in range(3):
        box = mask_boxes[i, mask_truth[i, r]]
        while True:
            roi = decimals(box + rng.uniform(-7, 7, 4), 3)
            soft[i, r] = crop(masks[i, mask_truth[i, r]], box, roi)
            if np.abs(soft[i, r] - 0.5).min() > 1e-4 and (roi[2:] - roi[:2]).min() > 8:
                break
        mask_rois[i, r] = roi
targets = soft >= 0.5
for r in range(3):
    whole = torch.zeros(1, 1, SIZE, SIZE)
    x, y = mask_boxes[1, mask_truth[1, r], :2].astype(int)
    whole[0, 0, y:y + M, x:x + M] = torch.tensor(masks[1, mask_truth[1, r]])
    roi = torch.tensor(np.concatenate([[0], mask_rois[1, r]])[None]).float()
    theirs = roi_align(whole, roi, 28, 1.0, sampling_ratio=1, aligned=True)[0, 0].numpy()
    assert np.abs(theirs - soft[1, r]).max() < 1e-4 and ((theirs >= 0.5) == targets[1, r]).all()
mask_logits = decimals(rng.normal(size=(2, 3, 28, 28)) * 2, 2)
weight = mask_foreground[:, :, None, None] / (mask_foreground.sum() * 28 * 28)
rows = ((sigmoid(mask_logits) - targets) * weight).sum(3)
out["masks"] = {
    "boxes": mask_boxes, "masks": ["".join(map(str, m.reshape(-1))) for m in masks.reshape(4, -1)], "rois": mask_rois,
    "truth": mask_truth, "foreground": mask_foreground,
    "targets": ["".join("01"[int(v)] for v in t.reshape(-1)) for t in targets.reshape(6, -1)],
    "logits": mask_logits, "loss": ((softplus(mask_logits) - mask_logits * targets) * weight).sum(),
    "gradient_of_rows": rows}

print("{\n" + ",\n".join(f'"{name}": ' + json.dumps(plain(part), separators=(",", ":")) for name, part in out.items()) + "\n}")
