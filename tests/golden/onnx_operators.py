"""Makes onnx_operators.json: what ONNX Runtime computes for the operators that visage writes, one node at a time.

    python3 onnx_operators.py > onnx_operators.json

Needs numpy, onnx and onnxruntime. Every case is checked by ONNX before it runs, at operator set 17, without optimisation.
"""

import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "int32": TensorProto.INT32,
         "int64": TensorProto.INT64, "bool": TensorProto.BOOL}
random = np.random.default_rng(17)
CASES = []


def floats(*shape):
    return random.normal(0, 2, shape).astype(np.float32).round(3)


def array(value):
    values = value.flatten()
    # The shortest that are read as the same float32.
    values = [float(str(number)) for number in values] if value.dtype == np.float32 else values.tolist()
    return {"type": str(value.dtype), "shape": list(value.shape), "values": values}


def case(operator, *inputs, **attributes):
    names = [f"input{index}" for index in range(len(inputs))]
    node = helper.make_node(operator, names, ["output"], **attributes)
    # Axes are constants, for the output's shape to follow.
    given = {name: value for name, value in zip(names, inputs) if value.dtype != np.int64}
    infos = [helper.make_tensor_value_info(name, TYPES[str(value.dtype)], value.shape) for name, value in given.items()]
    axes = [onnx.numpy_helper.from_array(value, name) for name, value in zip(names, inputs) if name not in given]
    graph = helper.make_graph([node], "case", infos, [helper.make_empty_tensor_value_info("output")], axes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    output, = session.run(None, given)
    CASES.append({"operator": operator, "attributes": attributes, "inputs": [array(value) for value in inputs],
                  "output": array(output)})


def one(value):
    return np.array(value, dtype=np.float32)


for operator in ("Add", "Sub", "Mul", "Div"):
    case(operator, floats(2, 3), floats(2, 3))
    case(operator, floats(2, 3, 4, 5), floats(2, 3, 1, 1))
    case(operator, floats(3, 1), floats(1, 4))
    case(operator, floats(2, 3), one(0.7))
case("Relu", floats(3, 5))
case("Sigmoid", np.array([[-100, -20, -1.5, 0], [0.1, 3, 20, 100]], dtype=np.float32))
case("Clip", floats(3, 5), one(0), one(1.5))
case("Cast", np.array([[0, 1, 127], [128, 200, 255]], dtype=np.uint8), to=TensorProto.FLOAT)
case("Transpose", floats(2, 3, 4, 5), perm=[0, 3, 1, 2])
case("Transpose", floats(2, 3, 4, 5), perm=[3, 2, 0, 1])
case("Unsqueeze", floats(2, 3), np.array([2]))
case("Unsqueeze", floats(2, 3), np.array([0]))
case("ReduceSum", floats(2, 3, 4), np.array([2]), keepdims=0)
case("Where", np.array([[True, False, True]]), floats(2, 3), floats(2, 3))
case("Where", np.array([[True], [False]]), floats(1, 3), floats(2, 1))
case("Flatten", floats(2, 3, 1, 2), axis=1)
case("Gemm", floats(3, 19), floats(4, 19), floats(4), transB=1)
case("MaxPool", floats(2, 3, 7, 6), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
case("MaxPool", -np.abs(floats(1, 2, 5, 5)), kernel_shape=[2, 3], strides=[1, 2], pads=[0, 1, 0, 1])
case("GlobalAveragePool", floats(2, 5, 4, 3))
for groups, channels, outputs, kernel, strides, pads in [
    (1, 3, 5, [7, 7], [2, 2], [3, 3, 3, 3]),
    (1, 8, 6, [1, 1], [1, 1], [0, 0, 0, 0]),
    (1, 16, 16, [3, 3], [1, 1], [1, 1, 1, 1]),
    (1, 4, 7, [3, 3], [2, 2], [0, 0, 1, 1]),
    (6, 6, 6, [5, 5], [2, 2], [1, 2, 2, 2]),
    (8, 8, 8, [3, 3], [1, 1], [1, 1, 1, 1]),
]:
    case("Conv", floats(2, channels, 9, 8), floats(outputs, channels // groups, *kernel), floats(outputs),
         group=groups, kernel_shape=kernel, strides=strides, pads=pads)
# Halves, and what lies beyond the ends.
steps = np.array([-300, -2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5, 300, 0.24], dtype=np.float32)
case("QuantizeLinear", steps, one(1), np.array(3, dtype=np.uint8))
case("QuantizeLinear", steps, one(1), np.array(-3, dtype=np.int8))
case("QuantizeLinear", floats(2, 3, 4, 5), one(0.013), np.array(120, dtype=np.uint8))
case("DequantizeLinear", random.integers(0, 256, (2, 3, 4)).astype(np.uint8), one(0.02), np.array(117, dtype=np.uint8))
case("DequantizeLinear", random.integers(-127, 128, (3, 2, 2, 2)).astype(np.int8), np.abs(floats(3)),
     np.zeros(3, dtype=np.int8), axis=0)
case("DequantizeLinear", random.integers(0, 256, (2, 3, 2)).astype(np.uint8), np.abs(floats(3)),
     np.array([0, 128, 255], dtype=np.uint8), axis=1)
case("DequantizeLinear", random.integers(-(2**24), 2**24, 4).astype(np.int32), np.abs(floats(4)) * 1e-6,
     np.zeros(4, dtype=np.int32), axis=0)
# Of MobileNetV3, on both sides of the kinks.
steps = np.array([[-100, -3.1, -3, -2.9, -1.5, 0], [0.1, 1.7, 2.9, 3, 3.1, 100]], dtype=np.float32)
case("HardSwish", steps)
case("HardSigmoid", steps, alpha=1 / 6, beta=0.5)
case("HardSigmoid", steps)
# Means over views.
case("ReduceSum", floats(2, 3, 4), np.array([0]), keepdims=0)
case("ReduceSum", floats(2, 3, 4), np.array([1]), keepdims=0)
case("Gather", floats(2, 2, 3, 5), np.array([4, 3, 2, 1, 0]), axis=3)
case("Gather", floats(3, 2), np.array([2, 0]), axis=0)
case("Concat", floats(2, 3, 2), floats(1, 3, 2), axis=0)
case("Reshape", floats(6, 5), np.array([2, -1, 5]))
case("Reshape", floats(2, 3), np.array([3, 2]))

print(json.dumps({"versions": {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}, "cases": CASES}))
