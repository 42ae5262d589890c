"""Random ViT weights for `adamv-bench features`, and the comparison of what it makes of them.

  gpu_features.py make DIR      writes weights, images, backbone.yaml and PyTorch's own features (CPU, float32)
  gpu_features.py compare DIR   compares features.cpu, features.cuda and PyTorch's; one JSON document on stdout;
                                exit 1 when a pair differs by more than its tolerance

Written for torch 2.11.0, timm 1.0.28, safetensors 0.8.0.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

SIZE, PATCH, DEPTH, WIDTH, HEADS = 64, 8, 4, 96, 4
# Largest absolute difference of values of order 1. Between devices the sums run in another order.
TOLERANCE = {("cpu", "pytorch"): 1e-5, ("cpu", "cuda"): 1e-4}


def make(folder):
    torch.manual_seed(0)
    model = VisionTransformer(
        img_size=SIZE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, mlp_ratio=4.0,
        class_token=False, global_pool="", num_classes=0).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    images = torch.randn(4, 3, SIZE, SIZE)
    with torch.no_grad():
        tokens = model.forward_features(images)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "weights.safetensors")
    save_file({"images": images}, folder / "images.safetensors")
    save_file({"tokens": tokens.contiguous(), "pooled": tokens.mean(1)}, folder / "features.pytorch.safetensors")
    (folder / "backbone.yaml").write_text(
        f"{{image_size: {SIZE}, patch_size: {PATCH}, depth: {DEPTH}, width: {WIDTH}, heads: {HEADS}, "
        f"mlp: {4 * WIDTH}, pool: mean}}\n")
    return 0


def compare(folder):
    features = {who: load_file(folder / f"features.{who}.safetensors") for who in ("pytorch", "cpu", "cuda")}
    rows, code = [], 0
    for (a, b), tolerance in TOLERANCE.items():
        for name in ("tokens", "pooled"):
            left, right = features[a][name], features[b][name]
            same_shape = left.shape == right.shape
            off = (left - right).abs().max().item() if same_shape else float("inf")
            # Not a number must not pass.
            agree = off <= tolerance
            code = code if agree else 1
            rows.append({"pair": f"{a} / {b}", "tensor": name, "difference": off, "tolerance": tolerance, "agree": agree})
    print(json.dumps(rows))
    return code


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "compare"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[2])
    return make(folder) if sys.argv[1] == "make" else compare(folder)


if __name__ == "__main__":
    sys.exit(main())
