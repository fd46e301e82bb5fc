"""What river's linear learners score on small streams, by progressive validation.

    pip install -r crates/upbeat-adapt/tests/river/requirements.txt
    python crates/upbeat-adapt/tests/river/compare.py --export STREAMS > crates/upbeat-adapt/tests/river/river.json

Every linear learner of river is run with its defaults and with a grid of step sizes, with and without scaling; the best of all
counts. `--export DIR` also writes the streams as CSV, target last, for the example `progressive`. The data are those that river
carries (Phishing, Bananas, TrumpApproval, ChickWeights, WaterFlow) and two synthetic streams with abrupt changes that the tests of
upbeat-adapt generate number by number in the same way.
"""

import argparse
import csv
import json
import math
import pathlib
import sys

import river
from river import datasets, linear_model as lm, metrics, optim, preprocessing as pp

MASK = (1 << 64) - 1


class Random:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def drifting(classes, seed=7, n=4000, d=6):
    """Linear in six inputs, with weights that are drawn anew every thousand rows."""
    random = Random(seed)
    for row in range(n):
        if row % 1000 == 0:
            weights = [4.0 * random.uniform() - 2.0 for _ in range(d)]
        x = [2.0 * random.uniform() - 1.0 for _ in range(d)]
        z = sum(w * v for w, v in zip(weights, x))
        if classes:
            y = 1.0 if random.uniform() < 1.0 / (1.0 + math.exp(-2.0 * z)) else 0.0
        else:
            y = 10.0 + z + (random.uniform() - 0.5)
        yield {str(i): v for i, v in enumerate(x)}, y


def water_flow():
    """The hour of the day and the flow one hour and one day before, to predict the flow."""
    flows = []
    for x, y in datasets.WaterFlow():
        if len(flows) >= 24:
            hour = x["Time"].hour
            features = {
                "sin": math.sin(hour / 24 * 2 * math.pi),
                "cos": math.cos(hour / 24 * 2 * math.pi),
                "before": flows[-1],
                "yesterday": flows[-24],
            }
            yield features, y
        flows.append(y)


def streams():
    yield "phishing", True, list(datasets.Phishing())
    yield "bananas", True, [(x, float(y)) for x, y in datasets.Bananas()]
    yield "drifting_classes", True, list(drifting(True))
    yield "trump_approval", False, list(datasets.TrumpApproval())
    yield "chick_weights", False, list(datasets.ChickWeights())
    yield "water_flow", False, list(water_flow())
    yield "drifting_numbers", False, list(drifting(False))


STEPS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]


def optimizers():
    yield "default", None
    for step in STEPS:
        yield f"SGD({step})", optim.SGD(step)
        yield f"AdaGrad({step})", optim.AdaGrad(step)
        yield f"Adam({step})", optim.Adam(step)
        yield f"FTRL({step})", optim.FTRLProximal(alpha=step)


def classifiers():
    for name, optimizer in optimizers():
        yield f"LogisticRegression {name}", lm.LogisticRegression(optimizer)
        for intercept in [0.1, 0.3] if optimizer else []:
            yield f"LogisticRegression {name} intercept_lr={intercept}", lm.LogisticRegression(optimizer, intercept_lr=intercept)
    yield "ALMAClassifier", lm.ALMAClassifier()
    for mode in [1, 2]:
        for c in [0.01, 0.1, 1.0]:
            yield f"PAClassifier mode={mode} C={c}", lm.PAClassifier(C=c, mode=mode)


def regressors():
    for name, optimizer in optimizers():
        yield f"LinearRegression {name}", lm.LinearRegression(optimizer)
        for intercept in [0.1, 0.3] if optimizer else []:
            yield f"LinearRegression {name} intercept_lr={intercept}", lm.LinearRegression(optimizer, intercept_lr=intercept)
    for mode in [1, 2]:
        for c in [0.01, 0.1, 1.0, 10.0]:
            yield f"PARegressor mode={mode} C={c}", lm.PARegressor(C=c, mode=mode)
    yield "BayesianLinearRegression", lm.BayesianLinearRegression()
    for smoothing in [0.8, 0.9, 0.95, 0.98, 0.99]:
        yield f"BayesianLinearRegression smoothing={smoothing}", lm.BayesianLinearRegression(smoothing=smoothing)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--export", type=pathlib.Path)
    arguments = parser.parse_args()
    result = {"river": river.__version__, "streams": {}}
    for name, classes, rows in streams():
        if arguments.export:
            arguments.export.mkdir(parents=True, exist_ok=True)
            with open(arguments.export / f"{name}.csv", "w", newline="") as file:
                writer = csv.writer(file)
                for x, y in rows:
                    writer.writerow([repr(float(v)) for v in [*x.values(), y]])
        scores = {}
        for learner, model in classifiers() if classes else regressors():
            for scaled in [True, False]:
                pipeline = pp.StandardScaler() | model.clone() if scaled else model.clone()
                metric = metrics.LogLoss() if classes else metrics.MAE()
                try:
                    for x, y in rows:
                        guess = pipeline.predict_proba_one(x) if classes else pipeline.predict_one(x)
                        metric.update(bool(y) if classes else y, guess)
                        pipeline.learn_one(x, bool(y) if classes else y)
                    score = metric.get()
                except (ValueError, OverflowError, ZeroDivisionError, FloatingPointError) as error:
                    print(name, learner, error, file=sys.stderr)
                    continue
                if math.isfinite(score):
                    scores[learner + (" scaled" if scaled else "")] = round(score, 5)
        ranked = sorted(scores.items(), key=lambda item: item[1])
        with_defaults = [item for item in ranked if "(" not in item[0] and "=" not in item[0]]
        result["streams"][name] = {
            "rows": len(rows),
            "metric": "log-loss" if classes else "MAE",
            "best": dict(ranked[:5]),
            "best_with_default_settings": dict(with_defaults[:3]),
        }
        print(name, ranked[:5], with_defaults[:2], file=sys.stderr, flush=True)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
