"""Counts parameters and multiply-adds of timm's ViTs by watching every operation of a real forward pass.

Prints the numbers of `vits_cost_what_timm_counts` in tests/cost.rs. Made with timm 1.0.28, torch 2.11.0:
    python make_cost.py
Attention is unfused, so that both of its products are operations of their own. UViT-B isn't in timm: it is timm's class with
its published sizes (18 layers of width 384, MLP 1536, 6 heads; google-research, moe_mtl/modeling/uvit_vmoe_mtl.py), patch 16
at 224 px, mean pooling after the last norm, attention over the whole image.
"""

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch.utils._python_dispatch import TorchDispatchMode


class Count(TorchDispatchMode):
    macs = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "addmm":
            self.macs += args[1].numel() * args[2].shape[1]
        elif name in ("mm", "bmm"):
            self.macs += args[0].numel() * args[1].shape[-1]
        elif name == "convolution":
            self.macs += out.numel() * args[1][0].numel()
        assert "attention" not in name, f"{name} hides its products"
        return out


def uvit_base():
    return VisionTransformer(img_size=224, patch_size=16, embed_dim=384, depth=18, num_heads=6, num_classes=1000,
                             class_token=False, global_pool="avg", fc_norm=False)


models = {name: timm.create_model(name, pretrained=False) for name in ["vit_small_patch16_224", "vit_base_patch16_224"]}
for name, model in (models | {"uvit_base": uvit_base()}).items():
    model.eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    with torch.no_grad(), Count() as count:
        model(torch.zeros(1, 3, 224, 224))
    print(name, sum(p.numel() for p in model.parameters()), count.macs, "timm", timm.__version__, "torch", torch.__version__)
