"""Checks that other programs read the datasets that visage writes.

    python check.py PROGRAM FOLDER

PROGRAM is the `visage` to test. FOLDER must not exist; it is filled with synthetic faces and the output of `visage data convert`.
Every format must hold the same images, byte for byte, in the same splits with the same labels. `visage` also reads the Arrow files
of `datasets`; it has to be built with the feature `arrow`. Parquet is read by Hugging
Face's `datasets`, WebDataset by `webdataset`, the zip archive and CelebA's layout by pandas. Versions are in requirements.txt.
"""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

PROGRAM, FOLDER = sys.argv[1], Path(sys.argv[2])
FOLDER.mkdir(parents=True)
os.environ["HF_HOME"] = str(FOLDER / "hub")
os.environ["HF_HUB_OFFLINE"] = "1"

import datasets
import pandas
import webdataset
from PIL import Image

IMAGES = 60
SPLITS = ["train", "validation", "test"]


def visage(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"visage {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def celeba(root):
    """Reads a dataset in CelebA's layout: {image bytes: (split, {attribute: bool})}."""
    labels = pandas.read_csv(root / "Anno/list_attr_celeba.txt", sep=r"\s+", skiprows=1)
    splits = pandas.read_csv(root / "Eval/list_eval_partition.txt", sep=r"\s+", header=None, index_col=0)[1]
    images = root / "Img/img_align_celeba"
    return {
        (images / name).read_bytes(): (SPLITS[splits[name]], {key: value == 1 for key, value in row.items()})
        for name, row in labels.iterrows()
    }


def main():
    faces = FOLDER / "faces"
    visage("data", "synth", faces, "--images", IMAGES, "--size", "40x32", "--splits", "0.5,0.25,0.25")
    expected = celeba(faces)
    assert len(expected) == IMAGES
    attributes = list(next(iter(expected.values()))[1])
    for form, name in [("celeba", "celeba"), ("csv", "table.zip"), ("parquet", "parquet"), ("webdataset", "shards")]:
        visage("data", "convert", faces, FOLDER / name, "--to", form)

    assert celeba(FOLDER / "celeba") == expected

    archive = zipfile.ZipFile(FOLDER / "table.zip")
    table = pandas.read_csv(archive.open("labels.csv"))
    found = {
        archive.read(row["image"]): (row["split"], {name: row[name] == 1 for name in attributes})
        for _, row in table.iterrows()
    }
    assert found == expected

    hub = datasets.load_dataset(str(FOLDER / "parquet"))
    assert isinstance(hub["train"].features["image"], datasets.Image), hub["train"].features
    assert hub["train"][0]["image"].size == (32, 40), "decoded by datasets itself"
    found = {}
    for split, rows in hub.items():
        for row in rows.cast_column("image", datasets.Image(decode=False)):
            found[row["image"]["bytes"]] = (split, {name: row[name] for name in attributes})
    assert found == expected

    # What `datasets` itself keeps: Arrow files in its cache, and those of save_to_disk.
    hub.save_to_disk(str(FOLDER / "saved"))
    cached = Path(hub["train"].cache_files[0]["filename"]).parent
    for arrow in [FOLDER / "saved", cached]:
        copy = FOLDER / f"from-{arrow.name}"
        visage("data", "convert", arrow, copy, "--to", "celeba")
        assert celeba(copy) == expected, arrow

    # Numbers of classes are read by their names, from Arrow and from Parquet.
    kinds = hub["train"].select(range(9)).select_columns(["image"])
    kinds = kinds.add_column("kind", [number % 3 for number in range(9)]).cast_column(
        "kind", datasets.ClassLabel(names=["young", "old", "ancient"]))
    kinds.save_to_disk(str(FOLDER / "kinds-arrow"))
    (FOLDER / "kinds-parquet").mkdir()
    kinds.to_parquet(str(FOLDER / "kinds-parquet" / "kinds.parquet"))
    for form in ["kinds-arrow", "kinds-parquet"]:
        read = json.loads(visage("data", "inspect", FOLDER / form, "--one-hot", "kind", "--json"))
        found = {attribute["name"]: attribute["present"] for attribute in read["attributes"]}
        assert found == {"kind=young": 3, "kind=old": 3, "kind=ancient": 3}, (form, found)

    found = {}
    for shard in sorted((FOLDER / "shards").iterdir()):
        for sample in webdataset.WebDataset(str(shard), shardshuffle=False):
            labels = json.loads(sample["json"])
            Image.open(io.BytesIO(sample["jpg"])).load()
            found[sample["jpg"]] = (shard.name.split("-")[0], {name: labels[name] for name in attributes})
    assert found == expected
    print(f"{IMAGES} images are equal in CelebA's layout, CSV in zip, Parquet and WebDataset")


main()
