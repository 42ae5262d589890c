"""Times joint training and evaluation in PyTorch eager: the peer of a run of the smoke suite with `mtl-vit` in bf16.

One training step is a batch of 32 images to classify and a batch of 8 for detection (torchvision's Mask R-CNN, sizes
as in detection.py), both through the same ViT blocks with patch and position embeddings of their own, in bf16
autocast; then one clipping, fused AdamW and EMA update. Evaluation is 64 and 8 images a batch, boxes and masks pasted
into the image included. Images are random and already on the device: nothing is decoded and nothing is scored.
Prints one JSON document on stdout. Written for torch 2.11.0, torchvision 0.26.0, timm 1.0.28.
"""

import argparse
import json
import sys
import time

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

import detection


class Joint(nn.Module):
    """A classifier and a detector whose transformer blocks and last norm are the same modules."""

    def __init__(self, sizes, classes):
        super().__init__()
        self.detector = detection.build(sizes)
        trunk = self.detector.backbone.vit
        self.classifier = VisionTransformer(
            img_size=sizes.size, patch_size=8, embed_dim=96, depth=4, num_heads=4, mlp_ratio=4.0,
            class_token=False, global_pool="avg", fc_norm=False, num_classes=classes)
        self.classifier.blocks, self.classifier.norm = trunk.blocks, trunk.norm


def detection_batches(sizes, device, count):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        images, targets = detection.random_batch(sizes, generator)
        yield ([image.to(device) for image in images],
               [{name: value.to(device) for name, value in target.items()} for target in targets])


def timed(device, warm_up, repeats, step):
    """Seconds of `repeats` calls of `step(i)`, after `warm_up` calls."""
    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()
    for i in range(warm_up):
        step(i)
    wait()
    start = time.perf_counter()
    for i in range(repeats):
        step(warm_up + i)
    wait()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=200, help="timed steps")
    parser.add_argument("--warm-up", type=int, default=20, help="steps before the clock starts")
    parser.add_argument("--precision", choices=["bf16", "f32"], default="bf16")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("gpu_eager.py: no usable GPU: nvidia-smi must list one", file=sys.stderr)
        return 5
    torch.manual_seed(0)

    sizes = argparse.Namespace(size=64, batch=8, classes=6, channels=64, pre_nms=500, post_nms=100, rois=64, box_head="conv")
    classes = 6
    model = Joint(sizes, classes).to(device).train()
    parameters = list(model.parameters())
    ema = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=1e-4, fused=True)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bf16")
    found = list(detection_batches(sizes, device, 4))
    shown = torch.randn(32, 3, sizes.size, sizes.size, device=device)
    labels = torch.randint(classes, (32,), device=device)

    def train(i):
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = nn.functional.cross_entropy(model.classifier(shown), labels)
            loss = loss + sum(model.detector(*found[i % len(found)]).values())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(ema, parameters, 0.1)
        train.loss = loss.detach()

    train_seconds = timed(device, args.warm_up, args.steps, train)
    loss = train.loss.item()
    if not loss == loss or loss in (float("inf"), float("-inf")):
        print(f"gpu_eager.py: the loss is {loss}: these timings would mean nothing", file=sys.stderr)
        return 1
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None

    model.eval()
    many = torch.randn(64, 3, sizes.size, sizes.size, device=device)

    # As many images of either task, as in the smoke suite: eight detection batches to one of classification.
    def evaluate(_):
        with torch.no_grad(), autocast:
            model.classifier(many).float().softmax(1).cpu()
            for i in range(8):
                for result in model.detector(found[i % len(found)][0]):
                    (result["masks"] > 0.5).cpu()

    rounds = max(1, args.steps // 10)
    evaluate_seconds = timed(device, 2, rounds, evaluate)
    print(json.dumps({
        "train_images_per_second": args.steps * (32 + sizes.batch) / train_seconds,
        "evaluate_images_per_second": rounds * 128 / evaluate_seconds,
        "device_peak_memory_bytes": peak,
        "steps": args.steps, "precision": args.precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
