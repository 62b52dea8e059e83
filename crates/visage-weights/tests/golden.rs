//! Files written by PyTorch, compared with the formula of their values (tests/golden/README.md).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use visage_weights::{Tensor, TensorFile, TensorValues, read};

fn golden(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden")).join(name)
}

/// `count` numbers in [0, 1) for a name, from which the golden values are made.
fn uniform(name: &str, count: usize) -> Vec<f32> {
    let state = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    (1..=count as u64)
        .map(|k| {
            let mut z = state.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 40) as f32 / 16_777_216.0
        })
        .collect()
}

/// The tensor of a key by the formula. The number of batches has no formula and is 7 in these files.
fn expected(key: &str, shape: &[usize]) -> Tensor {
    if key.ends_with("num_batches_tracked") {
        return Tensor::new(shape, vec![7i64]);
    }
    let fan_in: usize = shape[1..].iter().product();
    let factor = (3.0 / fan_in as f64).sqrt() as f32;
    let value = |u: f32| match key {
        "bn.running_var" => 1.0 + 0.5 * u,
        "bn.weight" => 1.0 + 0.1 * (2.0 * u - 1.0),
        key if key.ends_with("weight") => factor * (2.0 * u - 1.0),
        _ => 0.1 * (2.0 * u - 1.0),
    };
    let values: Vec<f32> = uniform(key, shape.iter().product()).into_iter().map(value).collect();
    Tensor::new(shape, values)
}

/// The formula in f32 arithmetic is reproduced to the last bit or the one before.
const ROUNDING: f32 = 2.0 * f32::EPSILON;

/// The tensors in Lightning's checkpoint that are not the network's.
const LIGHTNING: [&str; 2] =
    ["callbacks.EarlyStopping{'monitor': 'nothing', 'mode': 'min'}.best_score", "state_dict.loss.pos_weight"];

const KEYS: [(&str, &[usize]); 8] = [
    ("bn.bias", &[4]),
    ("bn.num_batches_tracked", &[]),
    ("bn.running_mean", &[4]),
    ("bn.running_var", &[4]),
    ("bn.weight", &[4]),
    ("conv.weight", &[4, 3, 3, 3]),
    ("fc.bias", &[2]),
    ("fc.weight", &[2, 4]),
];

/// Asserts that the file has the network's tensors under a prefix, and beside them `others`.
fn assert_follows_formula(file: &TensorFile, prefix: &str, others: &[&str], tolerance: f32) {
    let named = |key: &str| format!("{prefix}{key}");
    let mut names: Vec<String> = KEYS.iter().map(|(key, _)| named(key)).collect();
    names.extend(others.iter().map(ToString::to_string));
    names.sort();
    assert_eq!(file.tensors.keys().cloned().collect::<Vec<_>>(), names);
    for (key, shape) in KEYS {
        let (got, expected) = (&file.tensors[&named(key)], expected(key, shape));
        assert_eq!(got.shape, expected.shape, "{key}");
        match (&got.data, &expected.data) {
            (TensorValues::F32(got), TensorValues::F32(expected)) => {
                assert_eq!(got.len(), expected.len(), "{key}");
                for (got, expected) in got.iter().zip(expected) {
                    assert!((got - expected).abs() <= tolerance * expected.abs(), "{key}: {got}, not {expected}");
                }
            }
            (got, expected) => assert_eq!(got, expected, "{key}"),
        }
    }
}

#[test]
fn a_plain_state_dict() {
    assert_follows_formula(&read(&golden("tiny_state_dict.pth")).unwrap(), "", &[], ROUNDING);
}

#[test]
fn a_wrapped_state_dict_of_a_parallel_network_in_half_precision() {
    // Half precision keeps eleven bits.
    let file = read(&golden("tiny_wrapped_half_dataparallel.pth")).unwrap();
    assert_follows_formula(&file, "model_state_dict.module.", &[], 1.0 / 2048.0);
}

/// Checkpoints of PyTorch and Lightning, which `tests/files/make_torch.py` wrote.
#[test]
fn checkpoints_with_the_network_under_a_key() {
    let file = |name: &str| {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files"));
        read(&folder.join(name)).unwrap()
    };
    assert_follows_formula(&file("torch_net.pth"), "net.", &[], ROUNDING);
    assert_follows_formula(&file("torch_averaged.pth"), "module.module.", &["n_averaged"], ROUNDING);
    let lightning = file("torch_lightning.ckpt");
    assert_follows_formula(&lightning, "state_dict.model.", &LIGHTNING, ROUNDING);

    let averages = KEYS.map(|(key, _)| format!("ema.{key}"));
    let mut others: Vec<&str> = averages.iter().map(String::as_str).collect();
    others.push("step");
    let both = file("torch_ema_legacy.pth");
    assert_follows_formula(&both, "model._orig_mod.module.", &others, ROUNDING);
    assert_ne!(both.tensors["ema.fc.bias"], both.tensors["model._orig_mod.module.fc.bias"]);
}

#[test]
fn transposed_and_strided_views() {
    let file = read(&golden("tiny_noncontiguous.pth")).unwrap();
    assert_eq!(file.tensors.len(), 2);
    // Rows and columns exchanged: the storage is the (2, 4) matrix of the formula.
    let matrix = expected("fc.weight", &[2, 4]);
    let matrix = matrix.data.as_f32().unwrap();
    let transposed = &file.tensors["fc.weight"];
    assert_eq!(transposed.shape, [4, 2]);
    let values = transposed.data.as_f32().unwrap();
    for row in 0..4 {
        for column in 0..2 {
            let (got, expected) = (values[row * 2 + column], matrix[column * 4 + row]);
            assert!((got - expected).abs() <= 2.0 * f32::EPSILON * expected.abs(), "{got}, not {expected}");
        }
    }
    // arange(24).view(4, 6)[1:3, ::2].
    assert_eq!(file.tensors["view"], Tensor::new([2, 3], vec![6.0f32, 8.0, 10.0, 12.0, 14.0, 16.0]));
}

/// `written_state_dict.py` looks at the file with PyTorch: bytes that PyTorch has read are the bytes to write.
#[test]
fn a_state_dict_that_pytorch_has_read() {
    let tensor = |shape: &[usize], data: TensorValues| Tensor { shape: shape.to_vec(), data };
    let numbers = |key: &str, shape: &[usize]| tensor(shape, TensorValues::F32(uniform(key, shape.iter().product())));
    let tensors = [
        ("conv.weight", numbers("conv.weight", &[4, 3, 3, 2])),
        ("norm.num_batches_tracked", tensor(&[], TensorValues::I64(vec![1 << 40]))),
        ("bytes", tensor(&[2, 2], TensorValues::U8(vec![0, 1, 128, 255]))),
        ("nothing", numbers("nothing", &[0, 5])),
        ("Größe", numbers("Größe", &[7])),
    ];
    let tensors = tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
    let file = TensorFile { tensors, metadata: BTreeMap::from([("left".to_owned(), "out".to_owned())]) };
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("written_state_dict.pth");
    visage_weights::write_torch(&path, &file).unwrap();
    let (found, expected) = (fs::read(&path).unwrap(), fs::read(golden("written_state_dict.pth")).unwrap());
    assert!(
        found == expected,
        "{} is another file: look at it with tests/golden/written_state_dict.py",
        path.display()
    );
    assert_eq!(visage_weights::read(&path).unwrap().tensors, file.tensors);
}
