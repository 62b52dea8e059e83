//! Sparse files above 4 GiB: every offset must be wider than 32 bits.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use visage_weights::{Tensor, TensorFile, read};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// More than 32 bits can represent.
const HOLE: u64 = (4 << 30) + (1 << 20);

fn small(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files")).join(name)
}

/// A file in which zeros are skipped instead of written.
struct Sparse(File);

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|&byte| byte == 0) {
            self.0.seek(SeekFrom::Current(bytes.len() as i64))?;
            Ok(bytes.len())
        } else {
            self.0.write(bytes)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Read for Sparse {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

fn sparse(path: &Path) -> Sparse {
    Sparse(File::options().create(true).truncate(true).read(true).write(true).open(path).unwrap())
}

#[test]
fn a_zip_with_a_storage_above_4_gib_before_the_networks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.pth");
    let source = small("zip_training_protocol5.pth");
    let mut small = ZipArchive::new(File::open(&source).unwrap()).unwrap();
    let mut large = ZipWriter::new(sparse(&path));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    // The optimiser's storage, which the network does not need.
    large.start_file("archive/data/999", options).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..HOLE >> 20 {
        large.write_all(&zeros).unwrap();
    }
    for index in 0..small.len() {
        let mut entry = small.by_index(index).unwrap();
        large.start_file(entry.name().unwrap(), options).unwrap();
        io::copy(&mut entry, &mut large).unwrap();
    }
    large.finish().unwrap();
    assert!(fs::metadata(&path).unwrap().len() > HOLE);
    assert_eq!(read(&path).unwrap(), read(&source).unwrap());
}

#[test]
fn an_old_file_with_a_storage_above_4_gib_before_the_networks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.pth");
    let source = small("legacy_training_protocol4.pth");
    let bytes = fs::read(&source).unwrap();
    // The optimiser's storage: its number of elements, and six nines.
    let mut storage = 6u64.to_le_bytes().to_vec();
    storage.extend([9.0f32; 6].map(f32::to_le_bytes).as_flattened());
    let at = bytes.windows(storage.len()).position(|window| window == storage).expect("the optimiser's storage");
    let mut large = sparse(&path);
    large.write_all(&bytes[..at]).unwrap();
    large.write_all(&(HOLE / 4).to_le_bytes()).unwrap();
    large.seek(SeekFrom::Current(HOLE as i64)).unwrap();
    large.write_all(&bytes[at + storage.len()..]).unwrap();
    assert!(fs::metadata(&path).unwrap().len() > HOLE);
    assert_eq!(read(&path).unwrap(), read(&source).unwrap());

    // A file that is one byte too short is refused before memory of that size is allocated.
    let length = fs::metadata(&path).unwrap().len();
    large.0.set_len(length - 1).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains(&format!("needs {length} bytes")), "{error}");
}

#[test]
#[ignore = "takes 5 GiB of memory"]
fn safetensors_above_2_gib() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let length = (2u64 << 30) + 16;
    let header = format!(
        r#"{{"a":{{"dtype":"U8","shape":[{length}],"data_offsets":[0,{length}]}},"b":{{"dtype":"F32","shape":[2],"data_offsets":[{length},{}]}}}}"#,
        length + 8
    );
    let mut file = sparse(&path);
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.seek(SeekFrom::Current(length as i64)).unwrap();
    file.write_all([0.5f32, -3.0].map(f32::to_le_bytes).as_flattened()).unwrap();
    let TensorFile { tensors, .. } = read(&path).unwrap();
    assert_eq!(tensors["a"].data.len() as u64, length);
    assert_eq!(tensors["b"], Tensor::new([2], vec![0.5f32, -3.0]));
}
