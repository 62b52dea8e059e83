"""Checks visage's exports in other programs.

    python check.py PROGRAM FOLDER [--interpreter INTERPRET] [--with-torch]

PROGRAM is the `visage` to test. FOLDER must not exist; it is filled with synthetic faces, small trained models and their exports.
For every network, at square and other sizes, plain and calibrated, the script runs `onnx.checker` with full checks and strict shape
inference, verifies the metadata, and compares the probabilities of ONNX Runtime and tract with those of `visage predict`. It does the
same for the int8 graph, which may differ by the rounding of integer kernels; with `--interpreter`, the program that
`cargo build --example interpret` builds, ONNX Runtime is also compared with visage's own interpreter. `--with-torch` loads the
exported state dicts into torchvision and timm. Versions are pinned in requirements.txt and torch-requirements.txt.
"""

import argparse
import csv
import io
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tract
from PIL import Image, ImageOps

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("folder", type=Path)
parser.add_argument("--interpreter")
parser.add_argument("--with-torch", action="store_true")
options = parser.parse_args()
PROGRAM, FOLDER, WITH_TORCH = options.program, options.folder, options.with_torch
if WITH_TORCH:
    import safetensors.torch
    import timm
    import torch
    import torchvision
    from torch import nn

TOLERANCE = 1e-4
# Mean difference allowed for int8: a value near the border of two quantisation steps may round either way, and errors grow with depth.
INT8_TOLERANCE = 0.03
IMAGES = 24

CASES = [
    # network, height and width, calibration
    ("resnet18", (64, 64), "none"),
    ("resnet18", (56, 44), "isotonic"),
    ("efficientnet-b0", (64, 64), "temperature"),
    ("efficientnet-b0", (50, 70), "none"),
    ("efficientnet-lite0", (64, 64), "temperature"),
    ("efficientnet-lite0", (61, 47), "none"),
    # Of the wider and deeper networks, those with operations of their own.
    ("resnet50", (64, 64), "none"),
    ("mobilenet-v3-large", (61, 47), "temperature"),
]


def visage(*words):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"visage {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}"
    return done


def predicted(model, images):
    """The attributes, and the probabilities [images, attributes] of `visage predict`."""
    table = list(csv.reader(io.StringIO(visage("predict", model, *images, "--format", "csv").stdout)))
    return table[0][1:], np.array([[float(value) for value in row[1:]] for row in table[1:]], dtype=np.float32)


def trained(network, size, calibration):
    """A small trained model, and PNG images of its input size: no resizing, and no differences between JPEG decoders."""
    text = f"{size[0]}x{size[1]}"
    faces = FOLDER / f"faces-{text}"
    if not faces.exists():
        visage("data", "synth", faces, "--images", 240, "--size", text, "--seed", 4)
        (faces / "png").mkdir()
        for path in sorted((faces / "Img/img_align_celeba").iterdir())[:IMAGES]:
            Image.open(path).convert("RGB").save(faces / "png" / f"{path.stem}.png")
    run = FOLDER / f"{network}-{text}"
    # A high learning rate moves the weights and running statistics far from their initial values, so that a wrong fold shows.
    # ResNet-50's running statistics would be useless after two epochs at that rate, and 8 bits too few for what follows.
    rate = 1e-3 if network == "resnet50" else 3e-3
    settings = [f"architecture={network}", f"input.size={text}", "epochs=2", "batch_size=24", f"learning_rate={rate}"]
    visage("train", "baseline", "--data", faces, "--out", run, *(word for setting in settings for word in ("--set", setting)))
    visage("calibrate", run, "--data", faces, "--method", calibration)
    return run, faces, sorted((faces / "png").iterdir())


def normalised(pixels, preparation):
    """uint8 [N, H, W, 3] as float32 [N, 3, H, W], normalised by the metadata's mean and standard deviation."""
    mean, std = (np.array(preparation[key], dtype=np.float32) for key in ("mean", "std"))
    return np.ascontiguousarray(((pixels.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2))


def session(path, optimise=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def checked(path, attributes, size, raw):
    """Validates the file with ONNX's own library; returns the model card from its metadata."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    known = {value.name: value for value in [*inferred.graph.value_info, *inferred.graph.output]}
    for node in inferred.graph.node:
        for name in node.output:
            dims = known[name].type.tensor_type.shape.dim
            assert all(dim.HasField("dim_value") or dim.dim_param == "batch" for dim in dims), (name, dims)
            assert [dim.dim_param for dim in dims].count("batch") <= 1 if len(dims) > 0 else True
    assert model.opset_import[0].version >= 17 and len(model.opset_import) == 1
    assert model.SerializeToString() == onnx.load_from_string(path.read_bytes()).SerializeToString()
    shape = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == (["batch", *size, 3] if raw else ["batch", 3, *size]), shape
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    card = json.loads(metadata["visage"])
    assert json.loads(metadata["attributes"]) == attributes == card["attributes"]
    assert json.loads(metadata["thresholds"]) == card["thresholds"] and len(card["thresholds"]) == len(attributes)
    assert json.loads(metadata["preparation"]) == card["preparation"]
    assert "Not for identifying people" in metadata["uses_to_avoid"] and metadata["threshold_rule"]
    return card


def check_onnx(run, attributes, expected, pixels, size):
    worst, logits = 0.0, None
    for raw in (False, True):
        path = run / f"{'raw' if raw else 'normalised'}.onnx"
        done = visage("export", run, "--format", "onnx", "--out", path, *(["--raw-images"] if raw else []))
        assert "checked on 4 sample images" in done.stderr, done.stderr
        card = checked(path, attributes, size, raw)
        images = pixels if raw else normalised(pixels, card["preparation"])
        for optimise in (True, False):
            graph = session(path, optimise)
            for batch in (1, 5, len(images)):
                probabilities, logits = graph.run(["probabilities", "logits"], {"images": images[:batch]})
                worst = max(worst, float(np.abs(probabilities - expected[:batch]).max()))
    assert worst <= TOLERANCE, f"{run}: ONNX Runtime's probabilities differ by {worst}"
    return worst, logits, card


def interpreted(path, images):
    """The probabilities of visage's own interpreter, which reads images and writes probabilities as bytes."""
    done = subprocess.run([options.interpreter, path], input=images.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, dtype="<f4").reshape(len(images), -1)


def check_tract(run, expected, images):
    model = tract.onnx().load(run / "normalised.onnx")
    model.set_input_fact(0, ",".join([*map(str, images.shape), "f32"]))
    probabilities = model.into_model().into_runnable().run([images])[0].to_numpy()
    worst = float(np.abs(probabilities - expected).max())
    assert worst <= TOLERANCE, f"{run}: tract's probabilities differ by {worst}"
    return worst


def seconds(graph, images):
    """Seconds of one run: the fastest of eight."""
    took = []
    for _ in range(8):
        start = time.perf_counter()
        graph.run(["logits"], {"images": images})
        took.append(time.perf_counter() - start)
    return min(took)


def check_int8(run, faces, attributes, expected, pixels, size):
    for raw in (False, True):
        path = run / f"{'raw' if raw else 'normalised'}.int8.onnx"
        done = visage("export", run, "--format", "onnx", "--int8", "--data", faces, "--out", path, *(["--raw-images"] if raw else []))
        assert "in int8, calibrated on" in done.stdout, done.stdout
        card = checked(path, attributes, size, raw)
        # Every convolution and matrix product has int8 weights.
        model = onnx.load(path)
        dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
        weighted = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
        assert weighted and all(set(node.input) <= dequantized for node in weighted)
    graphs = [session(run / f"raw{kind}.onnx") for kind in ("", ".int8")]
    probabilities = graphs[1].run(["probabilities"], {"images": pixels})[0]
    cost = float(np.abs(probabilities - expected).mean())
    assert cost <= INT8_TOLERANCE, f"{run}: int8 probabilities differ by {cost} on average"
    text = f"int8 differs by {cost:.1e} on average"
    if options.interpreter:
        ours = interpreted(path, pixels)
        plain = session(path, optimise=False).run(["probabilities"], {"images": pixels})[0]
        for graph, theirs in (("unoptimised", plain), ("optimised", probabilities)):
            apart = float(np.abs(theirs - ours).mean())
            assert apart <= INT8_TOLERANCE / 3, f"{run}: ONNX Runtime, {graph}, differs by {apart} from the interpreter on average"
            text += f", {graph} by {apart:.1e} from the interpreter"
    batch = np.concatenate([pixels] * 2)
    float_time, int8_time = (seconds(graph, batch) for graph in graphs)
    return f"{text}, {float_time / int8_time:.1f} times as fast"


def check_mean(runs, faces, pixels, paths):
    """An ensemble with mirror images: the graph averages what visage averages."""
    file = FOLDER / "mean.safetensors"
    visage("ensemble", *runs, "--out", file)
    visage("calibrate", file, "--data", faces, "--tta", "flip", "--method", "temperature")
    _, expected = predicted(file, paths)
    _, single = predicted(runs[0], paths)
    assert np.abs(expected - single).max() > 1e-3
    worst = []
    for options, allowed in (([], TOLERANCE), (["--int8", "--data", faces], INT8_TOLERANCE)):
        path = FOLDER / "mean.onnx"
        visage("export", file, "--format", "onnx", "--raw-images", "--out", path, *options)
        onnx.checker.check_model(onnx.load(path), full_check=True)
        for batch in (1, len(pixels)):
            for optimise in (True, False):
                found = session(path, optimise).run(["probabilities"], {"images": pixels[:batch]})[0]
                apart = np.abs(found - expected[:batch])
                worst.append(float(apart.mean() if options else apart.max()))
                assert worst[-1] <= allowed, f"the mean of {runs} differs by {worst[-1]}"
    print(f"an ensemble with mirror images: ONNX Runtime within {max(worst[:4]):.1e}, int8 {max(worst[4:]):.1e} on average", flush=True)


def peer_network(network, outputs):
    if network in ("resnet18", "resnet50", "mobilenet-v3-large"):
        return getattr(torchvision.models, network.replace("-", "_"))(num_classes=outputs)
    if network == "efficientnet-b0":
        model = torchvision.models.efficientnet_b0()
        model.classifier = nn.Sequential(
            nn.Linear(1280, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, outputs),
        )  # fmt: skip
        return model
    return timm.create_model("tf_efficientnet_lite0", num_classes=outputs)


def check_torch(run, network, logits, images):
    worst = 0.0
    for extension in ("pth", "safetensors"):
        path = run / f"peer.{extension}"
        visage("export", run, "--format", "torch", "--out", path)
        state = torch.load(path, weights_only=True) if extension == "pth" else safetensors.torch.load_file(path)
        model = peer_network(network, logits.shape[1])
        model.load_state_dict(state, strict=True)
        assert set(state) == set(model.state_dict()), "the state dict is complete, counters included"
        with torch.inference_mode():
            theirs = model.eval()(torch.from_numpy(images)).numpy()
        # Relative to the largest logit.
        worst = max(worst, float(np.abs(theirs - logits).max() / max(1.0, np.abs(logits).max())))
    # visage itself must be able to start a training from the state dict.
    assert network in visage("weights", run / "peer.pth").stdout
    assert worst <= TOLERANCE, f"{run}: logits differ by {worst}"
    return worst


def check_document(run, faces):
    """The Python lines of docs/deploy.md, on photographs of other sizes than the model's."""
    text = (Path(__file__).parents[2] / "docs/deploy.md").read_text()
    lines = {}
    exec(text.partition("```python\n")[2].partition("```")[0], lines)
    path = FOLDER / "document.onnx"
    visage("export", run, "--format", "onnx", "--raw-images", "--out", path)
    photographs = []
    for number, source in enumerate(sorted((faces / "Img/img_align_celeba").iterdir())[:8]):
        photograph = FOLDER / f"photograph{number}.png"
        image = Image.open(source).convert("RGB").resize((90 + 31 * number, 240 - 17 * number), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = number + 1  # the orientation
        image.save(photograph, exif=exif)
        photographs.append(photograph)
    attributes, expected = predicted(run, photographs)
    found = [lines["answers"](path, photograph) for photograph in photographs]
    assert all(list(answers) == attributes for answers in found)
    probabilities = np.array([[probability for probability, _ in answers.values()] for answers in found])
    worst = np.abs(probabilities - expected).max()
    # Pixels may differ by 1 of 255, which small models answer with up to this.
    assert worst < 0.05, f"docs/deploy.md: probabilities differ by {worst}"
    # The same with the resize in the graph, also in 8 bits.
    resizing = []
    for words in ([], ["--int8", "--data", faces]):
        path = FOLDER / f"any{len(words)}.onnx"
        visage("export", run, "--format", "onnx", "--raw-images", "--any-size", "--out", path, *words)
        onnx.checker.check_model(onnx.load(path), full_check=True)
        graph = session(path)
        images = [np.asarray(ImageOps.exif_transpose(Image.open(photograph)).convert("RGB")) for photograph in photographs]
        probabilities = np.array([graph.run(["probabilities"], {"images": image[None]})[0][0] for image in images])
        resizing.append(np.abs(probabilities - expected))
    assert resizing[0].max() < 0.05, f"--any-size: probabilities differ by {resizing[0].max()}"
    assert resizing[1].mean() < INT8_TOLERANCE, f"--any-size --int8: probabilities differ by {resizing[1].mean()} in the mean"
    print(f"docs/deploy.md: probabilities within {worst:.1e}; resized in the graph {resizing[0].max():.1e}", flush=True)


def main():
    FOLDER.mkdir(parents=True)
    squares = []
    for network, size, calibration in CASES:
        run, faces, paths = trained(network, size, calibration)
        pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
        attributes, expected = predicted(run, paths)
        if size == (64, 64):
            squares.append((run, faces, pixels, paths))
        by_onnx, logits, card = check_onnx(run, attributes, expected, pixels, size)
        text = f"ONNX Runtime within {by_onnx:.1e}; {check_int8(run, faces, attributes, expected, pixels, size)}"
        images = normalised(pixels, card["preparation"])
        text += f"; tract within {check_tract(run, expected, images):.1e}"
        if WITH_TORCH:
            text += f"; PyTorch within {check_torch(run, network, logits, images):.1e}"
        print(f"{network} {size[0]}x{size[1]}, calibration {calibration}: {text}", flush=True)
    runs, (_, faces, pixels, paths) = [run for run, *_ in squares], squares[0]
    check_mean(runs, faces, pixels, paths)
    check_document(runs[0], faces)
    if not WITH_TORCH:
        print("state dicts were not loaded into torchvision and timm; use --with-torch for that")


main()
