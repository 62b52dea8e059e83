"""Makes seeds/: small files of every kind that the targets read, from which fuzzing starts.

    python3 seeds.py MODEL

MODEL is a model file, of which only the card is used. Needs numpy, onnx, pillow and pyarrow.
"""

import io
import json
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SEEDS = Path(__file__).parent / "seeds"


def keep(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def encoded(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def safetensors(metadata=None):
    """A safetensors file with two floats and an integer."""
    header = {"fc.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
              "steps": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]}}
    if metadata:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + struct.pack("<ffq", 0.5, -1, 7)


y, x = np.mgrid[0:24, 0:20]
picture = Image.fromarray(np.stack([x * 12, y * 10, (x * y) % 256], axis=2).astype(np.uint8))
exif = Image.Exif()
exif[0x0112] = 6
images = {
    "baseline.jpg": encoded(picture, "JPEG", quality=80),
    "progressive.jpg": encoded(picture, "JPEG", quality=60, progressive=True),
    "whole.jpg": encoded(picture, "JPEG", quality=90, subsampling=0, restart_marker_blocks=2),
    "grey.jpg": encoded(picture.convert("L"), "JPEG"),
    "cmyk.jpg": encoded(picture.convert("CMYK"), "JPEG"),
    "turned.jpg": encoded(picture, "JPEG", exif=exif),
    "plain.png": encoded(picture, "PNG"),
    "palette.png": encoded(picture.convert("P"), "PNG", interlace=1),
    "alpha.png": encoded(picture.convert("RGBA"), "PNG"),
    "lossy.webp": encoded(picture, "WEBP"),
    "lossless.webp": encoded(picture, "WEBP", lossless=True),
    "plain.bmp": encoded(picture, "BMP"),
    "plain.gif": encoded(picture, "GIF"),
    "plain.tif": encoded(picture, "TIFF"),
    "lzw.tif": encoded(picture, "TIFF", compression="tiff_lzw"),
    "palette.tif": encoded(picture.convert("P"), "TIFF", tiffinfo={274: 6}),
    "one_bit.tif": encoded(picture.convert("1"), "TIFF"),
}
for name, content in images.items():
    keep("prepare_image", name, content)

# The first byte selects the format.
csv = "image,split,Red,Bright,identity\na.png,train,1,-1,p1\nb.png,val,0,,p2\nc.png,test,true,no,p1\n"
keep("read_dataset", "csv", b"\0" + csv.encode())
keep("read_dataset", "tsv", b"\1" + csv.replace(",", "\t").encode())
keep("read_dataset", "jsonl", b"\2" + b'{"image": "a.png", "Red": true, "Bright": null}\n{"image": "b.png", "Red": 0, "Bright": 1}\n')
table = pyarrow.table({
    "image": [{"bytes": images["plain.png"], "path": "a.png"}, {"bytes": images["grey.jpg"], "path": "b.jpg"}],
    "Red": [True, None], "Bright": [1, -1], "word": ["x", "y"],
})
for compression in ("snappy", "gzip", "none"):
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression=compression, use_dictionary=compression == "snappy")
    keep("read_dataset", f"parquet-{compression}", b"\3" + out.getvalue())
for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("labels.csv", csv)
        archive.writestr("a.png", images["plain.png"])
    keep("read_dataset", f"zip-{method}", b"\4" + out.getvalue())
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as archive:
    for name, content in [("0.png", images["plain.png"]), ("0.json", b'{"Red": 1, "Bright": 0}')]:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
keep("read_dataset", "tar", b"\5" + out.getvalue())

with open(sys.argv[1], "rb") as file:
    length, = struct.unpack("<Q", file.read(8))
    card = json.loads(json.loads(file.read(length))["__metadata__"]["visage"])
card["attributes"], card["thresholds"], card["network"]["outputs"] = card["attributes"][:2], card["thresholds"][:2], 2
card["calibration"] = None
text = json.dumps(card)
keep("read_model", "card", text.encode())
keep("read_model", "file", safetensors({"visage": text}))
keep("read_weights", "safetensors", safetensors())


def constant(name, *shape, kind=np.float32):
    return numpy_helper.from_array(np.arange(np.prod(shape)).reshape(shape).astype(kind), name)


def graph(name, nodes, constants):
    shape = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 32])
    ends = [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, ["batch", 2])]
    model = helper.make_model(helper.make_graph(nodes, name, [shape], ends, constants))
    keep("read_graph", name, model.SerializeToString())


node = helper.make_node
window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
tail = [
    node("GlobalAveragePool", ["map"], ["pooled"]),
    node("Flatten", ["pooled"], ["features"], axis=1),
    node("Gemm", ["features", "fc", "fc.bias"], ["logits"], transB=1),
    node("Sigmoid", ["logits"], ["probabilities"]),
]
ends = [constant("fc", 2, 3), constant("fc.bias", 2), constant("w.bias", 3)]
conv = node("Conv", ["images", "w", "w.bias"], ["conv"], group=1, **window)
pool = node("MaxPool", ["active"], ["map"], **window)
graph("float", [conv, node("Relu", ["conv"], ["active"]), pool, *tail], [constant("w", 3, 3, 3, 3), *ends])
held = [
    node("QuantizeLinear", ["images", "scale", "zero"], ["q"]),
    node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
    node("DequantizeLinear", ["w8", "scales", "zeros"], ["w"], axis=0),
    node("Conv", ["dq", "w", "w.bias"], ["conv"], group=3, **window),
    node("Clip", ["conv", "scale", "six"], ["active"]),
]
graph("int8", [*held, pool, *tail], [
    constant("w8", 3, 1, 3, 3, kind=np.int8), constant("scales", 3), constant("zeros", 3, kind=np.int8), *ends,
    numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(3), "zero"),
    numpy_helper.from_array(np.float32(6), "six"),
])

# The first two bytes are the length of the JSON part; 0xffff stands for all of the body.
plain = b'{"id":"a","inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,2,2,3],"data":[1,2,3,4,5,6,7,8,9,10,11,12]}],"outputs":[{"name":"logits"}]}'
keep("read_request", "json", b"\xff\xff" + plain)
keep("read_request", "text", b"\xff\xff" + b'{"inputs":[{"name":"images","datatype":"BYTES","shape":[1],"data":["aGk="]}]}')
keep("read_request", "faces", b"\xff\xff" + b'{"parameters":{"faces":"all"},"inputs":[{"name":"images","datatype":"BYTES","shape":[1],"data":["aGk="]}],"outputs":[{"name":"image_index"}]}')
for name, datatype, shape, content in [
    ("images", "BYTES", [1], struct.pack("<I", 2) + b"hi"),
    ("pixels", "UINT8", [2, 2, 2, 3], bytes(24)),
    ("normalised", "FP32", [1, 2, 2, 3], struct.pack("<12f", *range(12))),
]:
    tensor = {"name": name, "datatype": datatype, "shape": shape,
              "parameters": {"binary_data_size": len(content)}}
    text = json.dumps({"inputs": [tensor], "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]}).encode()
    keep("read_request", f"binary-{name}", struct.pack("<H", len(text)) + text + content)
