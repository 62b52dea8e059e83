//! The names of images in the output.
//!
//! A path is written as it is if it is UTF-8. On Unix it may hold any bytes: those that are not UTF-8 are written as `\xNN`, and then a
//! backslash as `\\`. A path that already reads like that is escaped too, so that no two paths have the same name.

use std::path::{Path, PathBuf};

/// The name of a path.
#[cfg(unix)]
pub(super) fn name_of(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;

    let bytes = path.as_os_str().as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(name) if unescaped(name) == bytes => name.to_owned(),
        _ => escaped(bytes),
    }
}

/// The path that has a name.
#[cfg(unix)]
pub(super) fn path_of(name: &str) -> PathBuf {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    PathBuf::from(OsString::from_vec(unescaped(name)))
}

/// The name of a path. Paths of other systems are Unicode, apart from unpaired surrogates.
#[cfg(not(unix))]
pub(super) fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// The path that has a name.
#[cfg(not(unix))]
pub(super) fn path_of(name: &str) -> PathBuf {
    PathBuf::from(name)
}

#[cfg(unix)]
fn escaped(bytes: &[u8]) -> String {
    let mut name = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        name += &chunk.valid().replace('\\', "\\\\");
        chunk.invalid().iter().for_each(|byte| name += &format!("\\x{byte:02x}"));
    }
    name
}

/// The bytes of a name. A backslash that starts no escape stands for itself.
#[cfg(unix)]
fn unescaped(name: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = match after {
            _ if *first != b'\\' => None,
            [b'\\', ..] => Some((b'\\', 2)),
            &[b'x', high, low, ..] => digit(high).zip(digit(low)).map(|(high, low)| ((high << 4 | low) as u8, 4)),
            _ => None,
        };
        let (byte, length) = escape.unwrap_or((*first, 1));
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::*;

    fn path(bytes: &[u8]) -> &Path {
        Path::new(OsStr::from_bytes(bytes))
    }

    #[test]
    fn only_what_needs_it_is_escaped() {
        let check = |bytes: &[u8], name: &str| {
            assert_eq!(name_of(path(bytes)), name);
            assert_eq!(path_of(name), path(bytes));
        };
        check(b"a/b.png", "a/b.png");
        check("Jürgen.png".as_bytes(), "Jürgen.png");
        check(br"a\b\x4.png", r"a\b\x4.png");
        check(b"J\xFCrgen.png", r"J\xfcrgen.png");
        check(br"J\xfcrgen.png", r"J\\xfcrgen.png");
        check(b"a\\b\xFF", r"a\\b\xff");
        check(br"a\\b", r"a\\\\b");
    }

    proptest! {
        #[test]
        fn no_two_paths_have_the_same_name(bytes in prop::collection::vec(prop::sample::select(b"\\xf4\xFF\xC3\xBC".to_vec()), 0..12)) {
            prop_assert_eq!(path_of(&name_of(path(&bytes))), path(&bytes));
        }
    }
}
