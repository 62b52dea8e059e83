//! The image files of a dataset.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::pack::Pack;
use crate::files::Files;
use crate::retain::retain;

/// Where an image is in a column: its file, the part of the file, and the row in the part.
pub(super) type Location = [u32; 3];

/// A column of images in the files of a table.
pub(crate) trait ImageColumn: fmt::Debug + Send + Sync {
    /// The bytes of an image.
    fn read(&self, location: Location) -> io::Result<Vec<u8>>;

    /// Where an image is, for messages.
    fn describe(&self, location: Location) -> String;
}

/// The images of samples that come from these files and rows (counted from 1), where `ends` has for each file the number of rows up
/// to the end of each of its parts.
pub(super) fn in_column(column: impl ImageColumn + 'static, ends: &[Vec<u64>], places: &[(usize, u64)]) -> Images {
    let location = |&(file, line): &(usize, u64)| {
        let row = line - 1;
        let part = ends[file].partition_point(|&end| end <= row);
        let start = part.checked_sub(1).map_or(0, |before| ends[file][before]);
        [file as u32, part as u32, (row - start) as u32]
    };
    Images::InColumn { column: Arc::new(column), locations: places.iter().map(location).collect() }
}

/// Where the images of a dataset are.
#[derive(Clone, Debug)]
pub(crate) enum Images {
    /// Below a prefix in a folder or an archive, by the names in the table.
    InFolder {
        files: Files,
        /// Stands before an image's name; empty, or ending in `/`.
        prefix: String,
        /// The extension of the files, where it differs from the table's.
        extension: Option<&'static str>,
    },
    /// In several folders or archives, or under other names than the table's.
    Members {
        places: Vec<Files>,
        /// For each sample, the index of its place and its name there.
        members: Vec<(usize, String)>,
    },
    /// In a column of the table's files.
    InColumn {
        column: Arc<dyn ImageColumn>,
        /// For each sample, where its image is.
        locations: Vec<Location>,
    },
    /// In a pack, prepared.
    Packed(Pack),
}

impl Images {
    /// The bytes of the image file of sample `index`, which the table calls `image`.
    pub(crate) fn read(&self, index: usize, image: &str) -> io::Result<Vec<u8>> {
        match self {
            Images::InFolder { files, prefix, extension } => files.read(&file_name(prefix, image, *extension)),
            Images::Members { places, members } => places[members[index].0].read(&members[index].1),
            Images::InColumn { column, locations } => column.read(locations[index]),
            Images::Packed(_) => {
                let reason = "a pack holds prepared pixels and no image files: use its source";
                Err(io::Error::new(io::ErrorKind::Unsupported, reason))
            }
        }
    }

    /// The first bytes of the image file of a sample, at most `length`; `None` if it is not a file of its own.
    pub(crate) fn beginning(&self, index: usize, image: &str, length: u64) -> Option<io::Result<Vec<u8>>> {
        match self {
            Images::InFolder { files, prefix, extension } => {
                files.beginning(&file_name(prefix, image, *extension), length)
            }
            Images::Members { places, members } => places[members[index].0].beginning(&members[index].1, length),
            Images::InColumn { .. } | Images::Packed(_) => None,
        }
    }

    /// Whether the image file of a sample exists.
    pub(crate) fn contains(&self, index: usize, image: &str) -> bool {
        match self {
            Images::InFolder { files, prefix, extension } => files.contains(&file_name(prefix, image, *extension)),
            Images::Members { places, members } => places[members[index].0].contains(&members[index].1),
            Images::InColumn { .. } | Images::Packed(_) => true,
        }
    }

    /// The location of a sample's image file, for messages.
    pub(crate) fn describe(&self, index: usize, image: &str) -> String {
        match self {
            Images::InFolder { files, prefix, extension } => files.describe(&file_name(prefix, image, *extension)),
            Images::Members { places, members } => places[members[index].0].describe(&members[index].1),
            Images::InColumn { column, locations } => column.describe(locations[index]),
            Images::Packed(pack) => format!("{} ({image})", pack.path().display()),
        }
    }

    /// Keeps the images of the samples for whose indices `is_kept` holds.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        match self {
            Images::InFolder { .. } => {}
            Images::Members { members, .. } => retain(members, is_kept),
            Images::InColumn { locations, .. } => retain(locations, is_kept),
            Images::Packed(pack) => pack.retain(is_kept),
        }
    }
}

/// The name of an image's file. Folders resolve `./` themselves, archives do not.
pub(super) fn file_name(prefix: &str, image: &str, extension: Option<&str>) -> String {
    let image = image.strip_prefix("./").unwrap_or(image);
    match (extension, image.rsplit_once('.')) {
        (Some(extension), Some((stem, _))) => format!("{prefix}{stem}.{extension}"),
        _ => format!("{prefix}{image}"),
    }
}
