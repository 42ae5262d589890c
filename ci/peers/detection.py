"""Times the training step of torchvision's Mask R-CNN on a small ViT: the peer of our detection step.

One step is forward, the five losses, backward and fused AdamW, on a batch of random images whose size the
model does not change. Sizes are those of our detector with `stages: 1` on `vit-micro`:
    ViT: 64 px, patch 8, 4 blocks, width 96, 4 heads, MLP 384, SDPA (timm's VisionTransformer)
    pyramid: strides 4, 8, 16 from the one patch-8 map, 64 channels
    RPN: one anchor of 3 x stride in three ratios a cell, 256 anchors an image, 0.7 / 0.3, 500 before and 100 after NMS 0.7
    RoIs: 64 an image, a quarter foreground; RoIAlign 7 x 7 (boxes) and 14 x 14 (masks), sampling 2
    box head: 4 conv 64 and FC 256; mask head: 4 conv 64 and a deconvolution to 28 x 28
Prints one JSON document on stdout, progress on stderr.
Written for torch 2.11.0, torchvision 0.26.0, timm 1.0.28.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections import OrderedDict

import timm
import torch
import torchvision
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

LEVELS = ["0", "1", "2"]
STRIDES = [4, 8, 16]


class Pyramid(nn.Module):
    """ViT tokens [B, N, D] as one map at stride 8, and from it maps at strides 4, 8 and 16."""

    def __init__(self, size, channels):
        super().__init__()
        width = 96
        self.vit = VisionTransformer(
            img_size=size, patch_size=8, embed_dim=width, depth=4, num_heads=4, mlp_ratio=4.0,
            class_token=False, global_pool="", num_classes=0)
        self.out_channels = channels
        self.to_level = nn.ModuleList([
            nn.ConvTranspose2d(width, channels, 2, stride=2),
            nn.Conv2d(width, channels, 1),
            nn.Conv2d(width, channels, 3, stride=2, padding=1),
        ])
        self.smooth = nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1) for _ in STRIDES])

    def forward(self, images):
        tokens = self.vit.forward_features(images)
        rows, columns = images.shape[-2] // 8, images.shape[-1] // 8
        one_map = tokens.transpose(1, 2).reshape(len(images), -1, rows, columns)
        return OrderedDict(
            (name, smooth(to(one_map))) for name, to, smooth in zip(LEVELS, self.to_level, self.smooth))


def build(args):
    channels = args.channels
    classes = args.classes + 1  # and background
    if args.box_head == "conv":
        box_head = FastRCNNConvFCHead((channels, 7, 7), [channels] * 4, [256])
        features = 256
    else:
        box_head, features = TwoMLPHead(channels * 7 * 7, 1024), 1024
    pool = lambda size: MultiScaleRoIAlign(LEVELS, size, sampling_ratio=2)
    return MaskRCNN(
        Pyramid(args.size, channels),
        min_size=args.size, max_size=args.size,
        rpn_anchor_generator=AnchorGenerator(tuple((3 * s,) for s in STRIDES), ((0.5, 1.0, 2.0),) * len(STRIDES)),
        rpn_pre_nms_top_n_train=args.pre_nms, rpn_post_nms_top_n_train=args.post_nms,
        rpn_nms_thresh=0.7, rpn_fg_iou_thresh=0.7, rpn_bg_iou_thresh=0.3,
        rpn_batch_size_per_image=256, rpn_positive_fraction=0.5,
        box_roi_pool=pool(7), box_head=box_head, box_predictor=FastRCNNPredictor(features, classes),
        box_batch_size_per_image=args.rois, box_positive_fraction=0.25,
        mask_roi_pool=pool(14), mask_head=MaskRCNNHeads(channels, [channels] * 4, 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, classes))


def random_batch(args, generator):
    """Images in 0..1 with 1 to 6 boxes each; a mask fills the ellipse in its box."""
    size = args.size
    yy, xx = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    images, targets = [], []
    for _ in range(args.batch):
        n = int(torch.randint(1, 7, (1,), generator=generator))
        wh = (0.15 + 0.4 * torch.rand(n, 2, generator=generator)) * size
        xy = torch.rand(n, 2, generator=generator) * (size - wh)
        boxes = torch.cat([xy, xy + wh], 1)
        centre, half = xy + wh / 2, wh / 2
        masks = ((xx[None] - centre[:, 0, None, None]) / half[:, 0, None, None]) ** 2 \
            + ((yy[None] - centre[:, 1, None, None]) / half[:, 1, None, None]) ** 2 <= 1
        images.append(torch.rand(3, size, size, generator=generator))
        targets.append({
            "boxes": boxes, "masks": masks.to(torch.uint8),
            "labels": torch.randint(1, args.classes + 1, (n,), generator=generator)})
    return images, targets


def main():
    steps = int(os.environ.get("ADAMV_BENCH_STEPS", "20"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=steps, help="timed steps (default: ADAMV_BENCH_STEPS or 20)")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before the clock starts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8, help="images a step")
    parser.add_argument("--size", type=int, default=64, help="pixels, a multiple of 16")
    parser.add_argument("--classes", type=int, default=6, help="without background")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--pre-nms", type=int, default=500, help="proposals a level and image before NMS")
    parser.add_argument("--post-nms", type=int, default=100, help="proposals an image after NMS")
    parser.add_argument("--rois", type=int, default=64, help="sampled RoIs an image")
    parser.add_argument("--box-head", choices=["conv", "mlp"], default="conv",
                        help="conv: 4 conv and FC 256, as ours; mlp: torchvision's two FC 1024")
    args = parser.parse_args()
    if args.steps < 1 or args.size % 16:
        parser.error("--steps must be at least 1 and --size a multiple of 16")

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = build(args).train()
    # Four batches in turn: sampling differs between steps, as in training.
    batches = [random_batch(args, generator) for _ in range(4)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4, fused=True)

    seconds, loss = [], float("nan")
    for step in range(args.warm_up + args.steps):
        images, targets = batches[step % len(batches)]
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        total = sum(model(images, targets).values())
        total.backward()
        optimizer.step()
        loss = float(total.detach())
        if step >= args.warm_up:
            seconds.append(time.perf_counter() - start)
        if loss != loss or loss == float("inf"):
            sys.exit(f"the loss is {loss} at step {step}: these timings would mean nothing")
    print(f"torchvision: {len(seconds)} steps, last loss {loss:.3f}", file=sys.stderr)
    print(json.dumps({
        "seconds_per_step": {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)},
        "steps": args.steps, "batch": args.batch, "size": args.size, "threads": args.threads,
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__}))


if __name__ == "__main__":
    main()
