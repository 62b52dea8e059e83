#!/usr/bin/env python3
"""What each ingredient of a recipe brings: trains the recipe with and without it, and records the results in a table.

    benches/recipes/ablate.py PROGRAM CELEBA_FOLDER WEIGHTS SCRATCH [--only NAME,...] [--seeds 1,2,3]

CELEBA_FOLDER has CelebA's official layout with identities; only its training split is used. It is cut into folds by identity. Seed s
judges on fold s, chooses thresholds on fold s + 1 and trains on the rest, so the three seeds are a cross-validation. A run whose row is in
the table is not repeated, so the command can be stopped at any time. Needs Python 3.11 and nothing else.
"""

import argparse
import csv
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
FOLDS = 6
RULES = ["0.5", "prevalence", "smooth-f1", "balanced=1", "balanced=4"]


def folds(celeba: Path, scratch: Path, fold: int) -> Path:
    """Writes the table of one split of the training images, and returns its path. The images are unpacked beside it once."""
    table = scratch / f"fold{fold}.csv"
    lines = (celeba / "Anno/list_attr_celeba.txt").read_text().split("\n")
    names = lines[1].split()
    training = {name for name, split in map(str.split, (celeba / "Eval/list_eval_partition.txt").read_text().splitlines()) if split == "0"}
    identity = dict(map(str.split, (celeba / "Anno/identity_CelebA.txt").read_text().splitlines()))
    images = scratch / "img"
    if not images.exists():
        zipfile.ZipFile(celeba / "Img/img_align_celeba.zip").extractall(images)
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "split", *names])
        for line in lines[2:]:
            name, *labels = line.split() or [""]
            if name in training:
                distance = (int(identity[name]) - fold) % FOLDS
                split = {0: "test", 1: "validation"}.get(distance, "train")
                rows.writerow([f"img/img_align_celeba/{name}", split, *(int(label) > 0 and 1 or 0 for label in labels)])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("celeba", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--only", help="names of variants, separated by commas")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--experiments", type=Path, default=HERE / "ablation.toml", help="the recipe and its variants")
    parser.add_argument("--results", type=Path, default=HERE / "ablation.csv", help="the table, to which rows are added")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)

    experiments = tomllib.loads(options.experiments.read_text())
    wanted = options.only.split(",") if options.only else list(experiments["variants"])
    done = set()
    if options.results.exists():
        done = {(row["variant"], row["seed"]) for row in csv.DictReader(options.results.open())}

    def visage(*arguments: object) -> str:
        command = [str(options.program), *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{result.stderr}")
        return result.stdout

    for seed in options.seeds.split(","):
        data = folds(options.celeba, options.scratch, int(seed))
        for variant in wanted:
            if (variant, seed) in done:
                continue
            settings = experiments["common"] | experiments["variants"][variant]
            run = options.scratch / f"{variant}-{seed}"
            sets = [f"--set={key}={value}" for key, value in settings.items()]
            resume = ["--resume"] if run.exists() else []
            visage("train", experiments["recipe"], "--data", data, "--out", run, f"--set=weights={options.weights}", f"--set=seed={seed}", *sets, *resume)
            row = {"variant": variant, "seed": seed}
            for rule in RULES:
                visage("calibrate", run, "--data", data, "--thresholds", rule)
                visage("evaluate", run, "--data", data)
                metrics = json.loads((run / "metrics-test.json").read_text())["macro"]
                row["average precision"] = f"{metrics['average_precision']:.4f}"
                row[f"accuracy, {rule}"] = f"{metrics['accuracy']:.4f}"
                row[f"F1, {rule}"] = f"{metrics['f1']:.4f}"
            new = not options.results.exists()
            with options.results.open("a", newline="") as file:
                writer = csv.DictWriter(file, row.keys())
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print(row, flush=True)


main()
