//! Thousands of damaged files: an error or whole tensors, never a panic, never more memory than the file justifies.
//!
//! This is a program of its own, so that no other test uses memory while it is measured.

use std::fs;
use std::io::{Seek, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use visage_weights::{Tensor, TensorFile, TensorValues, read, write_safetensors};

/// Many times the size of the small files and the reader's buffers; far below what a damaged length can request.
const MAX_MEMORY_KIB: u64 = 64 << 10;

/// The peak address space of this program in KiB; 0 where the system does not report it.
fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// A small random number generator (splitmix64), so that failures are reproducible.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// Whether the file could be read. Every tensor must then be whole.
fn try_read(damaged: &mut NamedTempFile, bytes: &[u8]) -> bool {
    // The file stays open, because replacing a file forty thousand times takes minutes on some file systems.
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

    let before = peak_memory_kib();
    for file in &files {
        damage(file, &mut damaged);
    }
    let grown = peak_memory_kib() - before;
    assert!(grown < MAX_MEMORY_KIB, "reading small damaged files took {grown} KiB");
}

fn damage(file: &Path, damaged: &mut NamedTempFile) {
    let whole = fs::read(file).unwrap();
    assert!(try_read(damaged, &whole), "{}", file.display());

    for length in 0..whole.len() {
        assert!(!try_read(damaged, &whole[..length]), "{} of {length} bytes", file.display());
    }
    let mut random = Random(whole.len() as u64);
    for _ in 0..4000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            // Large lengths are the most dangerous.
            bytes[at] = if random.below(4) == 0 { 0xFF } else { random.below(256) as u8 };
        }
        try_read(damaged, &bytes);
    }
}
