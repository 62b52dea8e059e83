"""Images per second of visage and PyTorch on one GPU as a Markdown table. benches/gpu.sh runs this script."""

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings

warnings.filterwarnings("ignore")

# Steps queued on the GPU before the script waits for results, as in `visage bench`.
STEPS_AHEAD = 8
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def visage(program, device, mode, architecture, size, batch, precision, seconds):
    """Images per second, or the error message."""
    command = [program, "bench", mode, "--arch", architecture, "--size", size, "--batch", str(batch)]
    command += ["--precision", precision, "--device", device, "--seconds", str(seconds), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        return " ".join(ran.stderr.split())
    return json.loads(ran.stdout)["images_per_second"]


def peer(arguments):
    """The same for PyTorch, in a fresh process so that nothing carries over."""
    ran = subprocess.run([sys.executable, __file__, "--peer", *map(str, arguments)], capture_output=True, text=True)
    if ran.returncode != 0:
        return (ran.stderr.strip().splitlines() or ["no error message"])[-1]
    return float(ran.stdout.split()[-1])


def measure(device, mode, architecture, size, batch, precision, compiled, seconds):
    """Images per second from the median of STEPS_AHEAD steps: copy uint8 pixels, normalise on the device, forward and, in training, backward."""
    # Imported here, because the table can be made without PyTorch.
    import torch

    from networks import ATTRIBUTES, network

    height, width = map(int, size.split("x"))
    model = network(architecture).to(device, memory_format=torch.channels_last)
    model = model.train() if mode == "train" else model.eval()
    run = torch.compile(model) if compiled else model
    pixels = torch.randint(0, 256, (batch, height, width, 3), dtype=torch.uint8)
    pixels = pixels.pin_memory() if device == "cuda" else pixels
    mean, deviation = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    targets = (torch.rand(batch, ATTRIBUTES) < 0.5).float().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    loss = torch.nn.BCEWithLogitsLoss()
    narrow = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")

    def logits():
        images = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        with narrow:
            return run((images / 255 - mean) / deviation)

    def train():
        optimizer.zero_grad()
        value = loss(logits().float(), targets)
        value.backward()
        optimizer.step()
        return value.detach()

    def infer():
        with torch.inference_mode():
            return logits()

    def steps():
        results = [(train if mode == "train" else infer)() for _ in range(STEPS_AHEAD)]
        # Copying to the CPU waits for the GPU.
        return [result.float().cpu() for result in results]

    for _ in range(3):
        steps()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        began = time.perf_counter()
        steps()
        times.append((time.perf_counter() - began) / STEPS_AHEAD)
    return batch / statistics.median(times)


def cell(value):
    return f"{value:.1f}" if isinstance(value, float) else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the visage to measure")
    parser.add_argument("--device", required=True, help="visage's name for the GPU")
    parser.add_argument("--peer-device", default="cuda", help="PyTorch's name for the GPU; none to skip PyTorch")
    parser.add_argument("--sizes", default="128x128,178x218", help="height x width")
    parser.add_argument("--batches", default="64,128,256,512")
    parser.add_argument("--precisions", default="f32,bf16")
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement")
    parser.add_argument("--peer", nargs=8, help=argparse.SUPPRESS)
    arguments = parser.parse_args(["--program", "", "--device", "", *sys.argv[1:]] if "--peer" in sys.argv else None)
    if arguments.peer:
        device, mode, architecture, size, batch, precision, compiled, seconds = arguments.peer
        print(measure(device, mode, architecture, size, int(batch), precision, compiled == "True", float(seconds)))
        return

    with_peer = arguments.peer_device != "none"
    failures = []

    def recorded(who, what, value):
        if not isinstance(value, float):
            failures.append(f"{who}, {what}: {value}")
        return value

    print("| network, images per second | visage | PyTorch eager | PyTorch compiled | visage / eager |")
    print("|---|---:|---:|---:|---:|")
    for architecture in ("resnet18", "efficientnet-b0"):
        for mode in ("train", "infer"):
            for size in arguments.sizes.split(","):
                for batch in map(int, arguments.batches.split(",")):
                    for precision in arguments.precisions.split(","):
                        what = f"{architecture} {mode}, {size}, batch {batch}, {precision}"
                        shape = (mode, architecture, size, batch, precision)
                        ours = recorded("visage", what, visage(arguments.program, arguments.device, *shape, arguments.seconds))
                        eager = compiled = None
                        if with_peer:
                            eager, compiled = (
                                recorded(
                                    f"PyTorch {how}",
                                    what,
                                    peer((arguments.peer_device, *shape, how == "compiled", arguments.seconds)),
                                )
                                for how in ("eager", "compiled")
                            )
                        both = isinstance(ours, float) and isinstance(eager, float)
                        ratio = f"{ours / eager:.2f}" if both else "-"
                        print(f"| {what} | {cell(ours)} | {cell(eager)} | {cell(compiled)} | {ratio} |", flush=True)
    for failure in failures:
        print(f"no result: {failure}", file=sys.stderr)


if __name__ == "__main__":
    main()
