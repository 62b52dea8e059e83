//! The loader: order, reproducibility, bounded memory, errors.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::ImageFormat;
use proptest::prelude::*;
use visage_data::{Augmentation, Batch, DataError, Dataset, Loader, LoaderOptions, Noise, Preparation, Size, Split};

use crate::fixtures::{archive, cases, encoded, folder, table_with_images};

const SIZE: Size = Size { height: 10, width: 8 };

fn open(path: &Path) -> Arc<Dataset> {
    Arc::new(Dataset::open(path).unwrap())
}

fn training() -> LoaderOptions {
    LoaderOptions {
        seed: 5,
        epoch: 3,
        shuffle: true,
        augmentation: Some(Augmentation {
            flip: 0.5,
            noise: Some(Noise { probability: 0.5, variance: [10.0, 50.0] }),
            ..Augmentation::default()
        }),
        mixing: None,
        ..LoaderOptions::in_order(4)
    }
}

fn load(dataset: &Arc<Dataset>, options: LoaderOptions) -> Vec<Batch> {
    loader(dataset, options).collect::<Result<_, _>>().unwrap()
}

/// Runs `work` on a thread pool with this many threads.
fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn loader(dataset: &Arc<Dataset>, options: LoaderOptions) -> Loader {
    let indices = dataset.indices(Split::Train);
    Loader::new(Arc::clone(dataset), indices, Preparation::exact(SIZE), options).unwrap()
}

#[test]
fn batches_in_order_hold_each_sample_once_with_its_pixels_and_labels() {
    let (_home, path) = archive(&table_with_images(10));
    let dataset = open(&path);
    let batches = load(&dataset, LoaderOptions::in_order(4));
    assert_eq!(batches.iter().map(|batch| batch.number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(batches.iter().flat_map(|batch| batch.indices.clone()).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    let preparation = Preparation::exact(SIZE);
    for batch in &batches {
        assert_eq!(batch.size, SIZE);
        let images = batch.pixels.chunks_exact(SIZE.pixels() * 3);
        let labels = batch.targets.chunks_exact(2);
        assert_eq!((images.len(), labels.len()), (batch.indices.len(), batch.indices.len()));
        for ((&index, image), labels) in batch.indices.iter().zip(images).zip(labels) {
            assert_eq!(image, preparation.pixels(&encoded(index, ImageFormat::Png)).unwrap());
            assert_eq!(labels, [index % 2 == 1, index % 3 == 2].map(|present| f32::from(u8::from(present))));
        }
    }
}

#[test]
fn a_repeated_image_is_augmented_differently() {
    let (_home, path) = folder(&table_with_images(4));
    let augmentation =
        Augmentation { noise: Some(Noise { probability: 1.0, variance: [10.0, 50.0] }), ..Augmentation::default() };
    let batches = |indices: Vec<usize>| -> Vec<Batch> {
        let options = LoaderOptions { augmentation: Some(augmentation.clone()), ..LoaderOptions::in_order(2) };
        let loader = Loader::new(open(&path), indices, Preparation::exact(SIZE), options).unwrap();
        loader.collect::<Result<_, _>>().unwrap()
    };
    let repeated = batches(vec![2, 1, 2, 2]);
    let images: Vec<&[u8]> = repeated.iter().flat_map(|batch| batch.pixels.chunks_exact(SIZE.pixels() * 3)).collect();
    assert!(images[0] != images[2] && images[2] != images[3] && images[0] != images[3]);
    assert_eq!(batches(vec![2, 1])[0], repeated[0], "its first occurrence is as without repetition");
    assert_eq!(with_threads(3, || batches(vec![2, 1, 2, 2])), repeated);
}

#[test]
fn an_epoch_is_the_same_for_any_number_of_threads_and_from_any_start() {
    let (_home, path) = folder(&table_with_images(41));
    let dataset = open(&path);
    // This thread belongs to no pool: others load everything.
    let whole = load(&dataset, training());
    assert_eq!(whole.len(), 11);
    for threads in [1, 2, 3, 20] {
        for prefetch in [0, 1, 100] {
            let options = LoaderOptions { prefetch, ..training() };
            assert_eq!(with_threads(threads, || load(&dataset, options)), whole);
        }
    }
    for skip_batches in [1, 7, 10, 11, 50] {
        let rest = load(&dataset, LoaderOptions { skip_batches, ..training() });
        assert_eq!(rest, whole[skip_batches.min(11)..]);
    }
    let full = load(&dataset, LoaderOptions { drop_last: true, ..training() });
    assert_eq!(full, whole[..10]);
}

#[test]
fn order_and_augmentation_follow_seed_and_epoch() {
    let (_home, path) = folder(&table_with_images(24));
    let dataset = open(&path);
    let order = |batches: &[Batch]| batches.iter().flat_map(|batch| batch.indices.clone()).collect::<Vec<_>>();
    let base = load(&dataset, training());
    let mut sorted = order(&base);
    assert_ne!(sorted, (0..24).collect::<Vec<_>>());
    sorted.sort_unstable();
    assert_eq!(sorted, (0..24).collect::<Vec<_>>());
    for other in [LoaderOptions { epoch: 4, ..training() }, LoaderOptions { seed: 6, ..training() }] {
        assert_ne!(order(&load(&dataset, other)), order(&base));
    }

    // The augmentation of a sample does not depend on its position in the epoch.
    let in_order = load(&dataset, LoaderOptions { shuffle: false, ..training() });
    let image = |batches: &[Batch], index: usize| {
        let batch = batches.iter().find(|batch| batch.indices.contains(&index)).unwrap();
        let position = batch.indices.iter().position(|&other| other == index).unwrap();
        batch.pixels.chunks_exact(SIZE.pixels() * 3).nth(position).unwrap().to_vec()
    };
    let plain = load(&dataset, LoaderOptions { augmentation: None, ..training() });
    let next_epoch = load(&dataset, LoaderOptions { epoch: 4, ..training() });
    let mut changed = 0;
    let mut changed_again = 0;
    for index in 0..24 {
        assert_eq!(image(&base, index), image(&in_order, index));
        changed += usize::from(image(&base, index) != image(&plain, index));
        changed_again += usize::from(image(&base, index) != image(&next_epoch, index));
    }
    assert!(changed > 8 && changed_again > 8, "{changed} {changed_again} of 24");
}

#[test]
fn a_damaged_image_is_an_error_that_names_it_in_its_turn() {
    let (_home, path) = folder(&table_with_images(20));
    let dataset = open(&path);
    fs::write(path.join("images/9.png"), b"not a picture").unwrap();
    let mut loader = loader(&dataset, LoaderOptions::in_order(4));
    assert_eq!(loader.next().unwrap().unwrap().number, 0);
    assert_eq!(loader.next().unwrap().unwrap().number, 1);
    let error = loader.next().unwrap().unwrap_err();
    assert!(matches!(error, DataError::Image { .. }));
    assert!(error.to_string().contains("`images/9.png` of dataset `faces`"), "{error}");
    assert!(error.source().unwrap().to_string().contains("not a readable"));
    assert!(loader.next().is_none());
    drop(loader);

    fs::remove_file(path.join("images/9.png")).unwrap();
    let error = self::loader(&dataset, LoaderOptions::in_order(20)).next().unwrap().unwrap_err();
    assert!(matches!(&error, DataError::ReadImage { .. }));
    assert!(error.to_string().contains("images/9.png"), "{error}");
}

#[test]
fn the_loader_works_ahead_by_a_bounded_number_of_batches() {
    let (_home, path) = folder(&table_with_images(40));
    let dataset = open(&path);
    let file = |number: usize| path.join(format!("images/{number}.png"));
    // With a prefetch of two batches of one image, two images may be loaded before any is taken.
    for number in 2..40 {
        fs::remove_file(file(number)).unwrap();
    }
    let loader = loader(&dataset, LoaderOptions { prefetch: 2, ..LoaderOptions::in_order(1) });
    std::thread::sleep(Duration::from_millis(200));
    for number in 2..40 {
        fs::write(file(number), encoded(number, ImageFormat::Png)).unwrap();
    }
    let batches: Result<Vec<_>, _> = loader.collect();
    assert_eq!(batches.expect("no image was read too early").len(), 40);
}

#[test]
fn a_dropped_loader_stops_soon() {
    let (_home, path) = folder(&table_with_images(60));
    let dataset = open(&path);
    for taken in 0..4 {
        let mut loader = loader(&dataset, LoaderOptions { prefetch: 50, ..training() });
        for _ in 0..taken {
            loader.next().unwrap().unwrap();
        }
        drop(loader);
        // Its remaining tasks hold the only other references.
        let until = Instant::now() + Duration::from_secs(60);
        while Arc::strong_count(&dataset) > 1 {
            assert!(Instant::now() < until, "a dropped loader still loads images");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn invalid_settings_are_refused() {
    let (_home, path) = folder(&table_with_images(3));
    let dataset = open(&path);
    let start = |indices: Vec<usize>, preparation: &Preparation, options: LoaderOptions| {
        Loader::new(Arc::clone(&dataset), indices, preparation.clone(), options).err()
    };
    let preparation = Preparation::exact(SIZE);
    let plain = LoaderOptions::in_order(2);
    let setting = |error: Option<DataError>| match error {
        Some(DataError::Setting(invalid)) => invalid.setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(setting(start(vec![0], &preparation, LoaderOptions { batch_size: 0, ..plain.clone() })), "batch size");
    let flip = Some(Augmentation { flip: 2.0, ..Augmentation::default() });
    assert_eq!(setting(start(vec![0], &preparation, LoaderOptions { augmentation: flip, ..plain.clone() })), "flip");
    let flat = Preparation { std: [0.0; 3], ..preparation.clone() };
    assert_eq!(setting(start(vec![0], &flat, plain.clone())), "std");
    assert!(matches!(start(vec![0, 3], &preparation, plain.clone()), Some(DataError::NoSample { index: 3, .. })));
    assert!(load(&dataset, LoaderOptions { skip_batches: 9, ..plain.clone() }).is_empty());
    assert_eq!(Loader::new(dataset, Vec::new(), preparation, plain).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(cases(16))]

    /// Every sample is delivered exactly once, in the announced number of batches.
    #[test]
    fn an_epoch_is_complete(samples in 1usize..30, batch_size in 1usize..12, prefetch in 0usize..4) {
        let (_home, path) = folder(&table_with_images(samples));
        let dataset = open(&path);
        let options = LoaderOptions { prefetch, batch_size, ..training() };
        let announced = options.batches(samples);
        let loader = loader(&dataset, options);
        prop_assert_eq!(loader.len(), announced);
        let batches: Vec<Batch> = loader.collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(batches.len(), announced);
        let mut indices: Vec<usize> = batches.iter().flat_map(|batch| batch.indices.clone()).collect();
        indices.sort_unstable();
        prop_assert_eq!(indices, (0..samples).collect::<Vec<_>>());
    }
}
