//! The formats of datasets: files written by other programs (`tests/files/make.py`), and CelebA's tables with the quirks of its
//! many copies.

use std::fs;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use visage_data::Label::{Absent, Present};
use visage_data::{DataError, Dataset, Split};

use crate::fixtures::{
    CELEBA_IDENTITIES, CELEBA_LABELS, CELEBA_SPLITS, Entry, archive, celeba_images, celeba_tables, encoded, folder,
    text, write_archive,
};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/datasets");

fn made(name: &str) -> PathBuf {
    Path::new(FILES).join(name)
}

/// Checks that any format of the six pictures has the same content.
pub fn check_six(dataset: &Dataset) {
    assert_eq!(dataset.attributes(), ["Male", "Smiling"]);
    let splits = Split::ALL.map(|split| dataset.indices(split).len());
    assert_eq!(splits, [4, 1, 1]);
    for number in 1..=6 {
        let stem = format!("{number:06}");
        let index = dataset.samples().iter().position(|sample| sample.image.contains(&stem)).unwrap();
        let sample = &dataset.samples()[index];
        let male = if number % 2 == 0 { Present } else { Absent };
        let smiling = if [1, 2, 5].contains(&number) { Present } else { Absent };
        assert_eq!(&*sample.labels, [male, smiling], "{stem}");
        let split =
            [Split::Train, Split::Train, Split::Train, Split::Validation, Split::Test, Split::Train][number - 1];
        assert_eq!(sample.split, Some(split), "{stem}");
        let bytes = dataset.encoded_image(index).unwrap();
        assert_eq!(bytes, fs::read(made(&format!("pictures/{stem}.jpg"))).unwrap(), "{stem}");
    }
}

#[test]
fn kaggles_archive_opens_as_it_was_downloaded() {
    let dataset = Dataset::open(&made("kaggle.zip")).unwrap();
    assert_eq!(dataset.form(), "CelebA");
    check_six(&dataset);
    let sample = &dataset.samples()[2];
    assert_eq!(sample.landmarks, Some([[12.0; 2]; 5]));
    assert_eq!(sample.face_box, Some([95.0, 71.0, 226.0, 313.0]));
    let everything: Vec<usize> = (0..6).collect();
    assert!(dataset.missing_images(&everything).is_empty());
}

#[test]
fn an_archive_inside_an_archive_opens_stored_or_compressed() {
    for name in ["nested_stored.zip", "nested_deflated.zip"] {
        check_six(&Dataset::open(&made(name)).unwrap());
    }
}

#[test]
fn tables_of_pandas_open_with_images_in_a_tar_or_a_folder() {
    for name in ["labels.tsv", "labels.jsonl"] {
        // The tar archive and the folder of the pictures are beside them.
        check_six(&Dataset::open(&made(name)).unwrap());
        for pictures in ["pictures", "pictures.tar"] {
            let home = tempfile::tempdir().unwrap();
            fs::copy(made(name), home.path().join(name)).unwrap();
            let place = home.path().join(pictures);
            if pictures == "pictures" {
                fs::create_dir(&place).unwrap();
                for entry in fs::read_dir(made(pictures)).unwrap() {
                    let entry = entry.unwrap();
                    fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
                }
            } else {
                fs::copy(made(pictures), &place).unwrap();
            }
            check_six(&Dataset::open(home.path()).unwrap());
        }
    }
}

#[test]
fn parquet_opens_with_images_in_a_column_or_beside_it() {
    // Hugging Face's: snappy, plain and gzip, splits by file name.
    let dataset = Dataset::open(&made("hub")).unwrap();
    assert_eq!(dataset.form(), "Parquet");
    check_six(&dataset);
    let first = dataset.samples().iter().find(|sample| sample.image == "000001.jpg").unwrap();
    assert_eq!(first.identity.as_deref(), Some("7"));
    let one = Dataset::open(&made("hub/data/valid-00000-of-00001.parquet")).unwrap();
    assert_eq!((one.samples().len(), one.samples()[0].split), (1, Some(Split::Validation)));
    let zstd = Dataset::open(&made("zstd.parquet"));
    if cfg!(feature = "zstd") {
        assert_eq!(zstd.unwrap().encoded_image(0).unwrap(), one.encoded_image(0).unwrap());
    } else {
        assert!(zstd.unwrap_err().to_string().contains("--features zstd"));
    }
    // pandas'.
    check_six(&Dataset::open(&made("labels.parquet")).unwrap());
    let home = tempfile::tempdir().unwrap();
    let whole = fs::read(made("labels.parquet")).unwrap();
    fs::write(home.path().join("labels.parquet"), &whole[..whole.len() - 9]).unwrap();
    assert!(matches!(Dataset::open(home.path()), Err(DataError::Parquet { .. })));
}

#[test]
fn webdataset_shards_open_as_a_folder_and_alone() {
    let dataset = Dataset::open(&made("shards")).unwrap();
    assert_eq!(dataset.form(), "WebDataset");
    check_six(&dataset);
    let first = dataset.samples().iter().find(|sample| sample.image == "000001.jpg").unwrap();
    assert_eq!(first.identity.as_deref(), Some("p0"));
    let one = Dataset::open(&made("shards/val-000000.tar")).unwrap();
    assert_eq!((one.samples().len(), one.samples()[0].split), (1, Some(Split::Validation)));
}

#[test]
fn images_are_found_by_absolute_path_and_through_archives() {
    let home = tempfile::tempdir().unwrap();
    fs::copy(made("pictures.tar"), home.path().join("a.tar")).unwrap();
    let pictures: Vec<Entry> =
        (1..=6).map(|n| (format!("{n:06}.jpg"), fs::read(made(&format!("pictures/{n:06}.jpg"))).unwrap())).collect();
    write_archive(&home.path().join("b.zip"), &pictures);
    let absolute = made("pictures");
    let absolute = absolute.to_str().unwrap();
    for places in [[absolute, absolute], ["a.tar", "b.zip"]] {
        let mut table = "image,split,Male,Smiling\n".to_owned();
        for number in 1..=6 {
            let split = ["train", "train", "train", "val", "test", "train"][number - 1];
            let smiling = u8::from([1, 2, 5].contains(&number));
            let male = u8::from(number % 2 == 0);
            table += &format!("{}/{number:06}.jpg,{split},{male},{smiling}\n", places[number % 2]);
        }
        fs::write(home.path().join("labels.csv"), table).unwrap();
        check_six(&Dataset::open(home.path()).unwrap());
    }
}

#[test]
fn several_tables_are_parts_of_one() {
    let rows = |first: usize, columns: &str| {
        let row = |number: usize| {
            let (male, smiling) = (u8::from(number.is_multiple_of(2)), u8::from([1, 2, 5].contains(&number)));
            let row = if columns.starts_with("image,Male") { [male, smiling] } else { [smiling, male] };
            format!("{number:06}.jpg,{},{}\n", row[0], row[1])
        };
        format!("{columns}\n{}", row(first))
    };
    let pictures = |prefix: &str, numbers: &[usize]| -> Vec<Entry> {
        let picture =
            |n: &usize| (format!("{prefix}{n:06}.jpg"), fs::read(made(&format!("pictures/{n:06}.jpg"))).unwrap());
        numbers.iter().map(picture).collect()
    };
    let train = [1, 2, 3, 6].iter().fold("image,Male,Smiling\n".to_owned(), |table, &n| {
        table + rows(n, "image,Male,Smiling").split_once('\n').unwrap().1
    });
    let (val, test) = (rows(4, "image,Smiling,Male"), rows(5, "image,Male,Smiling"));
    let together = [
        vec![text("train.csv", &train), text("val.csv", &val), text("test.csv", &test)],
        pictures("pics/", &[1, 2, 3, 4, 5, 6]),
    ]
    .concat();
    let apart = [
        vec![text("train/meta.csv", &train), text("valid/meta.csv", &val), text("test/meta.csv", &test)],
        pictures("train/", &[1, 2, 3, 6]),
        pictures("valid/", &[4]),
        pictures("test/", &[5]),
    ]
    .concat();
    for entries in [together, apart] {
        for (_home, path) in [folder(&entries), archive(&entries)] {
            check_six(&Dataset::open(&path).unwrap());
        }
    }
    let (_home, path) =
        folder(&[text("a.csv", "image,Male\na.jpg,1\n"), text("b.csv", "image,Male\nb.jpg,1\na.jpg,0\n")]);
    let message = Dataset::open(&path).unwrap_err().to_string();
    assert!(message.contains("b.csv, line 3") && message.contains("a.csv, line 2"), "{message}");
}

/// Checks any layout of the five images of [`celeba_tables`].
fn check_five(path: &Path) -> Dataset {
    let dataset = Dataset::open(path).unwrap();
    assert_eq!(dataset.attributes(), ["Male", "Smiling"]);
    assert_eq!(Split::ALL.map(|split| dataset.indices(split).len()), [3, 1, 1]);
    let males: Vec<_> = dataset.samples().iter().map(|sample| sample.labels[0]).collect();
    assert_eq!(males, [Absent, Present, Absent, Present, Absent]);
    assert_eq!(dataset.samples()[4].identity.as_deref(), Some("2880"));
    for index in 0..5 {
        assert_eq!(dataset.encoded_image(index).unwrap(), encoded(index + 1, ImageFormat::Jpeg));
    }
    dataset
}

#[test]
fn celeba_is_found_in_any_folders() {
    let flat = |(name, content): Entry| (name.rsplit('/').next().unwrap().to_owned(), content);
    let tables: Vec<Entry> = celeba_tables().into_iter().map(flat).collect();
    for images in ["img_align_celeba/", "img_align_celeba/img_align_celeba/", "", "celeba/img_align_celeba/"] {
        for root in ["", "data/celeba/"] {
            let entries: Vec<Entry> = [tables.clone(), celeba_images(images)]
                .concat()
                .into_iter()
                .map(|(name, content)| (format!("{root}{name}"), content))
                .collect();
            let (_home, path) = folder(&entries);
            check_five(&path);
            let (_home, path) = archive(&entries);
            check_five(&path);
        }
    }
    // A folder with one archive that holds everything.
    let (home, _) = archive(&[tables.clone(), celeba_images("img_align_celeba/")].concat());
    check_five(home.path());
    // Aligned pictures as PNG, under the names of the tables.
    let pngs: Vec<Entry> =
        (1..=5).map(|n| (format!("img_align_celeba_png/{n:06}.png"), encoded(n, ImageFormat::Png))).collect();
    let (_home, path) = folder(&[tables, pngs].concat());
    let dataset = Dataset::open(&path).unwrap();
    assert_eq!(dataset.encoded_image(3).unwrap(), encoded(4, ImageFormat::Png));
}

#[test]
fn celebas_tables_are_read_with_the_quirks_of_the_wild() {
    type Quirk = fn(&str, String) -> String;
    let quirks: [(&str, Quirk); 9] = [
        ("Windows line ends", |_, table| table.replace('\n', "\r\n")),
        ("a byte order mark", |_, table| format!("\u{feff}{table}")),
        ("trailing blanks", |_, table| table.replace('\n', "  \n") + "\n \n"),
        (
            "a count that disagrees",
            |name, table| {
                if name == CELEBA_LABELS { table.replacen('5', "202599", 1) } else { table }
            },
        ),
        ("no count", |name, table| if name == CELEBA_LABELS { table.replacen("5\n", "", 1) } else { table }),
        ("an extra header column", |_, table| table.replace("Male Smiling", "image_id Male Smiling")),
        ("tabs", |_, table| table.replace(' ', "\t")),
        ("0 and 1", |_, table| table.replace("-1", "0")),
        ("words", |name, table| {
            if name != CELEBA_LABELS {
                return table;
            }
            let (head, rows) = table.split_at(table.find("000001").unwrap());
            format!("{head}{}", rows.replace("-1", "False").replace(" 1", " yes"))
        }),
    ];
    for (what, quirk) in quirks {
        let mut entries = celeba_tables();
        for (name, content) in &mut entries {
            *content = quirk(name, String::from_utf8(content.clone()).unwrap()).into_bytes();
        }
        let (_home, path) = folder(&[entries, celeba_images("Img/img_align_celeba/")].concat());
        let dataset = std::panic::catch_unwind(|| check_five(&path)).unwrap_or_else(|_| panic!("{what}"));
        assert_eq!(
            dataset.notes().len(),
            usize::from(what == "a count that disagrees"),
            "{what}: {:?}",
            dataset.notes()
        );
    }
    // The other tables of Kaggle have headers and commas.
    let (_home, path) = folder(
        &[
            vec![
                celeba_tables()[0].clone(),
                text(CELEBA_SPLITS, &format!("image_id,partition\n{}", text_of(1).replace(' ', ","))),
                text(CELEBA_IDENTITIES, &format!("5\nimage identity\n{}", text_of(2))),
            ],
            celeba_images("Img/img_align_celeba/"),
        ]
        .concat(),
    );
    check_five(&path);
}

fn text_of(table: usize) -> String {
    String::from_utf8(celeba_tables()[table].1.clone()).unwrap()
}

#[test]
fn a_failed_download_is_recognised() {
    let page = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>".to_vec();
    let mut entries = celeba_tables();
    entries.push(("Img/img_align_celeba.zip".to_owned(), page.clone()));
    let (_home, path) = folder(&entries);
    let error = Dataset::open(&path).unwrap_err();
    assert!(matches!(&error, DataError::WebPage { path } if path.ends_with("Img/img_align_celeba.zip")), "{error}");
    assert!(error.to_string().contains("is a web page: the download failed"), "{error}");

    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("celeba.zip"), &page).unwrap();
    assert!(matches!(Dataset::open(&home.path().join("celeba.zip")), Err(DataError::WebPage { .. })));
    let (_home, path) = folder(&[(CELEBA_LABELS.to_owned(), page)]);
    assert!(matches!(Dataset::open(&path), Err(DataError::WebPage { .. })));
}

#[test]
fn missing_images_of_a_copy_are_counted() {
    let mut entries = [celeba_tables(), celeba_images("Img/img_align_celeba/")].concat();
    entries.retain(|(name, _)| !name.ends_with("000004.jpg") && !name.ends_with("000002.jpg"));
    for (_home, path) in [folder(&entries), archive(&entries)] {
        let dataset = Dataset::open(&path).unwrap();
        let everything: Vec<usize> = (0..5).collect();
        assert_eq!(dataset.missing_images(&everything), [1, 3]);
        let message = dataset.require_images(&everything).unwrap_err().to_string();
        for part in ["2 of 5 images", "`000002.jpg`", "Img/img_align_celeba/000002.jpg", "finish the download"] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
    // The error of a truncated archive states how many files are complete.
    let (home, path) = archive(&celeba_images("img_align_celeba/"));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() * 3 / 5]).unwrap();
    let message = Dataset::open(&path).unwrap_err().to_string();
    assert!(
        message.contains("begins with 2 whole files") || message.contains("begins with 3 whole files"),
        "{message}"
    );
    drop(home);
}

#[test]
fn arrow_files_of_datasets_open_with_the_feature() {
    // The names of the classes of `kind` are in the schema; `face` has two, and stays a label.
    let opened = Dataset::open(&made("saved"));
    if cfg!(not(feature = "arrow")) {
        assert!(opened.unwrap_err().to_string().contains("--features arrow"));
        return;
    }
    let dataset = opened.unwrap();
    assert_eq!((dataset.form(), dataset.attributes()), ("Arrow", &["face".to_owned(), "dog".into(), "hat".into()][..]));
    assert_eq!(dataset.categories(), ["kind"]);
    let rows: Vec<_> =
        dataset.samples().iter().map(|s| (s.split, s.labels.to_vec(), s.categories[0].as_deref())).collect();
    let (train, validation) = (Some(Split::Train), Some(Split::Validation));
    assert_eq!(
        rows,
        [
            (train, vec![Present, Absent, Present], Some("old")),
            (train, vec![Absent, Present, Present], Some("young")),
            (validation, vec![Present, Absent, Absent], Some("ancient")),
        ]
    );
    for (index, number) in [1, 2, 3].into_iter().enumerate() {
        let bytes = dataset.encoded_image(index).unwrap();
        assert_eq!(bytes, fs::read(made(&format!("pictures/{number:06}.jpg"))).unwrap());
    }
}
