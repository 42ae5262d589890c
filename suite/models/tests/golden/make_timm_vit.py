"""Makes vit_mean.safetensors and vit_token.safetensors: a small timm ViT with random weights, and what it computes.

Made with Python 3.11, torch 2.11.0, timm 1.0.28, safetensors 0.8.0:
    python make_timm_vit.py
Each file holds the weights under timm's names and, beside them, `images` [2, 3, 32, 32], `tokens` [2, N, 48] after
the last norm (N = 16 for mean pooling, 17 with the class token first) and `pooled` [2, 48]. The configuration
(image_size, patch_size, depth, width, heads, mlp, pool) is in the file's metadata.
"""
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

HERE = Path(__file__).parent
torch.set_num_threads(1)

for seed, pool in ((1, "mean"), (2, "token")):
    torch.manual_seed(seed)
    model = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=3, mlp_ratio=2.0, num_classes=0,
        class_token=pool == "token", global_pool="token" if pool == "token" else "avg",
        # Mean pooling over tokens that the last norm has seen; timm's default for it is a norm after pooling.
        fc_norm=False).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
            elif name.endswith("bias"):
                parameter.copy_(0.2 * torch.randn_like(parameter))
            else:
                fan_in = parameter[0].numel() if parameter.dim() in (2, 4) else 4
                parameter.copy_(torch.randn_like(parameter) * fan_in ** -0.5)
        images = torch.randn(2, 3, 32, 32)
        tokens = model.forward_features(images)
        pooled = model.forward_head(tokens, pre_logits=True)
        expected = tokens[:, 0] if pool == "token" else tokens.mean(1)
        assert torch.allclose(pooled, expected, atol=1e-6) and torch.equal(model(images), pooled)
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    tensors |= {"images": images, "tokens": tokens.contiguous(), "pooled": pooled.contiguous()}
    config = dict(image_size=32, patch_size=8, depth=2, width=48, heads=3, mlp=96, pool=pool)
    file = HERE / f"vit_{pool}.safetensors"
    save_file(tensors, file, metadata={k: str(v) for k, v in config.items()})
    file.chmod(0o644)
