"""Attacks `visage` with hostile and damaged files, under a memory limit and a deadline.

    python check.py PROGRAM FOLDER [--seed N] [--scale F]

PROGRAM is the `visage` to test. FOLDER must not exist; it is filled with the files of the attack. Needs Python 3.11 on Linux and nothing
else. Every case is drawn from the printed seed. A case fails on a panic, a signal, a hang, more memory than the stated bound, an image that
is neither predicted nor reported, or a silent difference: an answer or a resumed training that is not what the undamaged file gives.
`--scale 0.1` runs a tenth of the random cases.
"""

import argparse
import concurrent.futures
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

from runs import history, tensors

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "crates/visage-data/tests/files/images"
DATASETS = ROOT / "crates/visage-data/tests/files/datasets"
PICKLES = ROOT / "crates/visage-weights/tests/files"

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("folder", type=Path)
parser.add_argument("--seed", type=int, default=int(time.time()))
parser.add_argument("--scale", type=float, default=1.0)
arguments = parser.parse_args()
PROGRAM, FOLDER = os.path.abspath(arguments.program), arguments.folder

# No process may map more than this; most cases have a lower bound on what they use.
ADDRESS_SPACE = 6 << 30
failures, table = [], []


class Done:
    """A process that has ended: its exit code, output, peak memory in MiB and seconds."""

    def __init__(self, args, deadline=30):
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.monotonic()
            process = subprocess.Popen([PROGRAM, *map(str, args)], stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=limit)
            self.hung = False
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() - start > deadline and not self.hung:
                    self.hung = True
                    process.kill()
                time.sleep(0.003)
            process.returncode = self.code = os.waitstatus_to_exitcode(status)
            self.seconds, self.memory = time.monotonic() - start, usage.ru_maxrss >> 10
            out.seek(0), err.seek(0)
            self.out, self.err = out.read().decode(errors="replace"), err.read().decode(errors="replace")

    def fault(self, most=None):
        """What is wrong with how it ended, if anything."""
        if self.hung:
            return f"hung for {self.seconds:.0f} s"
        if self.code < 0:
            return f"killed by signal {-self.code}"
        if "panicked" in self.err or "bug in visage" in self.err:
            return "panicked"
        if self.code not in (0, 1, 2):
            return f"exit code {self.code}"
        if self.code != 0 and "error:" not in self.err:
            return "failed without a message"
        if most is not None and self.memory > most:
            return f"took {self.memory} MiB, more than {most}"
        return None


def fail(kind, case, reason, done=None):
    failures.append(f"{kind}: {case}: {reason}")
    print(f"FAILED {failures[-1]}\n{done.err[-1500:] if done else ''}", file=sys.stderr, flush=True)


def section(kind, cases, run, shown=None):
    """Runs cases two at a time. `run` returns its processes; the table gets their number, peak memory and longest time."""
    start, most, longest = time.monotonic(), 0, 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in pool.map(run, cases):
            for process in done or []:
                most, longest = max(most, process.memory), max(longest, process.seconds)
    table.append((kind, shown or len(cases), most, longest, time.monotonic() - start))
    print(f"{kind}: {table[-1][1]} cases, at most {most} MiB and {longest:.1f} s each, {table[-1][4]:.0f} s in all", flush=True)


def scaled(count):
    return max(1, int(count * arguments.scale))


def visage(*args):
    done = Done(args, deadline=300)
    if done.code != 0:
        sys.exit(f"visage {' '.join(map(str, args))}\n{done.err}")
    return done


def damaged(data, rng):
    """`data` with random damage."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        if not data:
            break
        at, kind = rng.randrange(len(data)), rng.randrange(8)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF])
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + rng.randrange(1, 64)]
        elif kind == 4:
            data[at:at] = data[at : at + rng.randrange(1, 64)] * rng.choice([1, 1, 3])
        elif kind == 5:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"])
        elif kind == 6:
            data[at : at + rng.randrange(1, 64)] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 64)))
        else:
            # The header, where damage does most.
            data[rng.randrange(min(64, len(data)))] = rng.randrange(256)
    return bytes(data)


# Images

def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, extra=b""):
    rows = zlib.compress(b"\0" * ((width * 3 + 1) * height), 9) if width * height < 1 << 28 else zlib.compress(b"\0" * 1000)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def crafted_images(folder):
    """Writes images of which each is an attack; the value is what the program says of it, or None where it predicts it."""
    progressive = (IMAGES / "progressive.jpg").read_bytes()
    component = progressive[progressive.index(b"\xff\xc2") + 10]
    scan = bytes([0xFF, 0xDA, 0, 8, 1, component, 0, 1, 63, 0x10]) + b"\xaa" * 20
    bomb = zlib.compress(b"\0" * (400 << 20), 9)
    gif = (IMAGES / "still.gif").read_bytes()
    frame = b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0"
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x01\0\0\0" * 5000
    jpeg = (IMAGES / "baseline444.jpg").read_bytes()
    files = {
        "long.png": (png(49_000_000, 1), "a side may have"),
        "many_pixels.png": (png(60_000, 60_000), "pixels"),
        "scans.jpg": (progressive[:-2] + scan * 4000 + progressive[-2:], "scans"),
        "profile.png": (png(64, 64, chunk(b"iCCP", b"x\0\0" + bomb)), None),
        "text.png": (png(64, 64, chunk(b"zTXt", b"x\0\0" + bomb) * 3), None),
        "frames.gif": (gif[:-1] + frame * 200_000 + gif[-1:], None),
        "exif.jpg": (jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:], None),
        "segments.jpg": (jpeg[:2] + b"\xff\xe0\0\x04ab" * 2_000_000 + jpeg[2:], None),
        "tables.jpg": (jpeg[:2] + (b"\xff\xc4\0\x14\0" + b"\0" * 15 + b"\x01\0") * 500_000 + jpeg[2:], None),
        "empty.jpg": (b"", "not a readable"),
        "html.jpg": (b"<!doctype html><html>quota exceeded</html>", ""),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    special = {"fifo.jpg": "not a regular file", "device.jpg": "not a regular file", "sparse.jpg": "at most"}
    os.mkfifo(folder / "fifo.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    with open(folder / "sparse.jpg", "wb") as file:
        file.truncate(20 << 30)
    # A folder with the name of an image is looked into like any other.
    (folder / "folder.jpg").mkdir()
    shutil.copy(IMAGES / "rgb.png", folder / "folder.jpg/inner.png")
    return {name: said for name, (_, said) in files.items()} | special | {"folder.jpg/inner.png": None}


def check_predicted(kind, folder, names, done, most):
    """Every image has a row or an error that names it."""
    if fault := done.fault(most):
        return fail(kind, folder, fault, done)
    rows = [json.loads(line)["image"] for line in done.out.splitlines()]
    said = {}
    for line in done.err.splitlines():
        if line.startswith("cannot use "):
            path, _, reason = line.removeprefix("cannot use ").partition(": ")
            said[path] = reason
    for name in names:
        path = str(folder / name)
        if (path in rows) == (path in said):
            fail(kind, path, "neither predicted nor reported" if path not in rows else "predicted and reported")
    return said


def attack_images(model):
    folder = FOLDER / "crafted"
    folder.mkdir()
    expected = crafted_images(folder)

    def run(name):
        done = Done(["predict", model, folder / name, "--format", "json"], deadline=20)
        # The largest is what resizing and decoding one image may take; none of these needs more than its file and 300 MiB.
        if fault := done.fault(300 + ((folder / name).stat().st_size >> 20 if name.endswith((".jpg", ".png", ".gif")) and name != "sparse.jpg" and (folder / name).is_file() else 0)):
            fail("crafted images", name, fault, done)
        elif expected[name] is None and done.code != 0:
            fail("crafted images", name, "was not predicted", done)
        elif expected[name] is not None and (done.code == 0 or expected[name] not in done.err):
            fail("crafted images", name, f"was not refused with `{expected[name]}`", done)
        return [done]

    section("crafted images", list(expected), run)
    done = Done(["predict", model, folder, "--format", "json"], deadline=60)
    check_predicted("a folder of crafted images", folder, expected, done, 1200)

    bases = sorted(path for path in IMAGES.iterdir() if path.is_file())
    batch = 400

    def random_batch(number):
        folder = FOLDER / f"images{number}"
        folder.mkdir()
        rng = random.Random(f"{arguments.seed} images {number}")
        names = []
        for index in range(batch):
            base = rng.choice(bases)
            names.append(f"{index:03}{base.suffix}")
            (folder / names[-1]).write_bytes(damaged(base.read_bytes(), rng))
        options = ["--allow-truncated"] if number % 2 else []
        done = Done(["predict", model, folder, "--format", "json", *options], deadline=120)
        check_predicted("damaged images", folder, names, done, 2200)
        if not any(str(folder) in failure for failure in failures):
            shutil.rmtree(folder)
        return [done]

    batches = scaled(16)
    section("damaged images", range(batches), random_batch, batches * batch)


# Weights and model files

def attack_weights(model):
    content = (model / "best.safetensors").read_bytes()
    image = IMAGES / "rgb.png"
    expected = visage("predict", model, image, "--format", "json").out
    header = struct.unpack("<Q", content[:8])[0]

    def flipped(number):
        rng = random.Random(f"{arguments.seed} weights {number}")
        # As many in the header as in the weights.
        at = rng.randrange(8, 8 + header) if number % 2 else rng.randrange(8 + header, len(content))
        path = FOLDER / f"model{number}.safetensors"
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        done = Done(["predict", path, image, "--format", "json"])
        if fault := done.fault(300):
            fail("flipped bits of a model", f"byte {at}", fault, done)
        elif done.code == 0 and done.out != expected:
            fail("flipped bits of a model", f"byte {at}", "another answer", done)
        path.unlink()
        return [done]

    section("flipped bits of a model", range(scaled(500)), flipped)

    bases = [path for path in sorted(PICKLES.iterdir()) if path.is_file() and path.suffix in (".pth", ".pt", ".bin", ".safetensors")]

    def pickled(number):
        rng = random.Random(f"{arguments.seed} pickles {number}")
        base = rng.choice(bases)
        path = FOLDER / f"weights{number}{base.suffix}"
        path.write_bytes(damaged(base.read_bytes(), rng))
        done = Done(["weights", path])
        if fault := done.fault(300):
            fail("damaged weights", path, fault, done)
        else:
            path.unlink()
        return [done]

    section("damaged weights", range(scaled(600)), pickled)

    card = json.loads(json.loads(content[8 : 8 + header])["__metadata__"]["visage"])
    network = card["network"] | {"outputs": 1_000_000}
    many = card | {"network": network, "attributes": [str(n) for n in range(1_000_000)], "thresholds": [0.5] * 1_000_000}
    ensemble = card | {"format": 4, "ensemble": [card["network"]] * 100_000}
    nan = struct.pack("<f", float("nan"))

    def crafted(case):
        name, metadata, tensors, said = case
        path = FOLDER / f"{name}.safetensors"
        text = json.dumps({"__metadata__": {"visage": json.dumps(metadata)}, **tensors}).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + nan)
        done = Done(["predict", path, image])
        if fault := done.fault(700):
            fail("crafted models", name, fault, done)
        elif done.code == 0 or said not in done.err:
            fail("crafted models", name, f"was not refused with `{said}`", done)
        return [done]

    one = {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    cases = [("many_attributes", many, one, "at most"), ("large_ensemble", ensemble, one, "does not match"), ("no_tensors", card, one, "does not match")]
    section("crafted models", cases, crafted)


# Tables and archives

def crafted_tables():
    """Names, contents and what is said of tables, one at a time: the memory of this process would count for its children too."""
    wide = lambda columns: ",".join(["image", *(f"a{n}" for n in range(columns))]) + "\n" + ",".join(["x.png", *["1"] * columns]) + "\n"
    yield "wide.csv", wide(50_000).encode(), "at most"
    yield "wider.csv", wide(1_000_000).encode(), "at most"
    yield "full.csv", wide(20_000).encode(), None
    yield "line.csv", b"image,a\nx.png,1\n" + b"x" * (300 << 20) + b",0\n", "at most"
    yield "quote.csv", b'image,a\nx.png,1\n"' + b"x\n" * (10 << 20), ""
    yield "deep.jsonl", b'{"image":"x.png","a":' + b"[" * 1_000_000 + b"\n", ""
    yield "keys.jsonl", ("{" + '"image":"x.png",' + ",".join(f'"k{n}":1' for n in range(300_000)) + "}\n").encode(), "at most"
    yield "nul.csv", b"image,a\0b\nx.png,\0\n" * 1000, ""
    yield "labels.csv", ("image,labels\n" + "".join(f'x{n}.png,"{n}|{n + 1}"\n' for n in range(100_000))).encode(), ""


def tar_header(name, size, kind):
    header = tarfile.TarInfo(name)
    header.size, header.type = size, kind
    return header.tobuf(tarfile.GNU_FORMAT)


def crafted_archives(folder):
    padded = lambda data: data + b"\0" * (-len(data) % 512)
    table, picture = b"image,a\nx.png,1\n", (IMAGES / "rgb.png").read_bytes()
    member = lambda name, data: tar_header(name, len(data), tarfile.REGTYPE) + padded(data)
    good = member("x.png", picture) + member("x.json", b'{"a": 1}')
    for name, kind, size in [("long_name.tar", tarfile.GNUTYPE_LONGNAME, 400 << 20), ("pax.tar", tarfile.XHDTYPE, 400 << 20)]:
        with open(folder / name, "wb") as file:
            file.write(tar_header("x", size, kind))
            file.seek(size, 1)
            file.write(good + b"\0" * 1024)
        yield name, ["data", "inspect"], "may have", 100
    (folder / "negative.tar").write_bytes(good[:124] + b"\xff" * 12 + good[136:])
    yield "negative.tar", ["data", "inspect"], "", 100
    for name, entry in [("entries.zip", "big.png"), ("table.zip", "labels.csv")]:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(entry, "w", force_zip64=True) as file:
                for _ in range(1500):
                    file.write(b"\0" * (1 << 20))
            archive.writestr("x.png", picture)
            if name == "entries.zip":
                archive.writestr("labels.csv", table + b"big.png,1\n")
        yield name, ["data", "verify"], "", 900
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for number in range(60_000):
            archive.writestr(f"d{number}/{number}.png", b"")
        archive.writestr("labels.csv", table)
    yield "many.zip", ["data", "inspect"], None, 300


def attack_datasets():
    folder = FOLDER / "tables"
    folder.mkdir()
    shutil.copy(IMAGES / "rgb.png", folder / "x.png")

    def crafted(case):
        name, said = case
        path = folder / name
        done = Done(["data", "inspect", path], deadline=60)
        # The file is in memory.
        if fault := done.fault(300 + 3 * (path.stat().st_size >> 20)):
            fail("crafted tables", name, fault, done)
        elif said is not None and (done.code == 0 or said not in done.err):
            fail("crafted tables", name, f"was not refused with `{said}`", done)
        elif said is None and done.code != 0:
            fail("crafted tables", name, "was not read", done)
        elif len(done.err) > 60_000:
            fail("crafted tables", name, f"a message of {len(done.err)} bytes", done)
        path.unlink()
        return [done]

    tables = []
    for name, content, said in crafted_tables():
        (folder / name).write_bytes(content)
        tables.append((name, said))
        del content
    section("crafted tables", tables, crafted)

    def archive(case):
        name, command, said, most = case
        done = Done([*command, folder / name], deadline=60)
        if fault := done.fault(most):
            fail("crafted archives", name, fault, done)
        elif said is not None and (done.code == 0 or said not in done.err):
            fail("crafted archives", name, f"was not refused with `{said}`", done)
        elif said is None and done.code != 0:
            fail("crafted archives", name, "was not read", done)
        return [done]

    section("crafted archives", list(crafted_archives(folder)), archive)

    bases = [path for path in sorted(DATASETS.rglob("*")) if path.is_file() and path.suffix in (".tsv", ".jsonl", ".parquet", ".zip", ".tar")]
    text = "image,split,Smiling,Hat,age\n" + "".join(f"x.png,{('train', 'val')[n % 2]},{n % 2},{n // 2 % 2},{n}\n" for n in range(40))

    def random_dataset(number):
        rng = random.Random(f"{arguments.seed} datasets {number}")
        own = FOLDER / f"dataset{number}"
        own.mkdir()
        base = rng.choice([None, *bases])
        path = own / (base.name if base else "labels.csv")
        path.write_bytes(damaged(base.read_bytes() if base else text.encode(), rng))
        shutil.copy(IMAGES / "rgb.png", own / "x.png")
        done = Done(["data", "inspect", path])
        if fault := done.fault(300):
            fail("damaged tables and archives", path, fault, done)
        else:
            shutil.rmtree(own)
        return [done]

    section("damaged tables and archives", range(scaled(2000)), random_dataset)


# Recipes and runs

def attack_recipes():
    bases = sorted((ROOT / "crates/visage-run/recipes").glob("*.toml"))

    def recipe(number):
        rng = random.Random(f"{arguments.seed} recipes {number}")
        path = FOLDER / f"recipe{number}.toml"
        path.write_bytes(damaged(rng.choice(bases).read_bytes(), rng))
        done = Done(["recipe", "show", path])
        if fault := done.fault(100):
            fail("damaged recipes", path, fault, done)
        else:
            path.unlink()
        return [done]

    section("damaged recipes", range(scaled(500)), recipe)


def attack_runs(data, settings):
    whole, stopped = FOLDER / "whole", FOLDER / "stopped"
    visage("train", "baseline", "--data", data, "--out", whole, *settings)
    process = subprocess.Popen([PROGRAM, "train", "baseline", "--data", data, "--out", stopped, *settings], stderr=subprocess.DEVNULL)
    while not (stopped / "epochs.csv").exists() or len((stopped / "epochs.csv").read_text().splitlines()) < 3:
        time.sleep(0.01)
        if process.poll() is not None:
            sys.exit("the training to be stopped has ended: give it more epochs")
    process.kill()
    process.wait()
    weights, rows = (whole / "best.safetensors").read_bytes(), history(whole)
    files = ["recipe.toml", "run.json", "steps.csv", "epochs.csv", "last.safetensors", "best.safetensors"]
    size = len(weights)

    def resume(number):
        rng = random.Random(f"{arguments.seed} runs {number}")
        run = FOLDER / f"run{number}"
        shutil.copytree(stopped, run)
        name = files[number % len(files)]
        content = (run / name).read_bytes()
        kind = rng.randrange(4)
        if kind == 0:
            (run / name).unlink()
        elif kind == 1:
            (run / name).write_bytes(content[: rng.randrange(len(content))])
        else:
            (run / name).write_bytes(damaged(content, rng))
        is_left = (run / name).exists()
        done = Done(["train", "baseline", "--data", data, "--out", run, "--resume", *settings], deadline=120)
        case = f"{name} of {run}"
        if fault := done.fault():
            fail("damaged runs", case, fault, done)
        elif done.code == 0:
            same = (run / "best.safetensors").read_bytes()
            # The card holds the time at which the training began, and so may differ; the weights may not.
            if tensors(same) != tensors(weights):
                fail("damaged runs", case, "resumed to other weights", done)
            # A table that is removed begins anew, as its error message offers.
            elif is_left and history(run) != rows:
                fail("damaged runs", case, "resumed to other rows", done)
        if not any(str(run) in failure for failure in failures):
            shutil.rmtree(run)
        return [done]

    section("damaged runs", range(scaled(180)), resume)


FOLDER.mkdir()
print(f"seed {arguments.seed}", flush=True)
faces = FOLDER / "faces"
visage("data", "synth", faces, "--images", 120, "--size", "32x32", "--seed", 4)
settings = ["--set=architecture=efficientnet-lite0", "--set=input.size=32", "--set=epochs=4", "--set=batch_size=32"]
model = FOLDER / "model"
visage("train", "baseline", "--data", faces, "--out", model, *settings)
attack_images(model)
attack_weights(model)
attack_datasets()
attack_recipes()
attack_runs(faces, settings)

print(f"\n| attack | cases | most memory, MiB | longest, s |\n| --- | --- | --- | --- |")
for kind, cases, most, longest, _ in table:
    print(f"| {kind} | {cases:,} | {most:,} | {longest:.1f} |")
print(f"\n{sum(row[1] for row in table):,} cases from seed {arguments.seed}, {len(failures)} failures")
if failures:
    sys.exit("\n".join(failures))
