//! Safetensors files: exact round trips, equal bytes for equal content, and errors that name the damage.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use visage_weights::{Problem, Tensor, TensorFile, TensorValues, read, write_safetensors};

fn sample() -> TensorFile {
    let tensors = [
        ("fc.weight", Tensor::new([2, 3], vec![0.0f32, -0.0, f32::INFINITY, f32::MIN_POSITIVE / 4.0, 1.5, -7.25])),
        ("bn.num_batches_tracked", Tensor::new([], vec![i64::MIN])),
        ("random/state", Tensor::new([2], vec![u64::MAX, 0])),
        ("order", Tensor::new([3], vec![1u8, 2, 255])),
        ("empty", Tensor::new([0, 4], Vec::<f32>::new())),
    ];
    let metadata = [("card", "{\"attributes\":[\"Jung \u{1F642}\"]}"), ("format", "visage"), ("a", ""), ("z", "\n\"")];
    TensorFile {
        tensors: tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into(),
        metadata: metadata.map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
    }
}

fn written(file: &TensorFile) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    write_safetensors(&path, file).unwrap();
    fs::read(path).unwrap()
}

fn read_bytes(bytes: &[u8]) -> Result<TensorFile, Problem> {
    let folder = tempfile::tempdir().unwrap();
    // The content decides the kind, not the name.
    let path = folder.path().join("x.jpg");
    fs::write(&path, bytes).unwrap();
    read(&path).map_err(|error| error.problem)
}

/// Compares bits, so that NaN equals the same NaN and 0 differs from -0.
fn assert_same_bits(left: &TensorFile, right: &TensorFile) {
    let bits = |file: &TensorFile| -> BTreeMap<String, (Vec<usize>, String)> {
        let bits = |data: &TensorValues| match data {
            TensorValues::F32(values) => {
                format!("{:?}", values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        };
        file.tensors.iter().map(|(name, tensor)| (name.clone(), (tensor.shape.clone(), bits(&tensor.data)))).collect()
    };
    assert_eq!(bits(left), bits(right));
    assert_eq!(left.metadata, right.metadata);
}

#[test]
fn what_is_written_is_read_back() {
    let file = sample();
    assert_same_bits(&read_bytes(&written(&file)).unwrap(), &file);
    assert_eq!(written(&file), written(&sample()));
}

#[test]
fn the_format_is_as_its_specification_says() {
    let tensors = [("b", Tensor::new([2], vec![1.0f32, 2.0])), ("a", Tensor::new([], vec![7i64]))];
    let file = TensorFile {
        tensors: tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into(),
        metadata: [("format".to_owned(), "visage".to_owned())].into(),
    };
    let header = concat!(
        // Checksums as zlib.crc32 in Python gives them.
        r#"{"__metadata__":{"format":"visage","visage.crc32":"{\"metadata\":645318167,\"tensors\":{\"a\":2665980988,\"b\":3589814433}}"},"#,
        r#""a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"#,
        r#""b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#
    );
    let mut expected = header.as_bytes().to_vec();
    expected.resize(expected.len().next_multiple_of(8), b' ');
    expected.splice(0..0, (expected.len() as u64).to_le_bytes());
    expected.extend(7i64.to_le_bytes());
    expected.extend([1.0f32, 2.0].map(f32::to_le_bytes).as_flattened());
    assert_eq!(written(&file), expected);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let file = sample();
    let bytes = written(&file);
    let mut same = 0;
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(mut read) = read_bytes(&damaged) {
            // The name of the checksums became another, or a space of the padding another blank.
            read.metadata.retain(|key, _| file.metadata.contains_key(key));
            assert_same_bits(&read, &file);
            same += 1;
        }
    }
    assert!(same < 200, "{same} of {} flipped bits went unnoticed, with the same content", 8 * bytes.len());
}

#[test]
fn a_tensor_that_contradicts_itself_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    for (name, tensor) in [
        ("x", Tensor::new([2, 2], vec![1.0f32])),
        ("x", Tensor::new([usize::MAX, 2], vec![1.0f32])),
        ("__metadata__", Tensor::new([1], vec![1.0f32])),
    ] {
        let file = TensorFile { tensors: [(name.to_owned(), tensor)].into(), ..TensorFile::default() };
        let error = write_safetensors(&path, &file).unwrap_err();
        assert!(matches!(error.problem, Problem::Unwritable(_)), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_error_of_a_foreign_file_shows_its_first_bytes() {
    for (bytes, expected) in [
        (&b""[..], "it is empty"),
        (b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01", r#"it begins with "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01""#),
        (b"version https://git-lfs.github.com/spec/v1", "version https:/"),
        (b"PK\x03\x04", "it begins as a zip archive"),
        (b"\x80\x04K\x01.", "not one of PyTorch's"),
        (b"\x08\0\0\0\0\0\0\0{]      ", "its header cannot be understood"),
    ] {
        let problem = read_bytes(bytes).unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = read(Path::new("no/such.safetensors")).unwrap_err();
    assert!(error.to_string().starts_with("no/such.safetensors: "), "{error}");
    assert!(matches!(error.problem, Problem::Io(_)));
}

#[test]
fn the_error_of_a_truncated_file_states_the_lengths() {
    let bytes = written(&sample());
    let whole = bytes.len() as u64;
    let problem = read_bytes(&bytes[..bytes.len() - 1]).unwrap_err();
    assert!(
        matches!(problem, Problem::Truncated { expected, actual } if expected == whole && actual == whole - 1),
        "{problem}"
    );
    let problem = read_bytes(&bytes[..20]).unwrap_err();
    assert!(matches!(problem, Problem::Truncated { actual: 20, .. }), "{problem}");
    let problem = read_bytes(&[&bytes[..], b"surplus"].concat()).unwrap_err();
    assert!(problem.to_string().contains("7 bytes follow the last tensor"), "{problem}");
}

/// `count` cases, or `PROPTEST_CASES` where that is set: emulators and sanitizers run fewer.
fn cases(count: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(count),
    }
}

fn tensor() -> impl Strategy<Value = Tensor> {
    prop::collection::vec(0usize..4, 0..4).prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        let data = prop_oneof![
            prop::collection::vec(any::<u32>().prop_map(f32::from_bits), count).prop_map(TensorValues::F32),
            prop::collection::vec(any::<i64>(), count).prop_map(TensorValues::I64),
            prop::collection::vec(any::<u64>(), count).prop_map(TensorValues::U64),
            prop::collection::vec(any::<u8>(), count).prop_map(TensorValues::U8),
        ];
        data.prop_map(move |data| Tensor { shape: shape.clone(), data })
    })
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_tensors_are_read_back(
        tensors in prop::collection::btree_map("[^_m]\\PC{0,20}", tensor(), 0..6),
        metadata in prop::collection::btree_map("\\PC{0,10}", "(?s).{0,40}", 0..4),
    ) {
        let file = TensorFile { tensors, metadata };
        let bytes = written(&file);
        assert_same_bits(&read_bytes(&bytes).unwrap(), &file);
        prop_assert_eq!(bytes, written(&file));
    }
}
