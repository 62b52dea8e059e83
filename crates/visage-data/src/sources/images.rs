//! Where the image files of a dataset are.

use std::io;

use super::parquet::Pictures;
use crate::error::DataError;
use crate::files::{Files, Listing, has_extension};
use crate::pack::Pack;
use crate::sample::Sample;

/// Images that are looked for to tell where the images are.
const PROBES: usize = 64;

/// The images of a dataset, where they lie.
#[derive(Clone, Debug)]
pub(crate) enum Images {
    /// Below a prefix in a folder or an archive, by the names of the table.
    Named {
        /// The folder or archive.
        files: Files,
        /// What stands before an image's name; empty, or ending in `/`.
        prefix: String,
        /// What the files end in, where the table has another ending.
        extension: Option<&'static str>,
    },
    /// In several archives: of each sample, which, and its name there.
    Listed {
        /// The archives.
        archives: Vec<Files>,
        /// For each sample.
        places: Vec<(usize, String)>,
    },
    /// In a column of Parquet files.
    Column(Pictures),
    /// Prepared already.
    Packed(Pack),
}

impl Images {
    /// The bytes of the image file of sample `index`, which the table calls `image`.
    pub(crate) fn read(&self, index: usize, image: &str) -> io::Result<Vec<u8>> {
        match self {
            Images::Named { files, prefix, extension } => files.read(&file_name(prefix, image, *extension)),
            Images::Listed { archives, places } => archives[places[index].0].read(&places[index].1),
            Images::Column(pictures) => pictures.read(index),
            Images::Packed(_) => {
                let why = "a pack holds prepared pixels and no image files: use its source";
                Err(io::Error::new(io::ErrorKind::Unsupported, why))
            }
        }
    }

    /// Whether there is such a file.
    pub(crate) fn contains(&self, index: usize, image: &str) -> bool {
        match self {
            Images::Named { files, prefix, extension } => files.contains(&file_name(prefix, image, *extension)),
            Images::Listed { archives, places } => archives[places[index].0].contains(&places[index].1),
            Images::Column(_) | Images::Packed(_) => true,
        }
    }

    /// How messages name it.
    pub(crate) fn describe(&self, index: usize, image: &str) -> String {
        match self {
            Images::Named { files, prefix, extension } => files.describe(&file_name(prefix, image, *extension)),
            Images::Listed { archives, places } => archives[places[index].0].describe(&places[index].1),
            Images::Column(pictures) => pictures.describe(index),
            Images::Packed(pack) => format!("{} ({image})", pack.path().display()),
        }
    }

    /// Keeps the images of those of `samples` samples for whose numbers `kept` holds.
    pub(crate) fn retain(&mut self, samples: usize, kept: impl Fn(usize) -> bool) {
        match self {
            Images::Named { .. } => {}
            Images::Listed { places, .. } => {
                let mut index = 0..samples;
                places.retain(|_| index.next().is_none_or(&kept));
            }
            Images::Column(pictures) => pictures.retain(kept),
            Images::Packed(pack) => pack.retain(kept),
        }
    }
}

/// Folders resolve `./` by themselves, archives do not.
fn file_name(prefix: &str, image: &str, extension: Option<&str>) -> String {
    let image = image.strip_prefix("./").unwrap_or(image);
    match (extension, image.rsplit_once('.')) {
        (Some(extension), Some((stem, _))) => format!("{prefix}{stem}.{extension}"),
        _ => format!("{prefix}{image}"),
    }
}

/// Finds the images of `samples`: in the folder `expected`, or in whatever folder or archive has most of them, those
/// first that `preferred` likes. If there are none anywhere, that is no error until one is wanted: a table can be
/// inspected alone.
///
/// # Errors
///
/// When the only place they can be in is an archive that cannot be read.
pub(super) fn locate(
    files: Files,
    listing: &Listing,
    expected: &str,
    preferred: impl Fn(&str) -> bool,
    samples: &[Sample],
) -> Result<(Images, Option<String>), DataError> {
    if let Some(images) = through_archives(&files, samples)? {
        return Ok((images, None));
    }
    let probes: Vec<&str> = probes(samples);
    let mut best = (0, files.clone(), expected.to_owned(), None);
    let mut consider = |files: &Files, prefix: &str| {
        for extension in [None, Some("png"), Some("jpg")] {
            let found = probes.iter().filter(|image| files.contains(&file_name(prefix, image, extension))).count();
            if found > best.0 {
                best = (found, files.clone(), prefix.to_owned(), extension);
            }
        }
        best.0 == probes.len()
    };
    let order = |names: &[String]| {
        let mut names: Vec<String> = names.to_vec();
        names.sort_by_key(|name| (!preferred(name), name.matches('/').count()));
        names
    };
    let folders = std::iter::once(expected.to_owned()).chain(order(&listing.folders));
    let mut complete = folders.into_iter().any(|folder| consider(&files, &folder));
    let mut unreadable = None;
    let archives: Vec<String> =
        listing.files.iter().filter(|name| has_extension(name, &["zip", "tar"])).cloned().collect();
    for name in order(&archives) {
        if complete {
            break;
        }
        match files.inner_archive(&name) {
            Ok(archive) => {
                let folders = archive.list()?.folders;
                complete = order(&folders).iter().any(|folder| consider(&archive, folder));
            }
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    let (found, files, prefix, extension) = best;
    let note = match unreadable {
        Some(error) if found == 0 => return Err(error),
        Some(error) => Some(error.to_string()),
        None => None,
    };
    Ok((Images::Named { files, prefix, extension }, note))
}

/// Some image names from all over the table: what was copied is often its beginning.
fn probes(samples: &[Sample]) -> Vec<&str> {
    let step = samples.len().div_ceil(PROBES).max(1);
    samples.iter().step_by(step).map(|sample| sample.image.as_str()).collect()
}

/// The images of a table that names them through archives: `faces.zip/a.jpg`, `shards/0.tar/a.jpg`.
fn through_archives(files: &Files, samples: &[Sample]) -> Result<Option<Images>, DataError> {
    let split = |image: &str| {
        let end = [".zip/", ".tar/"].iter().filter_map(|end| image.find(end)).min()? + 4;
        Some((image[..end].to_owned(), image[end + 1..].to_owned()))
    };
    if !samples.first().is_some_and(|sample| split(&sample.image).is_some_and(|(name, _)| files.contains(&name))) {
        return Ok(None);
    }
    let mut names: Vec<String> = Vec::new();
    let mut archives = Vec::new();
    let mut places = Vec::with_capacity(samples.len());
    for sample in samples {
        // An image outside of any archive is missing from the first.
        let (archive, name) = split(&sample.image).unwrap_or_else(|| (names[0].clone(), sample.image.clone()));
        let number = match names.iter().position(|known| *known == archive) {
            Some(number) => number,
            None => {
                archives.push(files.inner_archive(&archive)?);
                names.push(archive);
                names.len() - 1
            }
        };
        places.push((number, name));
    }
    Ok(Some(Images::Listed { archives, places }))
}
