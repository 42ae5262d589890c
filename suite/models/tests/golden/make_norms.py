"""Makes norms.json: the detector's norms from their formulas, in float64, on random input.

Made with Python 3.11, NumPy 2.4.6:
    python make_norms.py > norms.json
Formulas: layer, flax.linen.LayerNorm (over the last axis of [B,Y,X,C], eps 1e-6); group, Wu and He, ECCV 2018, eq. 2 to 7
(eps 1e-5); batch, flax.linen.BatchNorm with momentum 0.997 and eps 1e-4, whose running variance is that of N, not N - 1.
Variances of the input go from 1e-6 to 1, so that each eps shows. Maps are [B,C,Y,X], rows [R,C].
"""
import json

import numpy as np

random = np.random.default_rng(0)
B, C, Y, X = 2, 12, 3, 4


def plain(value):
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(v) for v in value]
    return float(f"{value:.9g}")


def sample(shape):
    """Float32 numbers, as float64, whose spread differs from row to row of the first axis and from channel to channel."""
    ones = [1] * (len(shape) - 2)
    spread = 10.0 ** random.uniform(-3, 0, (shape[0], shape[1], *ones))
    spread[0] = 1e-3
    x = random.normal(size=shape) * spread + 0.1 * random.normal(size=(shape[0], 1, *ones))
    return x.astype(np.float32).astype(np.float64)


def channels(values, x):
    return values.reshape(1, -1, *[1] * (x.ndim - 2))


def normed(x, mean, variance, eps, weight, bias):
    return (x - mean) / np.sqrt(variance + eps) * channels(weight, x) + channels(bias, x)


def layer(x, weight, bias):
    return normed(x, x.mean(1, keepdims=True), x.var(1, keepdims=True), 1e-6, weight, bias)


def group(x, weight, bias, groups):
    parts = x.reshape(x.shape[0], groups, -1)
    normal = (parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + 1e-5)
    return normal.reshape(x.shape) * channels(weight, x) + channels(bias, x)


def batch(x, weight, bias):
    others = tuple(i for i in range(x.ndim) if i != 1)
    mean, variance = x.mean(others), x.var(others)
    return normed(x, channels(mean, x), channels(variance, x), 1e-4, weight, bias), mean, variance


weight, bias = [random.normal(size=C).astype(np.float32).astype(np.float64) for _ in range(2)]
out = {"weight": plain(weight), "bias": plain(bias), "cases": []}
for shape in [(B, C, Y, X), (6, C)]:
    first, second = sample(shape), sample(shape)
    case = {"first": plain(first), "second": plain(second), "layer": plain(layer(first, weight, bias))}
    case["group"] = plain(group(first, weight, bias, 6))
    running_mean, running_variance = np.zeros(C), np.ones(C)
    case["batch"] = []
    for x in (first, second):
        y, mean, variance = batch(x, weight, bias)
        running_mean = 0.997 * running_mean + 0.003 * mean
        running_variance = 0.997 * running_variance + 0.003 * variance
        case["batch"].append(plain(y))
    case["running_mean"], case["running_var"] = plain(running_mean), plain(running_variance)
    case["evaluated"] = plain(
        normed(first, channels(running_mean, first), channels(running_variance, first), 1e-4, weight, bias)
    )
    out["cases"].append(case)
# The largest divisor up to 32 that leaves two channels or more to a group.
out["groups"] = []
for count, groups in [(40, 20), (64, 32), (96, 32), (8, 4), (37, 1)]:
    x = sample((2, count, 1, 2))
    out["groups"].append({"x": plain(x), "y": plain(group(x, np.ones(count), np.zeros(count), groups))})
print(json.dumps(out, separators=(",", ":")))
