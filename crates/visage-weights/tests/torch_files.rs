//! Corner cases of PyTorch's formats, in files that `files/make.py` wrote with Python's own pickler.

use std::path::{Path, PathBuf};

use visage_weights::{Problem, Tensor, TensorFile, WeightsError, read};

fn file(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files")).join(name)
}

fn network() -> TensorFile {
    let tied = Tensor::new([2, 3], vec![0.5f32, -1.0, 2.0, 0.25, 8.0, -0.125]);
    let tensors = [
        ("embed.weight", tied.clone()),
        ("decode.weight", tied),
        ("column.weight", Tensor::new([2], vec![-1.0f32, 8.0])),
        ("bn.bias", Tensor::new([2], vec![1.5f32, 2.5])),
        ("bn.num_batches_tracked", Tensor::new([], vec![7i64])),
    ];
    TensorFile { tensors: tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into(), ..TensorFile::default() }
}

fn problem(name: &str) -> WeightsError {
    let path = file(name);
    let error = read(&path).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", path.display())), "{error}");
    error
}

#[test]
fn every_format_holds_the_same_network() {
    for (name, prefix) in [
        ("legacy.pth", ""),
        ("legacy_training_protocol4.pth", "state_dict."),
        ("zip_training_protocol5.pth", "state_dict."),
    ] {
        let mut expected = TensorFile::default();
        expected
            .tensors
            .extend(network().tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
        // Nothing of the optimiser: its state is numbered, not named.
        assert_eq!(read(&file(name)).unwrap(), expected, "{name}");
    }
}

#[test]
fn an_element_type_without_a_storage_class() {
    let file = read(&file("zip_untyped.pth")).unwrap();
    assert_eq!(file.tensors["counts"], Tensor::new([1], vec![1u64]));
}

#[test]
fn a_part_of_a_storage_as_old_pytorch_described_it() {
    let file = read(&file("legacy_part.pth")).unwrap();
    assert_eq!(file.tensors["part"], Tensor::new([2], vec![3.0f32, 4.0]));
}

#[test]
fn a_pickle_is_never_executed() {
    for name in ["attack.pth", "attack_legacy.pth"] {
        let error = problem(name);
        assert!(matches!(&error.problem, Problem::Code { global } if global == "posix.system"), "{error}");
    }
}

#[test]
fn unsupported_content_is_named() {
    for (name, expected) in
        [("zip_compressed.pth", "is compressed, which PyTorch never does"), ("zip_complex.pth", "complex64")]
    {
        let error = problem(name);
        assert!(matches!(&error.problem, Problem::Unsupported(what) if what.contains(expected)), "{error}");
    }
}
