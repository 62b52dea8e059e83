"""Lets every write, sync, rename and creation of a file fail once, in turn.

    python faults.py PROGRAM FOLDER [--every N]

PROGRAM is the `visage` to test. FOLDER must not exist. A shim (faults.c, built here by `cc`) makes one call of a training or of
`predict --output` fail with a full disk or an I/O error. The program must then say so and exit with 1, or do without; what is resumed
afterwards must end with the same bits as if nothing had failed. Needs Python 3.11, a C compiler and Linux.
"""

import argparse
import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from runs import history, tensors

HERE = Path(__file__).parent
parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("folder", type=Path)
parser.add_argument("--every", type=int, default=1, help="only every Nth call fails; which ones differs from day to day")
arguments = parser.parse_args()
PROGRAM, FOLDER = os.path.abspath(arguments.program), arguments.folder.absolute()
FOLDER.mkdir()
SHIM = FOLDER / "faults.so"
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", SHIM, HERE / "faults.c", "-ldl"], check=True)


def visage(*args, below=None, at=None, count=None):
    """Runs the program, with the fault number `at` below a path."""
    environment = dict(os.environ)
    if below is not None:
        # A full disk and a broken one, alternately.
        number = (errno.ENOSPC, errno.EIO)[at % 2]
        environment |= {"LD_PRELOAD": str(SHIM), "FAULT_BELOW": str(below), "FAULT_AT": str(at), "FAULT_ERRNO": str(number)}
        environment |= {"FAULT_COUNT": str(count)} if count else {}
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, env=environment, timeout=120)


def succeed(*args, **fault):
    done = visage(*args, **fault)
    assert done.returncode == 0, f"visage {' '.join(map(str, args))}\n{done.stderr}"
    return done


def attack(kind, out, command, resume, check):
    """Lets each call of `command` that concerns `out` fail in turn, and resumes."""
    start = time.monotonic()
    counted = FOLDER / "count"
    succeed(*command, below=out, at=0, count=counted)
    check()
    calls = int(counted.read_text())
    assert calls > 3, f"only {calls} calls were seen: is the program linked statically?"
    refused = 0
    every = min(arguments.every, calls // 4)
    failing = range(1 + int(time.time() / 86400) % every, calls + 1, every)
    for at in failing:
        shutil.rmtree(out) if out.is_dir() else out.unlink()
        done = visage(*command, below=out, at=at)
        assert done.returncode in (0, 1) and "panicked" not in done.stderr, f"{kind}, call {at}: exit code {done.returncode}\n{done.stderr}"
        if done.returncode == 1:
            assert "error:" in done.stderr, f"{kind}, call {at}: failed without a message"
            refused += 1
            succeed(*resume())
        check()
    print(f"{kind}: {len(failing)} of {calls} calls failed once each; {refused} stopped the program; all resumed to the same bits ({time.monotonic() - start:.0f} s)", flush=True)


faces = FOLDER / "faces"
succeed("data", "synth", faces, "--images", 60, "--size", "32x32")
settings = ["--drop-constant", "--set=architecture=efficientnet-lite0", "--set=input.size=32", "--set=epochs=2", "--set=batch_size=24"]
whole, run = FOLDER / "whole", FOLDER / "run"
succeed("train", "baseline", "--data", faces, "--out", whole, *settings)
weights, rows = tensors((whole / "best.safetensors").read_bytes()), history(whole)


def check_run():
    assert tensors((run / "best.safetensors").read_bytes()) == weights, "other weights"
    assert history(run) == rows, "other rows"


train = ["train", "baseline", "--data", faces, "--out", run, *settings]
attack("training", run, train, lambda: [*train, "--resume"] if (run / "run.json").exists() else train, check_run)

output = FOLDER / "out" / "predictions.csv"
output.parent.mkdir()
predict = ["predict", whole, faces, "--output", output]
succeed(*predict)
expected = output.read_bytes()
output.unlink()


def check_output():
    assert output.read_bytes() == expected, "other rows"


attack("predict --output", output, predict, lambda: predict, check_output)
