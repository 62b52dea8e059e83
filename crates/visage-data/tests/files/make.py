"""Makes the files in this folder: images, tables and archives written by other programs, and the results of reading them.

    python3 -m venv venv && venv/bin/pip install pillow numpy pandas pyarrow datasets opencv-python-headless albumentations==1.4.24
    venv/bin/python make.py

The pictures are computed from formulas. This is run manually.
"""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import numpy as np
import pandas as pd
import pyarrow as pa
import datasets as hf
import pyarrow.parquet as pq
from PIL import Image, ImageFile, ImageOps

HERE = Path(__file__).parent
IMAGES = HERE / "images"
DATASETS = HERE / "datasets"
AUGMENTED = HERE / "augmented"
W, H = 53, 41


def picture(seed=0, width=W, height=H):
    """Gradients and a disc: smooth, with edges, in colour."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    red = 128 + 100 * np.sin((x + 3 * seed) / 9) * np.cos(y / 11)
    green = 255 * x / width
    blue = 255 * (1 - y / height)
    disc = (x - width * 0.4) ** 2 + (y - height * 0.55) ** 2 < (height * (0.2 + 0.02 * (seed % 5))) ** 2
    rgb = np.stack([red, green, blue], 2)
    rgb[disc] = [230, 60 + 10 * (seed % 7), 40]
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


def expect(name, image):
    """Writes the pixels that Pillow reads, as a plain PNG."""
    image.save(IMAGES / "expected" / (Path(name).name + ".png"))


def save(name, image, **options):
    path = IMAGES / name
    image.save(path, **options)
    read = Image.open(path)
    read.seek(0)
    expect(name, ImageOps.exif_transpose(read).convert("RGB"))


def images():
    (IMAGES / "expected").mkdir(parents=True, exist_ok=True)
    rgb = picture()
    grey = rgb.convert("L")
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray((np.indices((H, W)).sum(0) * 2 % 256).astype(np.uint8)))
    save("baseline444.jpg", rgb, quality=92, subsampling=0)
    save("baseline420.jpg", rgb, quality=90, subsampling=2)
    save("baseline422.jpg", rgb, quality=90, subsampling=1)
    save("progressive.jpg", rgb, quality=90, progressive=True, subsampling=2)
    save("restart.jpg", rgb, quality=90, subsampling=2, restart_marker_rows=1)
    save("grey.jpg", grey, quality=90)
    save("cmyk.jpg", rgb.convert("CMYK"), quality=95)
    save("rgb.png", rgb)
    save("grey.png", grey)
    save("palette.png", rgb.quantize(32))
    save("palette_transparent.png", rgb.quantize(32), transparency=3)
    save("alpha.png", alpha)
    save("grey_alpha.png", alpha.convert("LA"))
    save("one_bit.png", grey.convert("1"))
    # Pillow's `convert("RGB")` turns all but the darkest of 16-bit greys white; scaled, its pixels are the picture.
    Image.fromarray((np.asarray(grey).astype(np.uint16) * 257 + 3).clip(0, 65535)).save(IMAGES / "grey16.png")
    deep = np.asarray(Image.open(IMAGES / "grey16.png")).astype(float)
    expect("grey16.png", Image.fromarray((deep / 257).round().astype(np.uint8)).convert("RGB"))
    save("lossless.webp", rgb, lossless=True)
    save("lossy.webp", rgb, quality=85)
    save("alpha.webp", alpha, lossless=True)
    save("rgb.bmp", rgb)
    save("palette.bmp", rgb.quantize(32))
    save("still.gif", rgb.quantize(64))
    frames = [picture(seed).quantize(32) for seed in range(3)]
    save("moving.gif", frames[0], save_all=True, append_images=frames[1:], duration=50)
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"oriented{orientation}.jpg", rgb, quality=92, subsampling=0, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("oriented6.png", rgb, exif=exif)
    save("oriented6.webp", rgb, lossless=True, exif=exif)
    # A 16-bit colour PNG, which Pillow reads but cannot write.
    import cv2

    deep = (np.asarray(rgb).astype(np.uint16) * 257)[:, :, ::-1]
    cv2.imwrite(str(IMAGES / "rgb16.png"), deep)
    expect("rgb16.png", Image.open(IMAGES / "rgb16.png").convert("RGB"))


def tiffs():
    """TIFF files. Pillow's `load` turns an image upright itself."""
    rgb = picture()
    grey = rgb.convert("L")
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray((np.indices((H, W)).sum(0) * 2 % 256).astype(np.uint8)))
    save("rgb.tif", rgb)
    save("lzw.tif", rgb, compression="tiff_lzw", tiffinfo={317: 2})
    save("deflate.tif", rgb, compression="tiff_adobe_deflate")
    save("packbits.tif", rgb, compression="packbits")
    save("jpeg.tif", rgb, compression="jpeg", quality=95)
    save("grey.tiff", grey)
    save("grey_alpha.tif", alpha.convert("LA"))
    save("alpha.tif", alpha)
    save("palette.tif", rgb.quantize(32))
    save("one_bit.tif", grey.convert("1"))
    save("oriented6.tif", rgb, tiffinfo={274: 6})
    # As for PNG: scaled, not cut off.
    deep = (np.asarray(grey).astype(np.uint16) * 257 + 3).clip(0, 65535)
    for name, order in [("grey16.tif", "<u2"), ("grey16_big_endian.tif", ">u2")]:
        mode = "I;16" if order == "<u2" else "I;16B"
        Image.frombytes(mode, (W, H), deep.astype(order).tobytes()).save(IMAGES / name)
        expect(name, Image.fromarray((deep / 257).round().astype(np.uint8)).convert("RGB"))


def truncated():
    """Files cut short, as Pillow reads them when it is told to."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    still = picture(1, 96, 80)
    for name, options in [
        ("truncated.jpg", {"quality": 90, "subsampling": 2}),
        ("truncated_progressive.jpg", {"quality": 90, "subsampling": 2, "progressive": True}),
        ("truncated.png", {}),
        ("truncated.gif", {}),
        ("truncated.bmp", {}),
    ]:
        whole = io.BytesIO()
        format = {"jpg": "JPEG"}.get(name.split(".")[1], name.split(".")[1].upper())
        (still.quantize(64) if format == "GIF" else still).save(whole, format, **options)
        data = whole.getvalue()[: len(whole.getvalue()) * 6 // 10]
        (IMAGES / name).write_bytes(data)
        expect(name, Image.open(io.BytesIO(data)).convert("RGB"))
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def jpeg(seed):
    out = io.BytesIO()
    picture(seed, 26, 31).save(out, "JPEG", quality=85)
    return out.getvalue()


def table():
    """Six images, two attributes, three splits, four people."""
    return pd.DataFrame(
        {
            "image_id": [f"{n:06}.jpg" for n in range(1, 7)],
            "Male": [-1, 1, -1, 1, -1, 1],
            "Smiling": [1, 1, -1, -1, 1, -1],
        }
    ), pd.DataFrame({"image_id": [f"{n:06}.jpg" for n in range(1, 7)], "partition": [0, 0, 0, 1, 2, 0]})


def datasets():
    DATASETS.mkdir(exist_ok=True)
    labels, partition = table()
    both = labels.merge(partition)
    bools = both.assign(Male=both.Male > 0, Smiling=both.Smiling > 0)
    pictures = {f"{n:06}.jpg": jpeg(n) for n in range(1, 7)}

    # Kaggle's download: comma-separated tables and a doubled folder, all in one archive.
    with zipfile.ZipFile(DATASETS / "kaggle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("list_attr_celeba.csv", labels.to_csv(index=False))
        archive.writestr("list_eval_partition.csv", partition.to_csv(index=False))
        landmarks = pd.DataFrame({"image_id": labels.image_id, **{k: range(10, 16) for k in
            ["lefteye_x", "lefteye_y", "righteye_x", "righteye_y", "nose_x", "nose_y",
             "leftmouth_x", "leftmouth_y", "rightmouth_x", "rightmouth_y"]}})
        archive.writestr("list_landmarks_align_celeba.csv", landmarks.to_csv(index=False))
        boxes = pd.DataFrame({"image_id": labels.image_id, "x_1": 95, "y_1": 71, "width": 226, "height": 313})
        archive.writestr("list_bbox_celeba.csv", boxes.to_csv(index=False))
        for name, data in pictures.items():
            archive.writestr(f"img_align_celeba/img_align_celeba/{name}", data)

    # The archive of images inside another archive, once stored and once compressed.
    def text(frame, header):
        rows = [" ".join(map(str, row)) for row in frame.itertuples(index=False)]
        return "\n".join(header + rows) + "\n"

    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for name, data in pictures.items():
            archive.writestr(f"img_align_celeba/{name}", data)
    for method, name in [(zipfile.ZIP_STORED, "nested_stored.zip"), (zipfile.ZIP_DEFLATED, "nested_deflated.zip")]:
        with zipfile.ZipFile(DATASETS / name, "w", method) as archive:
            archive.writestr("CelebA/Anno/list_attr_celeba.txt", text(labels, ["6", "Male Smiling"]))
            archive.writestr("CelebA/Eval/list_eval_partition.txt", text(partition, []))
            archive.writestr("CelebA/Img/img_align_celeba.zip", inner.getvalue())

    both.to_csv(DATASETS / "labels.tsv", sep="\t", index=False)
    bools.to_json(DATASETS / "labels.jsonl", orient="records", lines=True)
    with tarfile.open(DATASETS / "pictures.tar", "w") as archive:
        for name, data in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    # Hugging Face: the bytes of the images in a column of structs, splits by file name.
    hub = DATASETS / "hub" / "data"
    hub.mkdir(parents=True, exist_ok=True)
    for split, number in [("train", 0), ("valid", 1), ("test", 2)]:
        rows = bools[both.partition == number]
        columns = {
            "image": pa.array([{"bytes": pictures[name], "path": name} for name in rows.image_id],
                              pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "celeb_id": pa.array([n + 7 for n in rows.index], pa.int64()),
            "Male": pa.array(rows.Male),
            "Smiling": pa.array(rows.Smiling),
        }
        compression = {"train": "snappy", "valid": "none", "test": "gzip"}[split]
        pq.write_table(pa.table(columns), hub / f"{split}-00000-of-00001.parquet", compression=compression,
                       row_group_size=3)
        if split == "valid":
            pq.write_table(pa.table(columns), DATASETS / "zstd.parquet", compression="zstd")
    # And as pandas writes a plain table.
    both.to_parquet(DATASETS / "labels.parquet")
    # As `datasets` saves them to disk.
    names = [f"{number:06}.jpg" for number in (1, 2, 3)]
    features = hf.Features({
        "image": hf.Image(), "face": hf.ClassLabel(names=["no", "yes"]), "kind": hf.ClassLabel(names=["young", "old", "ancient"]),
        "labels": hf.Sequence(hf.ClassLabel(names=["cat", "hat", "dog"])), "score": hf.Sequence(hf.Value("float32"))})
    rows = {"image": [{"bytes": pictures[name], "path": name} for name in names], "face": [1, 0, 1], "kind": [1, 0, 2],
            "labels": [[1], [1, 2], []], "score": [[0.5], [0.25], []]}
    hf.DatasetDict({
        "train": hf.Dataset.from_dict({name: values[:2] for name, values in rows.items()}, features=features),
        "validation": hf.Dataset.from_dict({name: values[2:] for name, values in rows.items()}, features=features),
    }).save_to_disk(DATASETS / "saved")
    # Labels, categories and lists as text.
    columns = {"image": ["a.jpg", "b.jpg"], "S": ["yes", "no"], "B": ["0", "1"], "city": ["Ulm", "Bonn"], "tags": [["x", "y"], []]}
    pq.write_table(pa.table(columns, schema=pa.schema([(name, pa.string()) for name in ["image", "S", "B", "city"]]
                                                      + [("tags", pa.list_(pa.string()))])), DATASETS / "text_labels.parquet")

    # WebDataset: a tar file a split, an image and a JSON file a sample.
    shards = DATASETS / "shards"
    shards.mkdir(exist_ok=True)
    for split, number in [("train", 0), ("val", 1), ("test", 2)]:
        with tarfile.open(shards / f"{split}-{0:06}.tar", "w") as archive:
            for row in bools[both.partition == number].itertuples():
                key = row.image_id[:-4]
                about = json.dumps({"Male": row.Male, "Smiling": row.Smiling, "identity": f"p{row.Index}"}).encode()
                for extension, data in [("jpg", pictures[row.image_id]), ("json", about)]:
                    member = tarfile.TarInfo(f"{key}.{extension}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    for name, data in pictures.items():
        (DATASETS / "pictures").mkdir(exist_ok=True)
        (DATASETS / "pictures" / name).write_bytes(data)


def augmented():
    """What albumentations makes of the picture with parameters given, not drawn."""
    import albumentations as A
    import cv2

    AUGMENTED.mkdir(exist_ok=True)
    rgb = np.asarray(picture(2, 64, 48))
    Image.fromarray(rgb).save(AUGMENTED / "input.png")

    def write(name, array):
        Image.fromarray(array).save(AUGMENTED / f"{name}.png")

    crop = A.RandomResizedCrop(size=(48, 64), p=1)
    write("crop", crop.apply(rgb, crop_coords=(13, 7, 53, 40)))
    brightness = A.RandomBrightnessContrast(brightness_limit=(-0.11, -0.11), contrast_limit=(0.17, 0.17), p=1)
    write("brightness", brightness(image=rgb)["image"])
    for size in (3, 5, 7):
        write(f"blur{size}", A.Blur(p=1).apply(rgb, kernel=size))
    for number, (dx, dy, scale, angle) in enumerate([(0.05, -0.03, 1.08, 17.0), (-0.06, 0.02, 0.93, -40.0), (0.0625, 0.0, 1.0, 0.0)]):
        # `shift_scale_rotate` of albumentations up to 1.4.18, in which the shift is a part of the picture's own size.
        height, width = rgb.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, scale)
        matrix[:, 2] += dx * width, dy * height
        write(f"affine{number}", cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_LINEAR,
                                                borderMode=cv2.BORDER_REFLECT_101))


if __name__ == "__main__":
    images()
    tiffs()
    truncated()
    datasets()
    augmented()
