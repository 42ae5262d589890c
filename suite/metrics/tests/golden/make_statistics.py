"""Makes statistics.json: scipy's McNemar (binomial) tests, Benjamini-Hochberg adjustments, t tails and quantiles, Welch tests.

Made with Python 3.11, numpy 2.4.6, scipy 1.17.1:
    python make_statistics.py > statistics.json
"""
import json

import numpy as np
from scipy import stats

rng = np.random.default_rng(3)

pairs = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (5, 0), (3, 8), (8, 3), (10, 11), (12, 12), (25, 40), (100, 101), (0, 60),
         (431, 508), (5000, 5200), (400000, 401500), (7, 900)]
mcnemar = [{"first": a, "second": b, "p": float(stats.binomtest(a, a + b, 0.5).pvalue) if a + b else 1.0} for a, b in pairs]

lists = [[0.03], [0.01, 0.02, 0.03, 0.04], [0.04, 0.01, 0.04, 1.0, 0.0], list(rng.random(12)), list(rng.random(30) ** 4)]
adjusted = [{"p": [float(v) for v in p], "adjusted": [float(v) for v in stats.false_discovery_control(p)]} for p in lists]

student = []
for degrees in (1, 2, 2.7, 4, 9.3, 30, 187.4, 749, 999, 1000, 1001, 12345.6, 1e6, 1e9, None):
    t = stats.norm if degrees is None else stats.t(degrees)
    student.append({
        "degrees": degrees, "quantiles": {str(p): float(t.ppf(p)) for p in (0.5, 0.6, 0.8, 0.975, 0.9995)},
        "two_sided": [[x, float(2 * t.sf(x))] for x in (0.0, 0.001, 0.3, 1.0, 1.7, 1.96, 3.0, 4.5, 6.0)]})

welch = []
for n, m, shift in ((3, 3, 1.0), (5, 8, 0.2), (2, 40, -0.7), (30, 25, 0.0)):
    a, b = rng.normal(shift, 1.0, n), rng.normal(0, 2.5, m)
    test = stats.ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(0.95)
    welch.append({"estimate": float(a.mean() - b.mean()), "degrees": float(test.df), "p": float(test.pvalue),
                  "low": float(low), "high": float(high),
                  "components": [[float(x.var(ddof=1) / len(x)), len(x) - 1] for x in (a, b)]})

print(json.dumps({"mcnemar": mcnemar, "benjamini_hochberg": adjusted, "student": student, "welch": welch}, indent=None,
                 separators=(",", ":")).replace("},{", "},\n{"))
