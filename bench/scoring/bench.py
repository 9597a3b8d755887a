#!/usr/bin/env python3
"""Measures scoring against scipy, numpy and scikit-learn, on the same data in the same run.

Earlier submissions are stored as scoring stores them: one record each in a file (on AWS, items of a table or parts of an
object in S3) and sorted values in files (on AWS, objects in S3). The grid comes from the first 64 submissions. Our time runs
from reading the store to the result: the scan reads every record and compares its summary, then the pairs that need values
are read and compared. That of scipy covers only arrays that are already loaded, and at most 1,000 of them: its time for a
pair does not depend on their number. Both must name the same offenders with the same D. Everything runs on one machine, on
one thread, with a warm page cache.

Needs numpy, scipy and scikit-learn, and temporarily 2 GB of disk:

    bench/scoring/bench.py [--json] [--most 1000] [--only originality]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True
from figures import figure, show  # noqa: E402

import numpy as np  # noqa: E402
from scipy.stats import ks_2samp  # noqa: E402
from sklearn.cluster import KMeans, MiniBatchKMeans  # noqa: E402

ROWS = 45_000
EQUAL, SIMILAR = 0.005, 0.03
FEATURES, FEATURE_ROWS, ITERATIONS = 50, 145_000, 30
MEMORY_GOALS = {1_000: 64, 10_000: 64}  # MB
SCAN_GOAL = 1.5  # microseconds for each earlier submission
PAIR_GOAL = 0.35  # milliseconds for each pair that needs values
POOLED = 64
LOADED = 1_000
BLOCK = 500
ROUNDING = 1e-12  # scipy subtracts rounded quotients where we divide integers once


def say(text):
    print(text, file=sys.stderr, flush=True)


def seconds(work, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return times, result


def ours(program, *arguments):
    return json.loads(subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.PIPE).stdout)


def submission(random, subject, number):
    """The probabilities of an independent model; one in a hundred is a copy of the scored submission with a little noise."""
    if number % 100 == 7:
        return np.clip(subject + random.normal(0, 0.002, ROWS), 0, 1)
    center, spread, skew = random.uniform(0.47, 0.53), random.lognormal(-3.5, 0.6), random.normal(0, 0.3)
    noise = random.normal(0, 1, ROWS)
    return np.clip(center + spread * (noise + skew * noise**2), 0, 1)


def statistic(first, second):
    return ks_2samp(first, second, method="asymp").statistic


def same(theirs, ours):
    """Whether both name the same offenders with the same D."""
    return [number for number, _ in theirs] == [number for number, _ in ours] and np.allclose(
        [distance for _, distance in theirs], [distance for _, distance in ours], rtol=0, atol=ROUNDING
    )


def originality_by_scipy(subject, earlier):
    """The rule as it is usually written with scipy."""
    offenders = []
    for number in range(len(earlier) - 1, -1, -1):
        distance = statistic(subject, earlier[number])
        if distance < SIMILAR:
            offenders.append([number, distance])
    return offenders


def concordance_by_scipy(predictions, parts, regions):
    worst = []
    for region in np.unique(regions[parts == 0]):
        samples = [predictions[(regions == region) & (parts == part)] for part in range(3)]
        worst.append(max(statistic(samples[a], samples[b]) for a, b in ((0, 1), (0, 2), (2, 1))))
    return float(np.mean(worst))


def measure_originality(program, folder, random, most):
    figures, peer = [], None
    subject = np.clip(0.5 + 0.03 * random.normal(0, 1, ROWS), 0, 1)
    subject.tofile(folder / "subject")
    (folder / "raw").mkdir()
    stored, loaded = 0, []
    for count in [count for count in (10, 100, 1_000, 10_000, 100_000) if count <= most]:
        say(f"storing {count:,} earlier submissions of {ROWS:,} rows")
        while stored < count:
            until = min(stored + BLOCK, count) if stored else min(BLOCK, most)
            for number in range(stored, until):
                values = submission(random, subject, number)
                values.tofile(folder / "raw" / str(number))
                if number < LOADED:
                    loaded.append(values)
            if not stored:
                subprocess.run([program, "pool", folder, str(min(POOLED, until))], check=True)
            subprocess.run([program, "store", folder, str(stored), str(until)], check=True)
            for number in range(max(stored, 1), until):
                os.unlink(folder / "raw" / str(number))
            stored = until
        scored = ours(program, "originality", folder, count)
        total = None
        if count <= LOADED:
            say(f"scoring against {count:,} with scipy")
            total, offenders = seconds(lambda: originality_by_scipy(subject, loaded[:count]), 3 if count < LOADED else 1)
            if not same(offenders, scored["offenders"]):
                sys.exit(f"scipy says {offenders}, we say {scored['offenders']}")
            peer = [1000 * value / count for value in total]
            total = [1000 * value for value in total]
        name = f"originality against {count:,} earlier"
        goal = 100 if count == LOADED else None
        milliseconds = [1000 * value for value in scored["seconds"]]
        figures.append(figure(f"{name}: time", milliseconds, "ms", total, at_least=goal, higher_is_better=False))
        figures.append(figure(f"{name}: scanned", [scored["scanned"]], "submissions"))
        figures.append(figure(f"{name}: pairs that needed values", [scored["needed"]], "pairs"))
        microseconds = [1e6 * value for value in scored["scan"]]
        goal = SCAN_GOAL if count >= LOADED else None
        figures.append(figure(f"{name}: scan of each", microseconds, "us", below=goal))
        if scored["needed"]:
            pair = [1000 * value for value in scored["pair"]]
            goal = PAIR_GOAL if count >= LOADED else None
            figures.append(figure(f"{name}: each pair with values", pair, "ms", below=goal))
            figures.append(figure(f"{name}: the same beside scipy", pair, "ms", peer, higher_is_better=False))
        goal = MEMORY_GOALS.get(count)
        figures.append(figure(f"{name}: peak memory", [scored["megabytes"]], "MB", below=goal))
    return figures, subject


def measure_pair(program, folder, subject):
    second = np.fromfile(folder / "raw" / "0")
    mine = ours(program, "pair", folder)
    theirs, distance = seconds(lambda: statistic(subject, second), 51)
    if abs(distance - mine["statistic"]) > ROUNDING:
        sys.exit(f"scipy says {distance}, we say {mine['statistic']}")
    times = [[1000 * value for value in values] for values in (mine["seconds"], theirs)]
    return [figure("one exact KS pair, unsorted", times[0], "ms", times[1], at_least=4, higher_is_better=False)]


def measure_sorting(program, folder):
    mine = ours(program, "sort", folder)
    radix, comparison = ([1000 * value for value in mine[name]] for name in ("seconds", "comparison"))
    name = f"radix sort of {ROWS:,} values beside sort_unstable_by"
    return [figure(name, radix, "ms", comparison, at_least=1.3, higher_is_better=False)]


def measure_clustering(program, folder, random):
    say(f"clustering {FEATURE_ROWS:,} x {FEATURES}, {ITERATIONS} iterations")
    data = random.uniform(0, 1, (FEATURE_ROWS, FEATURES))
    data.tofile(folder / "features")
    mine = ours(program, "cluster", folder, FEATURE_ROWS, FEATURES, ITERATIONS)
    (folder / "features").unlink()
    single = data.astype(np.float32)
    figures = []
    arguments = {"n_clusters": 5, "init": "k-means++", "n_init": 1, "max_iter": ITERATIONS, "random_state": 1337}
    theirs, model = seconds(lambda: KMeans(tol=0, **arguments).fit(single), 3)
    if model.n_iter_ != mine["iterations"]:
        sys.exit(f"scikit-learn did {model.n_iter_} iterations, we {mine['iterations']}")
    name = f"K-Means, {ITERATIONS} iterations"
    figures.append(figure(name, mine["seconds"], "s", theirs, at_least=1, higher_is_better=False))
    theirs, batched = seconds(lambda: MiniBatchKMeans(**arguments).fit(single), 3)
    say(f"  inertia: ours {mine['inertia']:.0f}, KMeans {model.inertia_:.0f}, MiniBatchKMeans {batched.inertia_:.0f}")
    figures.append(figure("K-Means beside MiniBatchKMeans", mine["seconds"], "s", theirs, higher_is_better=False))
    return figures


def measure_concordance(program, folder, random, subject):
    parts, regions = random.integers(0, 3, ROWS), random.integers(0, 5, ROWS)
    with open(folder / "tournament.csv", "w") as tournament, open(folder / "regions.csv", "w") as stored:
        tournament.write("id,data_type\n")
        stored.write("id,region\n")
        for row in range(ROWS):
            tournament.write(f"n{row:06},{('validation', 'test', 'live')[parts[row]]}\n")
            stored.write(f"n{row:06},{regions[row]}\n")
    mine = ours(program, "concordance", folder)
    theirs, score = seconds(lambda: concordance_by_scipy(subject, parts, regions), 11)
    if abs(score - mine["score"]) > ROUNDING:
        sys.exit(f"scipy says {score}, we say {mine['score']}")
    times = [[1000 * value for value in values] for values in (mine["seconds"], theirs)]
    name = "concordance with stored regions"
    return [figure(name, times[0], "ms", times[1], at_least=5, higher_is_better=False)]


def built():
    """The Rust side, compiled as the functions are."""
    command = ["cargo", "bench", "--quiet", "--package", "scoring", "--bench", "scoring", "--no-run"]
    lines = subprocess.run([*command, "--message-format=json"], check=True, stdout=subprocess.PIPE, text=True).stdout
    programs = [json.loads(line).get("executable") for line in lines.splitlines()]
    return next(program for program in reversed(programs) if program)


def main():
    parser = argparse.ArgumentParser(description="Measures scoring against scipy, numpy and scikit-learn.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--most", type=int, default=100_000, help="most earlier submissions (default: 100,000)")
    parser.add_argument("--only", choices=["originality"], help="measure nothing else")
    arguments = parser.parse_args()
    say("building the scoring benchmark")
    program = built()
    random = np.random.default_rng(1337)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        figures, subject = measure_originality(program, folder, random, arguments.most)
        if arguments.only:
            show(figures, arguments.json)
            return
        figures += measure_pair(program, folder, subject)
        figures += measure_sorting(program, folder)
        figures += measure_clustering(program, folder, random)
        figures += measure_concordance(program, folder, random, subject)
    show(figures, arguments.json)


if __name__ == "__main__":
    main()
