"""Counts parameters and multiply-adds of timm's ViTs by forward hooks on a real forward pass.

Prints the numbers of `vit_s_and_vit_b_cost_what_timm_counts` in tests/cost.rs. Made with timm 1.0.28, torch 2.11.0:
    python make_cost.py
"""

import timm
import torch

for name in ["vit_small_patch16_224", "vit_base_patch16_224"]:
    model = timm.create_model(name, pretrained=False).eval()
    macs = 0

    def linear(module, inputs, output):
        global macs
        macs += output.numel() * module.in_features

    def conv(module, inputs, output):
        global macs
        macs += output.numel() * module.weight[0].numel()

    def attention(module, inputs, output):
        # Both products, by the shapes that came: [B,H,N,d] x [B,H,d,N] and [B,H,N,N] x [B,H,N,d].
        global macs
        b, n, d = inputs[0].shape
        q = torch.empty(b, module.num_heads, n, d // module.num_heads)
        scores = q @ q.transpose(-2, -1)
        macs += scores.numel() * q.shape[-1]
        macs += (scores @ q).numel() * n

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(linear)
        elif isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(conv)
        elif type(module).__name__ == "Attention":
            module.register_forward_hook(attention)
    with torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    print(name, sum(p.numel() for p in model.parameters()), macs, "timm", timm.__version__, "torch", torch.__version__)
