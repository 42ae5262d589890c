"""Counts parameters and multiply-adds of timm's ViTs by watching every operation of a real forward pass.

Prints the numbers of `vit_s_and_vit_b_cost_what_timm_counts` in tests/cost.rs. Made with timm 1.0.28, torch 2.11.0:
    python make_cost.py
Attention is unfused, so that both of its products are operations of their own.
"""

import timm
import torch
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


for name in ["vit_small_patch16_224", "vit_base_patch16_224"]:
    model = timm.create_model(name, pretrained=False).eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    with torch.no_grad(), Count() as count:
        model(torch.zeros(1, 3, 224, 224))
    print(name, sum(p.numel() for p in model.parameters()), count.macs, "timm", timm.__version__, "torch", torch.__version__)
