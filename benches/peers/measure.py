"""Images per second of one or more builds of visage, PyTorch and ONNX Runtime on this machine. See README.md in this folder."""

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
    """Images per second from the median step, after a warm-up."""
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


def peer(kind, *arguments):
    """Images per second and MiB of one measurement, in a fresh process so that nothing carries over."""
    result = subprocess.run([sys.executable, __file__, "--peer", kind, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr)
    rate, peak = map(float, result.stdout.split()[-2:])
    return rate, peak


def measure_peer(kind, architecture, batch, height, width, seconds, threads):
    torch.set_num_threads(int(threads))
    shape = (architecture, int(batch), int(height), int(width), float(seconds))
    if kind == "onnx":
        rate = onnx_infer(*shape, int(threads))
    else:
        rate = (torch_train if kind == "train" else torch_infer)(*shape)
    print(rate, peak_memory())


def peak_memory():
    """Peak resident memory of this process in MiB (Linux reports KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ratio(rates, numerator, denominator):
    return f"{rates[numerator] / rates[denominator]:.2f}" if rates[denominator] else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--program", action="append", metavar="[NAME=]PATH", help="a build of visage; several take turns (default: target/release/visage)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often all take turns; the best round counts")
    parser.add_argument("--size", default="128x128", help="height x width")
    parser.add_argument("--batches", default="16,1", help="training is measured with at least two images")
    parser.add_argument("--peer", nargs=7, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        measure_peer(*arguments.peer)
        return

    given = arguments.program or ["visage=target/release/visage"]
    programs = dict(text.split("=", 1) if "=" in text else (text, text) for text in given)
    first = next(iter(programs))
    columns = [*programs, "PyTorch", "ONNX Runtime"]
    ratios = [(name, other) for name in programs for other in ("PyTorch", "ONNX Runtime")]
    ratios += [(name, first) for name in programs if name != first]

    height, width = map(int, arguments.size.split("x"))
    print(
        f"{height}x{width}, {arguments.threads} threads, f32, images per second: best of {arguments.rounds} rounds, "
        f"each the median step of {arguments.seconds:g} s"
    )
    print(f"PyTorch {torch.__version__} (channels last), ONNX Runtime {onnxruntime.__version__}")
    print(f"MiB: peak memory of the whole process; Python with these libraries alone needs {peak_memory():.0f}")
    memory = [f"MiB {name}" for name in [*programs, "PyTorch"]]
    headings = ["network, mode, batch", *columns, *(f"{one} / {other}" for one, other in ratios), *memory]
    print(f"| {' | '.join(headings)} |")
    print(f"|---|{'---:|' * (len(headings) - 1)}")
    for architecture in ("resnet18", "efficientnet-b0", "efficientnet-lite0"):
        for mode in ("train", "infer"):
            for batch in map(int, arguments.batches.split(",")):
                if mode == "train" and batch < 2:
                    continue
                shape = (architecture, batch, height, width, arguments.seconds, arguments.threads)
                measurements = {name: (lambda path=path: visage(path, mode, *shape)) for name, path in programs.items()}
                measurements["PyTorch"] = lambda: peer(mode, *shape)
                if mode == "infer":
                    measurements["ONNX Runtime"] = lambda: peer("onnx", *shape)
                rates, peaks = dict.fromkeys(columns, 0.0), dict.fromkeys(columns, 0.0)
                for turn in range(arguments.rounds):
                    # Every other round runs in reverse, so that a drift of the machine's speed favours nobody.
                    for name in list(measurements)[:: -1 if turn % 2 else 1]:
                        rate, peak = measurements[name]()
                        rates[name], peaks[name] = max(rates[name], rate), max(peaks[name], peak)
                cells = [f"{architecture} {mode}, {batch}"]
                cells += [f"{rates[name]:.1f}" if rates[name] else "-" for name in columns]
                cells += [ratio(rates, one, other) for one, other in ratios]
                cells += [f"{peaks[name]:.0f}" for name in [*programs, "PyTorch"]]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
