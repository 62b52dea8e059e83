//! `visage export`. What other programs make of the files is asked in `tests/onnx`.

use std::fs;

use crate::fixture::{folder, line, run};

#[test]
fn an_onnx_file_is_checked_and_written() {
    let (folder, model) = (folder(), run().0.display());
    for raw in ["", "--raw-images"] {
        let out = folder.path().join("model.onnx");
        let ran = line(&format!("export {model} --format onnx --out {} {raw}", out.display()));
        let told = ran.stderr.clone();
        ran.done();
        assert!(told.contains("checked on 4 sample images"), "{told}");
        let bytes = fs::read(&out).unwrap();
        for text in ["uses_to_avoid", "\"Red\"", "probabilities", "logits"] {
            assert!(bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
        }
        assert_eq!(bytes.windows(9).any(|window| window == b"Transpose"), !raw.is_empty());
    }
}

#[test]
fn a_state_dict_is_what_visage_itself_reads() {
    let (folder, model) = (folder(), run().0.display());
    for extension in ["pth", "safetensors"] {
        let out = folder.path().join(format!("model.{extension}"));
        line(&format!("export {model} --format torch --out {}", out.display())).done();
        let told = line(&format!("weights {}", out.display())).done();
        assert!(told.contains("efficientnet-lite0"), "{told}");
    }
    // The card is in the safetensors file, which is a model still.
    let predict = |model: &str| {
        let image = crate::fixture::squares().join("images/00.png");
        line(&format!("predict {model} {} --format csv", image.display())).done()
    };
    assert_eq!(predict(&folder.path().join("model.safetensors").display().to_string()), predict(&model.to_string()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (folder, model) = (folder(), run().0.display());
    let out = folder.path().join("model.bin");
    let error = line(&format!("export {model} --format torch --out {}", out.display())).failed(1);
    assert!(error.contains("model.bin: a state dict is written as .pth, .pt or .safetensors"), "{error}");
    let error = line(&format!("export {model} --format torch --raw-images")).failed(2);
    assert!(error.contains("--raw-images goes with --format onnx"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
