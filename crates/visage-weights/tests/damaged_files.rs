//! Damaged files, by the thousand: an error or a tensor, never a panic, never memory that the file cannot account for.
//!
//! One test, alone in its program, so that the memory it watches is its own.

use std::fs;
use std::io::{Seek, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use visage_weights::{Tensor, TensorFile, TensorValues, read, write_safetensors};

/// Many times the small files' size and the reader's buffers; far below what a damaged length can ask for.
const MOST_MEMORY_KIB: u64 = 64 << 10;

/// The most address space this program ever had, in KiB; nothing where the system does not say.
fn most_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// A small generator of chance (splitmix64), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// Whether the file was read; every tensor must then be whole.
fn try_read(damaged: &mut NamedTempFile, bytes: &[u8]) -> bool {
    // One file, kept open: replacing a file forty thousand times takes minutes on some file systems.
    damaged.rewind().unwrap();
    damaged.write_all(bytes).unwrap();
    damaged.as_file().set_len(bytes.len() as u64).unwrap();
    match read(damaged.path()) {
        Ok(file) => {
            for (name, tensor) in &file.tensors {
                assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len(), "{name}");
            }
            true
        }
        Err(error) => {
            assert!(error.to_string().len() < 1000, "{error}");
            false
        }
    }
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut damaged = NamedTempFile::new().unwrap();
    let ours = folder.path().join("ours.safetensors");
    let tensors =
        [("fc.weight", Tensor::new([2, 3], vec![0.5f32; 6])), ("steps", Tensor::new([], TensorValues::I64(vec![7])))];
    let file = TensorFile {
        tensors: tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into(),
        metadata: [("card".to_owned(), "{}".to_owned())].into(),
    };
    write_safetensors(&ours, &file).unwrap();

    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![ours];
    let golden = ["tiny_state_dict.pth", "tiny_wrapped_half_dataparallel.pth", "tiny_noncontiguous.pth"];
    files.extend(golden.map(|name| here.join("../../tests/golden").join(name)));
    let made = ["legacy.pth", "legacy_training_protocol4.pth", "legacy_part.pth", "zip_training_protocol5.pth"];
    files.extend(made.map(|name| here.join("tests/files").join(name)));

    let before = most_memory_kib();
    for file in &files {
        damage(file, &mut damaged);
    }
    let grown = most_memory_kib() - before;
    assert!(grown < MOST_MEMORY_KIB, "reading small damaged files took {grown} KiB");
}

fn damage(file: &Path, damaged: &mut NamedTempFile) {
    let whole = fs::read(file).unwrap();
    assert!(try_read(damaged, &whole), "{}", file.display());

    for length in 0..whole.len() {
        assert!(!try_read(damaged, &whole[..length]), "{} of {length} bytes", file.display());
    }
    let mut chance = Chance(whole.len() as u64);
    for _ in 0..4000 {
        let mut bytes = whole.clone();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len());
            // Lengths are most dangerous where they are large.
            bytes[at] = if chance.below(4) == 0 { 0xFF } else { chance.below(256) as u8 };
        }
        try_read(damaged, &bytes);
    }
}
