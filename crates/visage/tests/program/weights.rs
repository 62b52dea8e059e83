//! `visage weights`, and weights as the beginning of a training.

use std::path::Path;

use crate::fixture::{folder, line, run, training_with, visage};

#[test]
fn a_weight_file_is_described_with_the_networks_it_fits() {
    let model = run().0.join("best.safetensors");
    let output = line(&format!("weights {}", model.display())).done();
    for part in [
        "conv_stem.weight",
        "32 x 3 x 3 x 3",
        "safetensors, ",
        "metadata: visage",
        "it fits efficientnet-lite0 (timm names), its classifier has 2 outputs",
    ] {
        assert!(output.contains(part), "{part} in\n{output}");
    }
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny_wrapped_half_dataparallel.pth");
    let json = line(&format!("weights {} --json", tiny.display())).json();
    assert_eq!(json["kind"], "PyTorch (zip)");
    assert!(json["tensors"].as_array().unwrap().iter().any(|tensor| tensor["name"] == "conv.weight"));
    assert_eq!((json["fits"].as_array().unwrap().len(), json["misfits"].as_array().unwrap().len()), (0, 3));
    let output = line(&format!("weights {}", tiny.display())).done();
    assert!(
        output.contains("it fits no network of visage") && output.contains("resnet18 (by torchvision names)"),
        "{output}"
    );
    let error = line("weights /nowhere.pth").failed(1);
    assert!(error.contains("/nowhere.pth"), "{error}");
}

#[test]
fn training_starts_from_a_model_or_a_checkpoint() {
    let folder = folder();
    for name in ["best.safetensors", "last.safetensors"] {
        let weights = format!("weights={}", run().0.join(name).display());
        let out = folder.path().join(name);
        let ran = visage(training_with(&out, &[&weights, "epochs=1"]));
        assert!(ran.stderr.contains("its classifier was kept"), "{}", ran.stderr);
        ran.done();
    }
}

#[test]
fn hub_names_are_checked_before_any_request() {
    let error = line("weights hub:resnet18").failed(1);
    assert!(error.contains("hub:OWNER/NAME"), "{error}");
    if !cfg!(feature = "hub") {
        let error = line("weights hub:timm/resnet18.a1_in1k").failed(1);
        assert!(error.contains("--features hub"), "{error}");
    }
}
