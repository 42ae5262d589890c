"""Golden numbers of PyTorch for tests/optimizer.rs: AdamW, gradient clipping, EMA.

Made with Python 3.11, torch 2.11.0 on the CPU:  python make_optimizer.py > optimizer.txt
Each line is a name and the numbers. Inputs are a closed formula, so that the test makes them itself.
"""

import torch


def wave(n, step, scale):
    """scale * sin(1 + 0.7 i + 1.3 step), computed in double and rounded to float32."""
    i = torch.arange(n, dtype=torch.float64)
    return (scale * torch.sin(1 + 0.7 * i + 1.3 * step)).float()


def show(name, values):
    print(name, *(f"{v:.9g}" for v in values.flatten().tolist()))


params = [torch.nn.Parameter(wave(6, 0, 1.0).view(2, 3)), torch.nn.Parameter(wave(4, 5, 0.5))]
optimizer = torch.optim.AdamW(params, lr=1e-2, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.1, fused=True)
for step in range(10):
    for k, p in enumerate(params):
        p.grad = wave(p.numel(), step + 10 * k, 2.0).view_as(p)
    optimizer.step()
for k, p in enumerate(params):
    show(f"adamw_param{k}", p.detach())
    show(f"adamw_exp_avg{k}", optimizer.state[p]["exp_avg"])
    show(f"adamw_exp_avg_sq{k}", optimizer.state[p]["exp_avg_sq"])

for max_norm in (0.5, 100.0):
    ps = [torch.nn.Parameter(torch.zeros(6)), torch.nn.Parameter(torch.zeros(4))]
    for k, p in enumerate(ps):
        p.grad = wave(p.numel(), k, 2.0)
    show(f"clip_{max_norm:g}_norm", torch.nn.utils.clip_grad_norm_(ps, max_norm))
    for k, p in enumerate(ps):
        show(f"clip_{max_norm:g}_grad{k}", p.grad)

shadow = wave(6, 0, 1.0)
torch._foreach_lerp_([shadow], [wave(6, 3, 1.0)], 1 - 0.999)
show("ema", shadow)
