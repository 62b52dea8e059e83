//! Finding the image files of a dataset.

use std::collections::{HashMap, HashSet};

use super::images::{Images, file_name};
use super::near_names::NearNames;
use crate::error::DataError;
use crate::files::{Files, Listing, has_extension};
use crate::sample::Sample;

/// How many images are looked for in each place.
const PROBES: usize = 64;

/// The images of a dataset, as far as they were found.
pub(super) struct Located {
    pub(super) images: Images,
    /// Remarks.
    pub(super) notes: Vec<String>,
    /// The names most like that of the first image without a file.
    pub(super) nearest: Vec<String>,
}

impl Located {
    pub(super) fn exactly(images: Images) -> Self {
        Located { images, notes: Vec::new(), nearest: Vec::new() }
    }
}

/// Finds the images of `samples`: in the folder `expected`, or else in the folder or archive that has the most of them, of which
/// the `preferred` ones are tried first. Images that are not there are searched everywhere under near names.
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
) -> Result<Located, DataError> {
    if let Some(images) = in_named_archives(&files, samples)? {
        return Ok(Located::exactly(images));
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
    // Every place with images: its files, and their names.
    let mut places = vec![(files.clone(), listing.images.clone())];
    let archives: Vec<String> =
        listing.files.iter().filter(|name| has_extension(name, &["zip", "tar"])).cloned().collect();
    for name in order(&archives) {
        if is_complete {
            break;
        }
        match files.inner_archive(&name) {
            Ok(archive) => {
                let listing = archive.list()?;
                is_complete = order(&listing.folders).iter().any(|folder| search.try_folder(&archive, folder));
                places.push((archive, listing.images));
            }
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    let has_images = places.iter().any(|(_, images)| !images.is_empty());
    let mut located = Located::exactly(search.best);
    if let Images::InFolder { prefix, extension, .. } = &located.images {
        located
            .notes
            .extend(extension.map(|known| format!("the images have the extension `{known}`, not the table's")));
        // A folder that was found only because it has some of the images may have others of the same names.
        let is_chance = *prefix != expected && !prefix.is_empty() && !preferred(prefix);
        if is_chance && is_complete {
            located.notes.extend(same_names_elsewhere(&files, listing, prefix, samples));
        }
        if has_images {
            search_near_names(&mut located, &places, samples, is_chance);
        }
    }
    match unreadable {
        Some(error) if search.found == 0 && matches!(located.images, Images::InFolder { .. }) => return Err(error),
        error => located.notes.extend(error.map(|error| error.to_string())),
    }
    Ok(located)
}

/// A remark on another folder with images of the same names as those in `prefix`.
fn same_names_elsewhere(files: &Files, listing: &Listing, prefix: &str, samples: &[Sample]) -> Option<String> {
    let has_all = |folder: &&String| *folder != prefix && Search::new(files, "", samples).try_folder(files, folder);
    let other = listing.folders.iter().find(has_all)?;
    Some(format!(
        "images of the same names are in `{prefix}`, which is used, and in `{other}`: to choose, write the folder into the table"
    ))
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

/// Searches the images without a file under near names. A file that more than one image may have is none of theirs.
fn search_near_names(located: &mut Located, places: &[(Files, Vec<String>)], samples: &[Sample], is_chance: bool) {
    let Images::InFolder { files, prefix, extension } = &located.images else { return };
    let own_place = places.iter().position(|(place, _)| place.root() == files.root()).unwrap_or_default();
    let known: HashSet<&str> = places[own_place].1.iter().map(String::as_str).collect();
    let expected = |sample: &Sample| file_name(prefix, &sample.image, *extension);
    // A file that the listing lacks may still exist: of another extension, or elsewhere by an absolute path.
    let exists = |name: &String| known.contains(name.as_str()) || files.contains(name);
    let names: Vec<String> = samples.iter().map(expected).collect();
    let mut missing: Vec<usize> = (0..names.len()).filter(|&index| !exists(&names[index])).collect();
    if missing.is_empty() {
        return;
    }
    let near = NearNames::new(places.iter().enumerate().flat_map(|(place, (files, images))| {
        let own = images.iter().map(move |name| (place, name.clone(), name.clone()));
        own.chain(files.other_names().into_iter().map(move |(name, alias)| (place, name, alias)))
    }));
    if is_chance {
        missing.extend(
            (0..names.len()).filter(|&index| exists(&names[index]) && near.find(&samples[index].image).is_none()),
        );
        missing.sort_unstable();
        missing.dedup();
    }
    let mut found: HashMap<usize, (usize, &str)> =
        missing.iter().filter_map(|&index| Some((index, near.find(&samples[index].image)?))).collect();
    let mut users: HashMap<(usize, &str), u32> = HashMap::new();
    found.values().for_each(|file| *users.entry(*file).or_default() += 1);
    let taken: HashSet<&str> = names.iter().map(String::as_str).collect();
    found.retain(|_, file| users[file] == 1 && !(file.0 == own_place && taken.contains(file.1)));
    if let Some(&first) = missing.iter().find(|index| !found.contains_key(index)) {
        located.nearest = near.nearest(&samples[first].image);
    }
    if let Some(first) = missing.iter().find(|index| found.contains_key(index)) {
        located.notes.push(format!(
            "{} of {} images were found under a near name, first `{}` for `{}`",
            found.len(),
            samples.len(),
            found[first].1,
            samples[*first].image
        ));
    } else if !is_chance {
        return;
    }
    let members = names.iter().enumerate().map(|(index, name)| match found.get(&index) {
        Some(&(place, name)) => (place, name.to_owned()),
        // No file has this name.
        None if is_chance && missing.binary_search(&index).is_ok() => (own_place, samples[index].image.clone()),
        None => (own_place, name.clone()),
    });
    let members = members.collect();
    located.images = Images::Members { places: places.iter().map(|(files, _)| files.clone()).collect(), members };
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
    let mut places = Vec::new();
    let mut members = Vec::with_capacity(samples.len());
    for sample in samples {
        // An image outside of any archive counts as missing from the first.
        let (archive, name) = split(&sample.image).unwrap_or_else(|| (names[0].clone(), sample.image.clone()));
        let number = match names.iter().position(|known| *known == archive) {
            Some(number) => number,
            None => {
                places.push(files.inner_archive(&archive)?);
                names.push(archive);
                names.len() - 1
            }
        };
        members.push((number, name));
    }
    Ok(Some(Images::Members { places, members }))
}
