"""Makes moe.safetensors: a small ViT with mixture-of-experts layers and random weights, and what it computes.

Made with Python 3.11, torch 2.11.0, timm 1.0.28, safetensors 0.8.0:
    python make_moe.py
The model is timm's, in float64, with the MLPs of blocks 1 and 2 replaced by the plain definition below: for each token
softmax over all experts, the K largest, and the sum of gate times expert. The file holds the weights in float32 under
the names that `features` reads and, beside them:
  images [3, 3, 32, 32]
  TASK.tokens [3, 16, 48], TASK.pooled [3, 48] for TASK in classification, detection, each with its own routers
  TASK.router_probs.I [3, 16, 4], TASK.selected.I [3, 16, 2] int64, TASK.importance_loss.I [1], TASK.load_loss.I [1]
  load.logits, load.noisy [40, 5] float32, load.loss [4] float64: the load loss for K = 1 to 4 with sigma = 1 / 5
  importance.probs [40, 5] float32, importance.loss [1] float64
Losses are by vmoe's formulas (vmoe/nn/routing.py), with Phi from the error function of Python's math module.
"""
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

HERE = Path(__file__).parent
TASKS = ("classification", "detection")
E, K, D, M = 4, 2, 48, 96
torch.set_num_threads(1)
torch.manual_seed(4)


def squared_variation(values):
    """Population variance over squared mean of a list of numbers."""
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / len(values) / mean ** 2


def importance(probs):
    """probs [T, E] -> CV^2 over experts of the sum over tokens."""
    return squared_variation([math.fsum(column) for column in probs.double().T.tolist()])


def load(logits, noisy, k, sigma):
    """logits, noisy [T, E] -> CV^2 over experts of the mean over tokens of 1 - Phi((threshold - logit) / sigma)."""
    rows = []
    for clean, noised in zip(logits.double().tolist(), noisy.double().tolist()):
        threshold = sorted(noised, reverse=True)[k - 1]
        rows.append([0.5 * math.erfc((threshold - x) / sigma / math.sqrt(2)) for x in clean])
    return squared_variation([math.fsum(column) / len(rows) for column in zip(*rows)])


class Moe(torch.nn.Module):
    """Replaces an MLP. Expert e: fc2[e] gelu(fc1[e] x)."""

    def __init__(self):
        super().__init__()
        empty = lambda *size: torch.nn.Parameter(torch.empty(*size))
        self.routers = torch.nn.ParameterDict({task: empty(E, D) for task in TASKS})
        self.fc1, self.fc1_bias, self.fc2, self.fc2_bias = empty(E, M, D), empty(E, M), empty(E, D, M), empty(E, D)
        self.task, self.out = None, {}

    def forward(self, x):
        logits = x @ self.routers[self.task].T
        probs = logits.softmax(-1)
        ranked, order = probs.sort(-1, descending=True)
        assert (ranked[..., :K] - ranked[..., 1:K + 1]).min() > 1e-4, "a choice is nearly a tie: take another seed"
        selected = order[..., :K]
        y = torch.zeros_like(x)
        for b in range(x.shape[0]):
            for n in range(x.shape[1]):
                for e in selected[b, n].tolist():
                    hidden = torch.nn.functional.gelu(self.fc1[e] @ x[b, n] + self.fc1_bias[e])
                    y[b, n] += probs[b, n, e] * (self.fc2[e] @ hidden + self.fc2_bias[e])
        flat = logits.flatten(0, 1)
        self.out = {"router_probs": probs.float(), "selected": selected,
                    "importance_loss": torch.tensor([importance(probs.flatten(0, 1))]).float(),
                    "load_loss": torch.tensor([load(flat, flat, K, 1 / E)]).float()}
        return y


model = VisionTransformer(img_size=32, patch_size=8, embed_dim=D, depth=3, num_heads=3, mlp_ratio=M / D, num_classes=0,
                          class_token=False, global_pool="avg", fc_norm=False).eval()
layers = (1, 2)
for i in layers:
    model.blocks[i].mlp = Moe()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
        elif name.endswith("bias"):
            parameter.copy_(0.2 * torch.randn_like(parameter))
        else:
            fan_in = {3: parameter.shape[-1], 4: parameter[0].numel(), 2: parameter.shape[-1]}[parameter.dim()]
            parameter.copy_(torch.randn_like(parameter) * (0.02 if name == "pos_embed" else fan_in ** -0.5))


def plain(name):
    """timm's name, or that of a MoE layer's weight."""
    for ours, theirs in ((".moe.experts.fc1.weight", ".mlp.fc1"), (".moe.experts.fc1.bias", ".mlp.fc1_bias"),
                         (".moe.experts.fc2.weight", ".mlp.fc2"), (".moe.experts.fc2.bias", ".mlp.fc2_bias")):
        if name.endswith(theirs):
            return name.removesuffix(theirs) + ours
    if ".mlp.routers." in name:
        return name.replace(".mlp.", ".moe.") + ".weight"
    return name


tensors = {plain(name): parameter.detach().clone() for name, parameter in model.named_parameters()}
images = torch.randn(3, 3, 32, 32)
tensors["images"] = images
model = model.double()
for task in TASKS:
    for i in layers:
        model.blocks[i].mlp.task = task
    with torch.no_grad():
        tokens = model.forward_features(images.double())
    tensors |= {f"{task}.tokens": tokens.float(), f"{task}.pooled": tokens.mean(1).float()}
    tensors |= {f"{task}.{key}.{i}": value for i in layers for key, value in model.blocks[i].mlp.out.items()}

logits = torch.randn(40, 5)
noisy = logits + torch.randn(40, 5) / 5
probs = logits.softmax(-1)
tensors |= {"load.logits": logits, "load.noisy": noisy, "importance.probs": probs,
            "load.loss": torch.tensor([load(logits, noisy, k, 1 / 5) for k in range(1, 5)], dtype=torch.float64),
            "importance.loss": torch.tensor([importance(probs)], dtype=torch.float64)}
file = HERE / "moe.safetensors"
save_file({name: value.contiguous() for name, value in tensors.items()}, file)
file.chmod(0o644)
print(tensors["load.loss"], {k: v for k, v in tensors.items() if "_loss" in k})
