"""Computes statistics.json: run it in this folder, with numpy, scipy, scikit-learn,
statsmodels and cleanlab installed."""

import json
import sys

import cleanlab
import numpy as np
import scipy
import sklearn
import statsmodels
from cleanlab.count import get_confident_thresholds
from cleanlab.filter import find_label_issues
from formula import uniform
from scipy.optimize import minimize_scalar
from scipy.stats import norm, spearmanr
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def ece(probability, label, weight, bins=15):
    index = np.clip(np.ceil(probability * bins), 1, bins) - 1
    excess = [np.sum(weight * (probability - label) * (index == b)) for b in range(bins)]
    return np.sum(np.abs(excess)) / np.sum(weight)


probabilities = np.loadtxt("metrics_prob.csv", delimiter=",").astype(np.float32).astype(np.float64)
labels = np.loadtxt("metrics_label.csv", delimiter=",")
images = len(labels)
REPLICATES = 40
COLUMNS = [0, 1, 2, 3, 4, 7]  # those with both classes


def scores(column, weight):
    p, y = probabilities[:, column], labels[:, column]
    kept = weight > 0
    p, y, w = p[kept], y[kept], weight[kept]
    decision = p >= 0.4
    one_class = len(set(y)) < 2
    nan = float("nan")
    return {
        "accuracy": metrics.accuracy_score(y, decision, sample_weight=w),
        "precision": metrics.precision_score(y, decision, sample_weight=w, zero_division=nan),
        "recall": metrics.recall_score(y, decision, sample_weight=w, zero_division=nan),
        "f1": metrics.f1_score(y, decision, sample_weight=w, zero_division=nan),
        "mcc": nan if one_class or len(set(decision)) < 2 else metrics.matthews_corrcoef(y, decision, sample_weight=w),
        "average_precision": metrics.average_precision_score(y, p, sample_weight=w) if y.any() else nan,
        "roc_auc": nan if one_class else metrics.roc_auc_score(y, p, sample_weight=w),
        "brier": metrics.brier_score_loss(y, p, sample_weight=w),
        "ece": ece(p, y, w),
    }


weights = []
for replicate in range(REPLICATES):
    drawn = np.floor(uniform(f"bootstrap/{replicate}", images) * images).astype(int)
    weights.append(np.bincount(drawn, minlength=images).astype(float))
bootstrap, basic = {}, {}
for column in COLUMNS:
    replicates = [scores(column, weight) for weight in weights]
    # Mirrored at the estimate, which it reaches to, from 0 on.
    estimate = ece(probabilities[:, column], labels[:, column], np.ones(images))
    low, high = np.nanpercentile([replicate["ece"] for replicate in replicates], [2.5, 97.5])
    basic[str(column)] = [max(0.0, min(2 * estimate - high, estimate)), max(2 * estimate - low, estimate)]
    bootstrap[str(column)] = {
        name: list(np.nanpercentile([replicate[name] for replicate in replicates], [2.5, 97.5])) for name in replicates[0]
    }

pairs = [[0, 0], [0, 1], [3, 9], [12, 30], [5, 5], [40, 41], [100, 160], [700, 900], [4000, 4310], [0, 60]]
p_values = [0.001, 0.04, 0.03, 0.005, 0.9, 0.04]
z_values = [0.0, 0.5, -1.0, 1.959963984540054, -3.0, 5.0, 8.5]


def logits(name):
    """Too sure by a factor of two, and shifted: labels come from half the logit."""
    x = np.round(8 * uniform(f"{name}/logit", 400) - 5, 3)
    y = uniform(f"{name}/label", 400) < 1 / (1 + np.exp(-x / 2))
    return x, y.astype(float)


x, y = logits("calibration")
# Coarse, so that logits tie.
x = np.round(x, 1)


def loss(log_temperature):
    z = x / np.exp(log_temperature)
    return np.mean(np.logaddexp(0, z) - y * z)


fit = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-12})
isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x, y)
at = np.linspace(-6, 4, 41)
sigmoid = lambda z: 1 / (1 + np.exp(-z))
ones = np.ones(len(x))

wanted = {}
for column in COLUMNS:
    precision, recall, threshold = metrics.precision_recall_curve(labels[:, column], probabilities[:, column])
    precision, recall = precision[:-1], recall[:-1]
    entry = {}
    for level in [0.5, 0.8]:
        # The highest recall among thresholds of enough precision, then the highest precision; and the other way round.
        enough = [i for i in range(len(threshold)) if precision[i] >= level]
        entry[f"precision {level}"] = (
            threshold[max(enough, key=lambda i: (recall[i], precision[i]))] if enough else None
        )
        enough = [i for i in range(len(threshold)) if recall[i] >= level]
        entry[f"recall {level}"] = threshold[max(enough, key=lambda i: (precision[i], recall[i]))]
    wanted[str(column)] = entry

# What visage-report computes for the words and marks of its figures.
shares = [[3, 20], [0, 10], [10, 10], [250, 1000]]
ranked = [[1, 2, 3, 4, 4], [5, 6, 7, 8, 7]]
erred = [[1, 1, 0, 0], [1, 0, 0, 0]]
values = [3.0, -1.0, 12.5, 0.25, 7.0, 7.0]
levels = [0.0, 0.025, 0.1, 0.5, 0.9, 1.0]
figures = {
    "wilson": [[k, n, *proportion_confint(k, n, method="wilson")] for k, n in shares],
    "spearman": {"pairs": ranked, "value": spearmanr(*ranked).statistic},
    "correlation": {"pairs": erred, "value": np.corrcoef(*erred)[0, 1]},
    "quantiles": {"values": values, "at": [[level, np.quantile(values, level)] for level in levels]},
}

audit = {}
for column in COLUMNS:
    given = labels[:, column].astype(int)
    both = np.stack([1 - probabilities[:, column], probabilities[:, column]], axis=1)
    issues = find_label_issues(given, both, filter_by="confident_learning")
    audit[str(column)] = {
        "thresholds": list(get_confident_thresholds(given, both)),
        "suspects": [int(i) for i in np.flatnonzero(issues)],
    }

json.dump(
    {
        "versions": {
            "python": sys.version.split()[0],
            **{m.__name__: m.__version__ for m in [np, scipy, sklearn, statsmodels, cleanlab]},
        },
        "mcnemar": [[b, c, mcnemar([[0, b], [c, 0]], exact=True).pvalue if b + c else 1.0] for b, c in pairs],
        "holm": {"p": p_values, "adjusted": list(multipletests(p_values, method="holm")[1])},
        "normal_p": [[z, 2 * norm.sf(abs(z))] for z in z_values],
        "bootstrap": {"replicates": REPLICATES, "threshold": 0.4, "columns": bootstrap, "ece_basic": basic},
        "calibration": {
            "temperature": float(np.exp(fit.x)),
            "isotonic": [[float(a), float(b)] for a, b in zip(at, isotonic.predict(at))],
            "ece": [ece(sigmoid(x), y, ones), ece(sigmoid(x / np.exp(fit.x)), y, ones), ece(isotonic.predict(x), y, ones)],
        },
        "thresholds": wanted,
        "audit": audit,
        "figures": figures,
    },
    open("statistics.json", "w"),
    indent=1,
    default=float,
)
