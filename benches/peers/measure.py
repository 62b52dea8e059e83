"""Images per second of visage, PyTorch and ONNX Runtime on this machine, side by side. See README.md in this folder."""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")

import numpy
import onnxruntime
import timm
import torch
import torchvision

from networks import ATTRIBUTES, network


def channels_last(architecture):
    return network(architecture).to(memory_format=torch.channels_last)


def images(batch, height, width):
    return torch.randn(batch, 3, height, width).to(memory_format=torch.channels_last)


def rate(step, batch, seconds):
    """Images per second by the median step, after a warm-up."""
    for _ in range(3):
        step()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return batch / statistics.median(times)


def torch_infer(architecture, batch, height, width, seconds):
    model, x = channels_last(architecture).eval(), images(batch, height, width)
    with torch.inference_mode():
        return rate(lambda: model(x), batch, seconds)


def torch_train(architecture, batch, height, width, seconds):
    model, x = channels_last(architecture).train(), images(batch, height, width)
    y = (torch.rand(batch, ATTRIBUTES) < 0.3).float()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    loss = torch.nn.BCEWithLogitsLoss()

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return rate(step, batch, seconds)


def onnx_infer(architecture, batch, height, width, seconds, threads):
    x = images(batch, height, width).contiguous()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "network.onnx")
        torch.onnx.export(channels_last(architecture).eval(), x, path, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, x = session.get_inputs()[0].name, x.numpy().astype(numpy.float32)
    return rate(lambda: session.run(None, {name: x}), batch, seconds)


def visage(program, mode, architecture, batch, height, width, seconds, threads):
    command = [program, "bench", mode, "--arch", architecture, "--size", f"{height}x{width}", "--batch", str(batch)]
    command += ["--threads", str(threads), "--seconds", str(seconds), "--json"]
    measured = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return measured["images_per_second"], (measured["peak_memory_bytes"] or 0) / 2**20


def peer(arguments):
    """Rate and MiB of one measurement in a process of its own, so that nothing is left of the one before."""
    result = subprocess.run([sys.executable, __file__, "--peer", *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr)
    rate, peak = map(float, result.stdout.split()[-2:])
    return rate, peak


def peak_memory():
    """The most memory that this process ever held, in MiB, as Linux counts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visage", default="target/release/visage", help="the program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the programs take turns so many times; the best is shown")
    parser.add_argument("--size", default="128x128", help="height x width")
    parser.add_argument("--batches", default="16,1", help="training is measured where there are at least two images")
    parser.add_argument("--peer", nargs=7, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.peer:
        kind, architecture, *numbers, seconds, threads = arguments.peer
        torch.set_num_threads(int(threads))
        batch, height, width = map(int, numbers)
        if kind == "onnx":
            print(onnx_infer(architecture, batch, height, width, float(seconds), int(threads)), peak_memory())
        else:
            measure = torch_train if kind == "train" else torch_infer
            print(measure(architecture, batch, height, width, float(seconds)), peak_memory())
        return

    height, width = map(int, arguments.size.split("x"))
    rest = (arguments.seconds, arguments.threads)
    print(f"{height}x{width}, {arguments.threads} threads, f32, images per second: best of {arguments.rounds} rounds, each the "
          f"median step of {arguments.seconds:g} s")
    print(f"PyTorch {torch.__version__} (channels last), ONNX Runtime {onnxruntime.__version__}")
    print(f"MiB: the most that the whole process held; Python with these libraries alone {peak_memory():.0f}")
    print(f"{'':34}{'visage':>9}{'PyTorch':>9}{'ONNX R.':>9}{'/PyTorch':>10}{'/ONNX R.':>10}{'MiB visage':>12}{'PyTorch':>9}")
    for architecture in ("resnet18", "efficientnet-b0", "efficientnet-lite0"):
        for mode in ("train", "infer"):
            for batch in map(int, arguments.batches.split(",")):
                if mode == "train" and batch < 2:
                    continue
                shape = (batch, height, width)
                best, most = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
                for _ in range(arguments.rounds):
                    rates, memory = zip(
                        visage(arguments.visage, mode, architecture, *shape, *rest),
                        peer((mode, architecture, *shape, *rest)),
                        peer(("onnx", architecture, *shape, *rest)) if mode == "infer" else (0.0, 0.0),
                    )
                    best, most = list(map(max, best, rates)), list(map(max, most, memory))
                ours, pytorch, onnx = best
                line = f"{f'{architecture} {mode}, batch {batch}':34}{ours:9.1f}{pytorch:9.1f}"
                line += f"{onnx:9.1f}{ours / pytorch:10.2f}{ours / onnx:10.2f}" if onnx else f"{'-':>9}{ours / pytorch:10.2f}{'-':>10}"
                print(f"{line}{most[0]:12.0f}{most[1]:9.0f}", flush=True)


if __name__ == "__main__":
    main()
