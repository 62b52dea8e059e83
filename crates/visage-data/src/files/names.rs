//! File names.

use std::path::Path;

/// Extensions of the image files that are read.
pub(crate) const READABLE: [&str; 10] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff"];

/// Extensions of image files that are not read: compressed formats without a decoder here, drawings, documents of layers, and the
/// raw files of cameras.
pub(crate) const UNREADABLE: [&str; 40] = [
    "heic", "heif", "hif", "avif", "jxl", "jp2", "j2k", "jpf", "jpx", "jxr", "svg", "svgz", "psd", "psb", "xcf", "ico",
    "tga", "exr", "hdr", "qoi", "pbm", "pgm", "ppm", "pnm", "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf",
    "sr2", "orf", "rw2", "raf", "pef", "srw", "x3f", "3fr",
];

/// Whether a name, or a folder in it, is hidden or is macOS's metadata in an archive.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part == "__MACOSX" || (part.starts_with('.') && part != "." && part != ".."))
}

/// Whether a name ends in one of these extensions, in any case.
pub(crate) fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// Whether a name has the extension of an image that is read.
pub(crate) fn is_image_name(name: &str) -> bool {
    has_extension(name, &READABLE)
}

/// What the name of a file says about it, for a search through a folder or an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// Hidden, or macOS's metadata in an archive (`__MACOSX`): not meant for people.
    Hidden,
    /// An image by its extension, in a format that is read or not.
    Image,
    /// Anything else.
    Other,
}

impl NameKind {
    /// The kind of a name, which may have folders before it, with `/` between the parts.
    #[must_use]
    pub fn of(name: &str) -> Self {
        if is_hidden(name) {
            NameKind::Hidden
        } else if is_image_name(name) || has_extension(name, &UNREADABLE) {
            NameKind::Image
        } else {
            NameKind::Other
        }
    }
}
