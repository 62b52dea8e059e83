//! Finding the image files of a dataset.

use super::images::{Images, file_name};
use crate::error::DataError;
use crate::files::{Files, Listing, has_extension};
use crate::sample::Sample;

/// How many images are looked for in each place.
const PROBES: usize = 64;

/// Finds the images of `samples`: in the folder `expected`, or else in the folder or archive that has the most of them, of which
/// the `preferred` ones are tried first. The second value is a note about an unreadable archive.
///
/// If there are no images, that is no error until one is read, so that a table can be inspected alone.
///
/// # Errors
///
/// When there are no images, and an archive that may hold them cannot be read.
pub(super) fn locate(
    files: Files,
    listing: &Listing,
    expected: &str,
    preferred: impl Fn(&str) -> bool,
    samples: &[Sample],
) -> Result<(Images, Option<String>), DataError> {
    if let Some(images) = in_named_archives(&files, samples)? {
        return Ok((images, None));
    }
    let mut search = Search::new(&files, expected, samples);
    let order = |names: &[String]| {
        let mut names: Vec<String> = names.to_vec();
        names.sort_by_key(|name| (!preferred(name), name.matches('/').count()));
        names
    };
    let folders = std::iter::once(expected.to_owned()).chain(order(&listing.folders));
    let mut is_complete = folders.into_iter().any(|folder| search.try_folder(&files, &folder));
    let mut unreadable = None;
    let archives: Vec<String> =
        listing.files.iter().filter(|name| has_extension(name, &["zip", "tar"])).cloned().collect();
    for name in order(&archives) {
        if is_complete {
            break;
        }
        match files.inner_archive(&name) {
            Ok(archive) => {
                let folders = archive.list()?.folders;
                is_complete = order(&folders).iter().any(|folder| search.try_folder(&archive, folder));
            }
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    let note = match unreadable {
        Some(error) if search.found == 0 => return Err(error),
        error => error.map(|error| error.to_string()),
    };
    Ok((search.best, note))
}

/// The place with the most images so far.
struct Search<'a> {
    /// Some image names from all over the table: a copied dataset often lacks its end.
    probes: Vec<&'a str>,
    found: usize,
    best: Images,
}

impl<'a> Search<'a> {
    fn new(files: &Files, expected: &str, samples: &'a [Sample]) -> Self {
        let step = samples.len().div_ceil(PROBES).max(1);
        let probes = samples.iter().step_by(step).map(|sample| sample.image.as_str()).collect();
        let best = Images::InFolder { files: files.clone(), prefix: expected.to_owned(), extension: None };
        Search { probes, found: 0, best }
    }

    /// Looks for the images below `prefix`, also with other extensions than the table's. Returns whether all probes are
    /// found.
    fn try_folder(&mut self, files: &Files, prefix: &str) -> bool {
        for extension in [None, Some("png"), Some("jpg")] {
            let exists = |image: &&&str| files.contains(&file_name(prefix, image, extension));
            let found = self.probes.iter().filter(exists).count();
            if found > self.found {
                self.found = found;
                self.best = Images::InFolder { files: files.clone(), prefix: prefix.to_owned(), extension };
            }
        }
        self.found == self.probes.len()
    }
}

/// The images of a table whose image names start with an archive: `faces.zip/a.jpg`, `shards/0.tar/a.jpg`.
fn in_named_archives(files: &Files, samples: &[Sample]) -> Result<Option<Images>, DataError> {
    let split = |image: &str| {
        let end = [".zip/", ".tar/"].iter().filter_map(|end| image.find(end)).min()? + 4;
        Some((image[..end].to_owned(), image[end + 1..].to_owned()))
    };
    if !samples.first().is_some_and(|sample| split(&sample.image).is_some_and(|(name, _)| files.contains(&name))) {
        return Ok(None);
    }
    let mut names: Vec<String> = Vec::new();
    let mut archives = Vec::new();
    let mut members = Vec::with_capacity(samples.len());
    for sample in samples {
        // An image outside of any archive counts as missing from the first.
        let (archive, name) = split(&sample.image).unwrap_or_else(|| (names[0].clone(), sample.image.clone()));
        let number = match names.iter().position(|known| *known == archive) {
            Some(number) => number,
            None => {
                archives.push(files.inner_archive(&archive)?);
                names.push(archive);
                names.len() - 1
            }
        };
        members.push((number, name));
    }
    Ok(Some(Images::InArchives { archives, members }))
}
