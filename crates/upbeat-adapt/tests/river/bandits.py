"""Cumulative regret of the linear bandits of river and Vowpal Wabbit on a simulated environment.

    pip install -r crates/upbeat-adapt/tests/river/requirements.txt
    python crates/upbeat-adapt/tests/river/bandits.py > crates/upbeat-adapt/tests/river/bandits.json

Eight arms, contexts of five numbers in -1 to 1, a weight vector per arm drawn in the same way, rewards with noise; in the second environment
all weights are drawn anew half-way. The tests of upbeat-adapt generate the same numbers from the same seeds.
"""

import json
import sys

import river
import vowpalwabbit
from river import bandit

from compare import Random

ARMS, INPUTS, ROUNDS, SEEDS = 8, 5, 2000, 10
CHECKPOINTS = list(range(100, ROUNDS + 1, 100))


class Environment:
    def __init__(self, seed, changes):
        self.random = Random(1000 + seed)
        self.changes = changes
        self.draw()

    def number(self):
        return 2.0 * self.random.uniform() - 1.0

    def draw(self):
        self.weights = [[self.number() for _ in range(INPUTS)] for _ in range(ARMS)]

    def round(self, number):
        """The context, each arm's expected reward, and the noise of this round."""
        if self.changes and number == ROUNDS // 2:
            self.draw()
        x = [self.number() for _ in range(INPUTS)]
        noise = 0.5 * (self.number() + self.number())
        return x, [sum(w * v for w, v in zip(weights, x)) for weights in self.weights], noise


class River:
    def __init__(self, seed, **settings):
        self.policy = bandit.LinUCBDisjoint(seed=seed, **settings)

    def pull(self, x):
        self.x = {str(i): v for i, v in enumerate(x)}
        return self.policy.pull(list(range(ARMS)), context=self.x)

    def update(self, arm, reward):
        self.policy.update(arm, self.x, reward)


class Vowpal:
    def __init__(self, seed, options):
        self.random = Random(5000 + seed)
        self.vw = vowpalwabbit.Workspace(f"--cb_explore_adf {options} -q ca --quiet --random_seed {seed + 1}")

    def lines(self, x, label=None):
        lines = ["shared |c " + " ".join(f"x{i}:{v}" for i, v in enumerate(x))]
        for arm in range(ARMS):
            lines.append((label[1] if label and label[0] == arm else "") + f"|a arm{arm}")
        return lines

    def pull(self, x):
        self.x = x
        shares = self.vw.predict(self.lines(x))
        draw = self.random.uniform() * sum(shares)
        for arm, share in enumerate(shares):
            draw -= share
            if draw < 0 or arm == ARMS - 1:
                self.share = share
                return arm

    def update(self, arm, reward):
        self.vw.learn(self.lines(self.x, (arm, f"0:{-reward}:{max(self.share, 1e-3)} ")))


POLICIES = {
    "river LinUCBDisjoint": lambda seed: River(seed),
    "river LinUCBDisjoint beta=4": lambda seed: River(seed, beta=4.0),
    "river LinUCBDisjoint beta=16": lambda seed: River(seed, beta=16.0),
    "river LinUCBDisjoint smoothing=0.99": lambda seed: River(seed, smoothing=0.99),
    "VW epsilon 0.05": lambda seed: Vowpal(seed, "--epsilon 0.05"),
    "VW squarecb": lambda seed: Vowpal(seed, "--squarecb"),
    "VW squarecb gamma_scale 100": lambda seed: Vowpal(seed, "--squarecb --gamma_scale 100"),
    "VW bag 5": lambda seed: Vowpal(seed, "--bag 5"),
    "VW regcb": lambda seed: Vowpal(seed, "--regcb"),
    "VW regcbopt": lambda seed: Vowpal(seed, "--regcbopt"),
    "VW cover 5": lambda seed: Vowpal(seed, "--cover 5"),
    "VW rnd 3": lambda seed: Vowpal(seed, "--rnd 3 --epsilon 0.02"),
    "VW epsilon 0.05, learning rate 0.1": lambda seed: Vowpal(seed, "--epsilon 0.05 -l 0.1"),
    "VW squarecb gamma_scale 100, learning rate 0.1": lambda seed: Vowpal(seed, "--squarecb --gamma_scale 100 -l 0.1"),
}


def regret(make, seed, changes):
    environment, policy = Environment(seed, changes), make(seed)
    total, curve = 0.0, []
    for number in range(ROUNDS):
        x, expected, noise = environment.round(number)
        arm = policy.pull(x)
        total += max(expected) - expected[arm]
        policy.update(arm, expected[arm] + noise)
        if number + 1 in CHECKPOINTS:
            curve.append(total)
    return curve


def main():
    result = {"river": river.__version__, "vowpalwabbit": vowpalwabbit.__version__, "checkpoints": CHECKPOINTS, "environments": {}}
    for name, changes in [("fixed", False), ("changing", True)]:
        curves = {}
        for policy, make in POLICIES.items():
            runs = [regret(make, seed, changes) for seed in range(SEEDS)]
            curves[policy] = [round(sum(values) / SEEDS, 2) for values in zip(*runs)]
            print(name, policy, curves[policy][-1], file=sys.stderr, flush=True)
        result["environments"][name] = dict(sorted(curves.items(), key=lambda item: item[1][-1]))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
