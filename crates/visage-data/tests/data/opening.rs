//! Opening datasets and refusing faulty ones.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use image::ImageFormat;
use visage_data::Label::{Absent, Present, Unknown};
use visage_data::{DataError, Dataset, Split, Statistics, TableFault, TableOptions};

use crate::fixtures::{
    CELEBA_IDENTITIES, CELEBA_LABELS, CELEBA_SPLITS, Entry, archive, celeba_images, celeba_tables, encoded, folder,
    table_with_images, text, write_archive,
};

/// Checks that any layout of the same CelebA has the same content.
fn check_celeba(path: &Path) -> Dataset {
    let dataset = Dataset::open(path).unwrap();
    assert_eq!(dataset.name(), "faces");
    assert_eq!(dataset.attributes(), ["Male", "Smiling"]);
    let first = &dataset.samples()[0];
    assert_eq!(
        (first.image.as_str(), first.split, &*first.labels),
        ("000001.jpg", Some(Split::Train), &[Absent, Present][..])
    );
    assert_eq!(first.identity.as_deref(), Some("2880"));
    assert_eq!(dataset.indices(Split::Train), [0, 1, 4]);
    assert_eq!(dataset.indices(Split::Validation), [2]);
    assert_eq!(dataset.indices(Split::Test), [3]);
    dataset
}

fn check_celeba_images(dataset: &Dataset) {
    for index in 0..5 {
        assert_eq!(dataset.encoded_image(index).unwrap(), encoded(index + 1, ImageFormat::Jpeg));
    }
}

#[test]
fn celeba_opens_from_a_folder_with_images_in_a_folder_or_an_archive() {
    let entries = [celeba_tables(), celeba_images("Img/img_align_celeba/")].concat();
    let (_home, path) = folder(&entries);
    check_celeba_images(&check_celeba(&path));

    for prefix in ["img_align_celeba/", ""] {
        let (_home, path) = folder(&celeba_tables());
        fs::create_dir(path.join("Img")).unwrap();
        write_archive(&path.join("Img/img_align_celeba.zip"), &celeba_images(prefix));
        check_celeba_images(&check_celeba(&path));
    }
}

#[test]
fn celeba_opens_from_an_archive_of_its_contents_or_of_its_folder() {
    for root in ["", "celeba/"] {
        let mut entries = [celeba_tables(), celeba_images("Img/img_align_celeba/")].concat();
        for (name, _) in &mut entries {
            name.insert_str(0, root);
        }
        let (_home, path) = archive(&entries);
        check_celeba_images(&check_celeba(&path));
    }
}

#[test]
fn annotations_open_without_images_and_a_missing_image_is_named_when_read() {
    for (_home, path) in [archive(&celeba_tables()), folder(&celeba_tables())] {
        let error = check_celeba(&path).encoded_image(2).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("`000003.jpg` of dataset `faces`"), "{message}");
        assert!(message.contains("Img/img_align_celeba/000003.jpg"), "{message}");
        assert!(error.source().is_some());
    }
}

#[test]
fn celeba_tolerates_byte_order_marks_carriage_returns_and_blank_ends() {
    let mut entries = celeba_tables();
    for (_, content) in &mut entries {
        let windows = String::from_utf8_lossy(content).replace('\n', " \r\n");
        *content = format!("\u{feff}{windows}\r\n \r\n").into_bytes();
    }
    let (_home, path) = folder(&entries);
    check_celeba(&path);
}

#[test]
fn celeba_opens_without_splits_and_identities() {
    let (_home, path) = folder(&celeba_tables()[..1]);
    let dataset = Dataset::open(&path).unwrap();
    assert!(!dataset.has_splits());
    assert!(Split::ALL.iter().all(|&split| dataset.indices(split).is_empty()));
    assert!(dataset.samples().iter().all(|sample| sample.identity.is_none()));
}

/// Opens CelebA's tables with one of them replaced, and returns the file's name, the line and the fault.
fn celeba_fault(name: &str, content: &str) -> (String, u64, TableFault) {
    let mut entries = celeba_tables();
    entries.iter_mut().find(|entry| entry.0 == name).unwrap().1 = content.as_bytes().to_vec();
    let (_home, path) = folder(&entries);
    fault(Dataset::open(&path).unwrap_err(), &path)
}

fn fault(error: DataError, root: &Path) -> (String, u64, TableFault) {
    let message = error.to_string();
    let DataError::Table { file, line, fault } = error else { panic!("{message}") };
    assert!(message.starts_with(&format!("{file}, line {line}: ")), "{message}");
    let name = Path::new(&file).strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    (name, line, fault)
}

#[test]
fn faults_in_celebas_labels_are_located() {
    let table = |rows: &str| celeba_fault(CELEBA_LABELS, rows);
    let at = |line, fault| (CELEBA_LABELS.to_owned(), line, fault);
    assert_eq!(table(""), at(1, TableFault::Ended { expected: "the number of images" }));
    assert_eq!(table("5"), at(1, TableFault::Ended { expected: "the attribute names" }));
    assert_eq!(table("1\nMale\n"), at(3, TableFault::Ended { expected: "a row for each image" }));
    assert_eq!(table("1\nMale Male\na.jpg 1 1\n"), at(2, TableFault::RepeatedColumn { column: "Male".into() }));
    assert_eq!(
        table("2\nMale Young\na.jpg 1 1\n\nb.jpg 1 2\n"),
        at(5, TableFault::Label { column: "Young".into(), value: "2".into() })
    );
    for (row, found) in [("b.jpg 1", 2), ("b.jpg", 1), ("b.jpg 1 1 1", 4)] {
        let rows = format!("2\nMale Young\na.jpg 1 1\n{row}\n");
        assert_eq!(table(&rows), at(4, TableFault::FieldCount { found, expected: 3 }));
    }
    assert_eq!(
        table("3\nMale\na.jpg 1\nb.jpg 1\na.jpg 1\n"),
        at(5, TableFault::RepeatedImage { image: "a.jpg".into(), first_line: 3 })
    );
}

#[test]
fn a_split_file_that_disagrees_with_the_labels_is_located() {
    let table = |rows: &str| celeba_fault(CELEBA_SPLITS, rows);
    let at = |line, fault| (CELEBA_SPLITS.to_owned(), line, fault);
    assert!(matches!(table("000001.jpg 3\n"), (_, 1, TableFault::Split(_))));
    assert_eq!(table("000001.jpg\n"), at(1, TableFault::FieldCount { found: 1, expected: 2 }));
    assert_eq!(table("000001.jpg 0 0\n"), at(1, TableFault::FieldCount { found: 3, expected: 2 }));
    let (file, line, fault) = table("000001.jpg 0\n000009.jpg 0\n");
    assert_eq!((file.as_str(), line), (CELEBA_SPLITS, 2));
    assert!(matches!(fault, TableFault::UnlabelledImage { image, .. } if image == "000009.jpg"));
    assert_eq!(
        table("000002.jpg 0\n000001.jpg 0\n000002.jpg 1\n"),
        at(3, TableFault::RepeatedImage { image: "000002.jpg".into(), first_line: 1 })
    );
    // The error names the row in the labels.
    let (file, line, fault) = table("000001.jpg 0\n000002.jpg 0\n000004.jpg 0\n");
    assert_eq!((file.as_str(), line), (CELEBA_LABELS, 5));
    assert!(matches!(fault, TableFault::MissingRow { image, missing: 2, .. } if image == "000003.jpg"));

    let (file, line, _) = celeba_fault(CELEBA_IDENTITIES, "000001.jpg 1\n000009.jpg 1\n");
    assert_eq!((file.as_str(), line), (CELEBA_IDENTITIES, 2));
}

#[test]
fn a_table_opens_from_its_file_its_folder_and_an_archive() {
    let entries = table_with_images(6);
    let (_home, in_folder) = folder(&entries);
    let (_home_of_archive, in_archive) = archive(&entries);
    let nested: Vec<Entry> = entries.iter().map(|(name, content)| (format!("set/{name}"), content.clone())).collect();
    let (_home_of_nested, in_nested_archive) = archive(&nested);

    let mut fingerprints = Vec::new();
    for (path, name) in [
        (in_folder.join("labels.csv"), "labels"),
        (in_folder.clone(), "faces"),
        (in_archive, "faces"),
        (in_nested_archive, "faces"),
    ] {
        let dataset = Dataset::open(&path).unwrap();
        assert_eq!(dataset.name(), name);
        assert_eq!(dataset.attributes(), ["Left", "Right"]);
        assert_eq!(dataset.indices(Split::Train), [0, 1, 2, 3, 4, 5]);
        assert_eq!(&*dataset.samples()[5].labels, [Present, Present]);
        for index in 0..6 {
            assert_eq!(dataset.encoded_image(index).unwrap(), encoded(index, ImageFormat::Png));
        }
        assert!(matches!(dataset.encoded_image(6), Err(DataError::NoSample { index: 6, samples: 6, .. })));
        fingerprints.push(dataset.fingerprint());
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1, "every form of a table has the same content");
}

fn open_table(content: &str) -> Result<Dataset, (u64, TableFault)> {
    let (_home, path) = folder(&[text("labels.csv", content)]);
    Dataset::open(&path).map_err(|error| {
        let (file, line, fault) = fault(error, &path);
        assert_eq!(file, "labels.csv");
        (line, fault)
    })
}

#[test]
fn columns_are_recognised_by_name() {
    let dataset = open_table(
        "\u{feff}Bald, partition ,image_id,identity,Hat\r\n1,0,a.jpg,p1,\r\n-1,2,\"b, c.jpg\",,1.0\r\n,,d.jpg,p2,-1\r\n\r\n  \r\n",
    )
    .unwrap();
    assert_eq!(dataset.attributes(), ["Bald", "Hat"]);
    let rows: Vec<_> = dataset
        .samples()
        .iter()
        .map(|sample| (sample.image.as_str(), sample.split, sample.identity.as_deref(), &*sample.labels))
        .collect();
    assert_eq!(
        rows,
        [
            ("a.jpg", Some(Split::Train), Some("p1"), &[Present, Unknown][..]),
            ("b, c.jpg", Some(Split::Test), None, &[Absent, Present][..]),
            ("d.jpg", None, Some("p2"), &[Unknown, Absent][..]),
        ]
    );

    let first_column = open_table("photo,Bald\na.jpg,0\n").unwrap();
    assert_eq!(first_column.samples()[0].image, "a.jpg");
    assert!(!first_column.has_splits());
}

#[test]
fn a_text_column_is_a_category_and_not_an_attribute() {
    let dataset =
        open_table("image,Bald,age_band,Hat,city\na.jpg,1,18-29,0,\nb.jpg,0,,1,\nc.jpg,0,30+,0,Ulm\n").unwrap();
    assert_eq!(
        (dataset.attributes(), dataset.categories()),
        (&["Bald", "Hat"].map(str::to_owned)[..], &["age_band", "city"].map(str::to_owned)[..])
    );
    let said: Vec<Vec<Option<&str>>> =
        dataset.samples().iter().map(|sample| sample.categories.iter().map(Option::as_deref).collect()).collect();
    assert_eq!(said, [[Some("18-29"), None], [None, None], [Some("30+"), Some("Ulm")]]);
    assert_eq!(&*dataset.samples()[2].labels, [Absent, Absent]);
    // Categories are not part of the fingerprint.
    let without = open_table("image,Bald,Hat\na.jpg,1,0\nb.jpg,0,1\nc.jpg,0,0\n").unwrap();
    assert_eq!(dataset.fingerprint(), without.fingerprint());
    assert!(matches!(open_table("image,city\na.jpg,Ulm\n"), Err((1, TableFault::NoAttributes { .. }))));
}

#[test]
fn faults_in_a_table_are_located() {
    let fault = |content: &str| open_table(content).unwrap_err();
    assert!(matches!(fault(""), (1, TableFault::Ended { .. })));
    assert!(matches!(fault("image,Bald\n"), (2, TableFault::Ended { .. })));
    assert!(matches!(fault("image,split\na.jpg,train\n"), (1, TableFault::NoAttributes { .. })));
    assert!(matches!(fault("image|Bald\na.jpg|1\n"), (1, TableFault::NoAttributes { .. })));
    assert_eq!(fault(",image,Bald\nx,a.jpg,1\n"), (1, TableFault::UnnamedColumn { number: 1 }));
    assert_eq!(fault("image,Bald,Bald\na.jpg,1,1\n"), (1, TableFault::RepeatedColumn { column: "Bald".into() }));
    assert_eq!(
        fault("image,Bald,Hat\na.jpg,1,0\nb.jpg,1,maybe\n"),
        (3, TableFault::Label { column: "Hat".into(), value: "maybe".into() })
    );
    assert_eq!(
        fault("image,Bald\na.jpg,-1\nb.jpg,1\nc.jpg,0\n"),
        (4, TableFault::MixedSpelling { column: "Bald".into(), value: "0", other: "-1", other_line: 2 })
    );
    for (row, found) in [("b.jpg", 1), ("b.jpg,1,1", 3)] {
        assert_eq!(
            fault(&format!("image,Bald\na.jpg,1\n\n{row}\n")),
            (4, TableFault::FieldCount { found, expected: 2 })
        );
    }
    // Lines are counted as in an editor, with any line ends and quoted line breaks.
    let count = TableFault::FieldCount { found: 1, expected: 2 };
    assert_eq!(fault("\r\nimage,Bald\r\na.jpg,1\r\n\r\n \r\nb.jpg\r\n"), (6, count.clone()));
    assert_eq!(fault("image,Bald\n\"a\nb.jpg\",1\nc.jpg\n"), (4, count));
    assert_eq!(
        fault("image,Bald\na.jpg,1\nb.jpg,1\na.jpg,1\n"),
        (4, TableFault::RepeatedImage { image: "a.jpg".into(), first_line: 2 })
    );
    assert_eq!(fault("image,Bald\n ,1\n"), (2, TableFault::BlankImage));
    assert!(matches!(fault("image,Bald,split\na.jpg,1,never\n"), (2, TableFault::Split(_))));

    let (_home, path) = folder(&[("labels.csv".to_owned(), b"image,Bald\n\xFF.jpg,1\n".to_vec())]);
    assert!(matches!(Dataset::open(&path), Err(DataError::Table { line: 2, fault: TableFault::NotUtf8, .. })));
}

#[test]
fn a_message_names_file_line_column_value_and_remedy() {
    let (_home, path) = archive(&[text("labels.csv", "image,Bald\na.jpg,perhaps\nb.jpg,1\n")]);
    let message = Dataset::open(&path).unwrap_err().to_string();
    for part in ["faces.zip/labels.csv, line 2", "`perhaps`", "`Bald`", "write 1 (true, yes) for present"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn no_table_and_several_tables_are_refused() {
    let image = [("a.png".to_owned(), encoded(0, ImageFormat::Png))];
    for (_home, path) in [folder(&image), archive(&image), archive(&[])] {
        assert!(matches!(Dataset::open(&path), Err(DataError::NoTable { .. })));
    }
    let two = [text("b.csv", "image,Bald\na.png,1\n"), text("a.csv", "image,Hat\na.png,1\n")];
    for (_home, path) in [folder(&two), archive(&two)] {
        let message = Dataset::open(&path).unwrap_err().to_string();
        assert!(message.contains("2 tables with different columns (a.csv, b.csv)"), "{message}");
    }
    let (_home, path) = folder(&[("a.png".to_owned(), encoded(0, ImageFormat::Png))]);
    assert!(matches!(Dataset::open(&path.join("a.png")), Err(DataError::NoTable { .. })));
    assert!(matches!(Dataset::open(&path.join("nothing")), Err(DataError::Read { .. })));
}

#[test]
fn a_fingerprint_depends_on_everything_a_model_learns_from() {
    let print = |content: &str| open_table(content).unwrap().fingerprint();
    let original = print("image,split,Bald\na.jpg,train,1\nb.jpg,train,0\n");
    assert_eq!(original.len(), 64);
    assert!(original.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        original,
        print("Bald,partition,file\n1,0,a.jpg\n-1,0,b.jpg\n"),
        "spelling and column order do not matter"
    );
    for changed in [
        "image,split,Bold\na.jpg,train,1\nb.jpg,train,0\n",
        "image,split,Bald\na.jpg,train,1\nc.jpg,train,0\n",
        "image,split,Bald\na.jpg,train,1\nb.jpg,test,0\n",
        "image,split,Bald\na.jpg,train,1\nb.jpg,train,\n",
        "image,split,Bald\nb.jpg,train,0\na.jpg,train,1\n",
    ] {
        assert_ne!(original, print(changed), "{changed}");
    }
}

#[test]
fn assigned_splits_have_their_shares_and_keep_people_together() {
    let mut content = "image,identity,Bald\n".to_owned();
    for number in 0..1000 {
        // 150 people with 1 to 9 images each, and 250 images without a person.
        let identity = if number % 4 == 3 { String::new() } else { format!("p{}", number * number % 151) };
        content += &format!("{number}.jpg,{identity},{}\n", number % 2);
    }
    let assign = |content: &str, seed| {
        let mut dataset = open_table(content).unwrap();
        dataset.assign_splits(seed);
        dataset
    };
    let dataset = assign(&content, 1);
    let sizes = Split::ALL.map(|split| dataset.indices(split).len());
    assert_eq!(sizes.iter().sum::<usize>(), 1000);
    for (size, share) in sizes.iter().zip([800, 100, 100]) {
        assert!(size.abs_diff(share) <= 10, "{sizes:?}");
    }
    let mut split_of_person = HashMap::new();
    for sample in dataset.samples().iter().filter(|sample| sample.identity.is_some()) {
        assert_eq!(*split_of_person.entry(&sample.identity).or_insert(sample.split), sample.split);
    }

    assert_ne!(dataset.samples(), assign(&content, 2).samples());
    let (header, rows) = content.split_once('\n').unwrap();
    let reversed: Vec<&str> = rows.lines().rev().collect();
    let mut reordered = assign(&format!("{header}\n{}\n", reversed.join("\n")), 1).samples().to_vec();
    reordered.reverse();
    assert_eq!(dataset.samples(), reordered, "the order of the rows does not matter");

    // An attribute of three people and one of three images are in every split, whatever the seed.
    let mut rare = "image,identity,Rare,Common\n".to_owned();
    for number in 0..400 {
        let (person, rare_one) = (number / 4, u8::from([40, 41, 200, 333].contains(&number)));
        rare += &format!("{number}.jpg,p{person},{rare_one},{}\n", u8::from(number % 5 > 0));
    }
    for seed in 0..20 {
        let dataset = assign(&rare, seed);
        for split in Split::ALL {
            let statistics = Statistics::of(&dataset, split);
            assert!(statistics.attributes[0].present > 0, "seed {seed}: no rare one in {split}");
            let common = statistics.attributes[1].prevalence.unwrap();
            assert!((0.7..0.9).contains(&common), "seed {seed}: {common} in {split}");
        }
    }

    let ten = "image,Bald\n".to_owned() + &(0..10).map(|number| format!("{number}.jpg,1\n")).collect::<String>();
    let ten = assign(&ten, 0);
    assert_eq!(Split::ALL.map(|split| ten.indices(split).len()), [8, 1, 1]);
}

#[test]
fn statistics_count_one_split() {
    let (_home, path) = folder(&celeba_tables());
    let statistics = Statistics::of(&Dataset::open(&path).unwrap(), Split::Train);
    assert_eq!((statistics.split, statistics.samples), (Split::Train, 3));
    let counts: Vec<_> = statistics.attributes.iter().map(|a| (a.name.as_str(), a.present, a.absent)).collect();
    assert_eq!(counts, [("Male", 1, 2), ("Smiling", 3, 0)]);
}

#[test]
fn datasets_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Dataset>();
}

/// Fuzzing found this file: a length inside a page reaches past the end, and the Parquet library panics.
#[test]
fn a_damaged_page_of_a_parquet_file_is_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/damaged/page.parquet");
    let options = TableOptions { ignore: vec!["word".to_owned()], ..TableOptions::default() };
    let dataset = Dataset::open_with(&path, &options).unwrap();
    let errors = (0..dataset.samples().len()).filter_map(|index| dataset.encoded_image(index).err());
    let messages: Vec<String> = errors.map(|error| format!("{error}: {:?}", error.source())).collect();
    assert!(messages.iter().any(|m| m.contains("page.parquet") && m.contains("a page is damaged")), "{messages:?}");
}

#[test]
fn of_several_cached_versions_one_has_to_be_named() {
    let commits = ["0f".repeat(20), "a1".repeat(20)].map(|commit| format!("snapshots/{commit}"));
    for versions in [["versions/1".to_owned(), "versions/12".to_owned()], commits] {
        let of_version = |version: &String| {
            let image = encoded(1, ImageFormat::Png);
            [
                text(&format!("{version}/labels.csv"), "image,Red,Blue\n1.png,1,0\n2.png,0,1\n"),
                (format!("{version}/1.png"), image.clone()),
                (format!("{version}/2.png"), image),
            ]
        };
        let (_home, root) = folder(&versions.each_ref().map(of_version).concat());
        let error = Dataset::open(&root).unwrap_err();
        assert!(matches!(&error, DataError::SeveralVersions { versions: found, .. } if found.len() == 2), "{error}");
        assert!(error.to_string().contains(&versions[1]), "{error}");
        for version in &versions {
            assert_eq!(Dataset::open(&root.join(version)).unwrap().samples().len(), 2);
        }
    }
}
