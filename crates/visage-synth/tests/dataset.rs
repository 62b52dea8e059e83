//! The files of a dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use visage_synth::{Attribute, Face, Options, SynthError, write};

fn small(images: usize) -> Options {
    Options { width: 45, height: 55, ..Options::new(images, 5) }
}

/// The content of every file under `root`.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn read(root: &Path, file: &str) -> String {
    fs::read_to_string(root.join(file)).unwrap()
}

#[test]
fn the_layout_is_celebas_and_the_tables_agree() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("deep/faces");
    let done = AtomicUsize::new(0);
    let options = small(120);
    let summary = write(&options, &root, |count| {
        done.fetch_max(count, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(done.into_inner(), 120);
    assert_eq!(summary.images, [96, 12, 12]);
    assert_eq!(summary.identities, 30);

    let table = read(&root, "Anno/list_attr_celeba.txt");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("120"));
    assert_eq!(lines.next().unwrap().split(' ').collect::<Vec<_>>(), Attribute::ALL.map(Attribute::name));
    let labels: Vec<(String, Vec<bool>)> = lines
        .map(|line| {
            let (name, values) = line.split_once(' ').unwrap();
            // Columns are aligned: two characters each, and a space between them.
            assert_eq!(values.len(), 40 * 3 - 1);
            (
                name.to_owned(),
                values
                    .split_whitespace()
                    .map(|value| ["-1", "1"].iter().position(|v| *v == value).unwrap() == 1)
                    .collect(),
            )
        })
        .collect();
    assert_eq!(labels.len(), 120);

    let noise: BTreeSet<(String, String, String, String)> = read(&root, "Anno/label_noise.csv")
        .lines()
        .skip(1)
        .map(|line| {
            let [image, attribute, truth, written] =
                line.split(',').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
            (image, attribute, truth, written)
        })
        .collect();
    assert_eq!(noise.len(), summary.flipped_labels);
    let sign = |present: bool| if present { "1" } else { "-1" }.to_owned();
    let mut expected = BTreeSet::new();
    for (index, (name, values)) in labels.iter().enumerate() {
        assert_eq!(*name, format!("{:06}.jpg", index + 1));
        assert_eq!(values.len(), 40);
        let image = image::open(root.join("Img/img_align_celeba").join(name)).unwrap();
        assert_eq!((image.width(), image.height()), (45, 55));
        let truth = Face::sample(options.seed, index as u64).attributes;
        for attribute in Attribute::ALL {
            let (truth, written) = (truth.has(attribute), values[attribute as usize]);
            if truth != written {
                expected.insert((name.clone(), attribute.name().to_owned(), sign(truth), sign(written)));
            }
        }
    }
    assert!(!expected.is_empty());
    assert_eq!(noise, expected);

    let mut people_of_split: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (person, split) in
        read(&root, "Anno/identity_CelebA.txt").lines().zip(read(&root, "Eval/list_eval_partition.txt").lines())
    {
        let ((name, person), (other, split)) = (person.split_once(' ').unwrap(), split.split_once(' ').unwrap());
        assert_eq!(name, other);
        people_of_split.entry(split.to_owned()).or_default().insert(person.to_owned());
    }
    assert_eq!(people_of_split.keys().collect::<Vec<_>>(), ["0", "1", "2"]);
    assert_eq!(people_of_split.values().map(BTreeSet::len).sum::<usize>(), 30, "a person is in one split only");

    let beside: Vec<_> = fs::read_dir(root.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "nothing temporary is left");
}

#[test]
fn the_bytes_depend_on_neither_threads_nor_the_number_of_images() {
    let parent = tempfile::tempdir().unwrap();
    let with_threads = |threads: usize, images: usize| {
        let root = parent.path().join(format!("{threads}-{images}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| write(&small(images), &root, |_| {})).unwrap();
        contents(&root)
    };
    let one = with_threads(1, 60);
    assert_eq!(one, with_threads(3, 60));
    let fewer = with_threads(2, 36);
    for (name, bytes) in fewer.iter().filter(|(name, _)| name.ends_with(".jpg")) {
        assert_eq!(Some(bytes), one.get(name));
    }
}

#[test]
fn without_label_noise_the_labels_are_the_truth() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("faces");
    // An empty folder is allowed.
    fs::create_dir(&root).unwrap();
    let summary = write(&Options { label_noise: false, ..small(24) }, &root, |_| {}).unwrap();
    assert_eq!(summary.flipped_labels, 0);
    assert_eq!(read(&root, "Anno/label_noise.csv").lines().count(), 1);
}

#[test]
fn a_folder_that_is_not_empty_is_refused_and_unchanged() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("mine.txt"), "mine").unwrap();
    let error = write(&small(24), parent.path(), |_| {}).unwrap_err();
    assert!(matches!(error, SynthError::NotEmpty(_)), "{error}");
    assert_eq!(contents(parent.path()).len(), 1);
    let error = write(&small(24), &parent.path().join("mine.txt"), |_| {}).unwrap_err();
    assert!(matches!(error, SynthError::NotAFolder(_)), "{error}");
}

#[test]
fn invalid_options_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let refuse = |options: Options| write(&options, &parent.path().join("faces"), |_| {}).unwrap_err();
    assert_eq!(refuse(small(11)).to_string(), "11 images are too few: 3 splits of 4 images a person need at least 12");
    assert!(matches!(refuse(Options { width: 0, ..small(24) }), SynthError::Size { .. }));
    assert!(matches!(refuse(Options { splits: [0.0, 0.5, 0.5], ..small(24) }), SynthError::Splits(_)));
    assert!(matches!(refuse(Options { splits: [0.5, f64::NAN, 0.5], ..small(24) }), SynthError::Splits(_)));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn the_smallest_dataset_has_every_split() {
    let parent = tempfile::tempdir().unwrap();
    let summary = write(&small(12), &parent.path().join("a"), |_| {}).unwrap();
    assert_eq!(summary.images, [4, 4, 4]);
    let summary = write(&Options { splits: [0.9, 0.1, 0.0], ..small(22) }, &parent.path().join("b"), |_| {}).unwrap();
    assert_eq!(summary.images, [20, 2, 0]);
}
