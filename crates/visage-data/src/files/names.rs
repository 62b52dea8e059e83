//! File names.

use std::path::Path;

/// Whether a name, or a folder in it, is hidden or is macOS's metadata in an archive.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part == "__MACOSX" || (part.starts_with('.') && part != "." && part != ".."))
}

/// Whether a name ends in one of these extensions, in any case.
pub(crate) fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// Whether a name has the extension of an image.
pub(crate) fn is_image_name(name: &str) -> bool {
    has_extension(name, &["jpg", "jpeg", "png", "webp", "bmp", "gif"])
}
