//! `visage weights`, and weights as the beginning of a training.

use std::path::Path;

use visage_model::Architecture;
use visage_weights::{Tensor, TensorFile, TensorValues};

use crate::fixture::{folder, line, run, squares, training_with, visage};

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
    // A run folder stands for its best checkpoint, as for every other verb.
    assert_eq!(line(&format!("weights {}", run().0.display())).done(), output);
    let empty = folder();
    let error = line(&format!("weights {}", empty.path().display())).failed(1);
    assert!(error.contains("there is no model in"), "{error}");
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny_wrapped_half_dataparallel.pth");
    let json = line(&format!("weights {} --json", tiny.display())).json();
    assert_eq!(json["kind"], "PyTorch (zip)");
    let named = |tensor: &serde_json::Value| tensor["name"] == "model_state_dict.module.conv.weight";
    assert!(json["tensors"].as_array().unwrap().iter().any(named));
    assert_eq!(
        (json["fits"].as_array().unwrap().len(), json["misfits"].as_array().unwrap().len()),
        (0, Architecture::ALL.len())
    );
    let output = line(&format!("weights {}", tiny.display())).done();
    assert!(
        output.contains("it fits no network of visage") && output.contains("not those of resnet18 (read with"),
        "{output}"
    );
    let error = line("weights /nowhere.pth").failed(1);
    assert!(error.contains("/nowhere.pth"), "{error}");
}

#[test]
fn training_starts_from_a_model_or_a_checkpoint() {
    let folder = folder();
    for name in ["best.safetensors", "last.safetensors", ""] {
        let weights = format!("weights={}", run().0.join(name).display());
        let out = folder.path().join(format!("from-{}", name.split('.').next().unwrap_or_default()));
        let ran = visage(training_with(&out, &[&weights, "epochs=1"]));
        assert!(ran.stderr.contains("its classifier was kept"), "{}", ran.stderr);
        ran.done();
    }
}

/// As PyTorch's users keep them: the network in a module, in a checkpoint with other entries, and beside an average.
#[test]
fn a_checkpoint_of_another_program_starts_a_training() {
    let folder = folder();
    let own = visage_weights::read(&run().0.join("best.safetensors")).unwrap();
    let write = |name: &str, prefixes: &[&str]| {
        let mut file = TensorFile::default();
        for (number, prefix) in prefixes.iter().enumerate() {
            let mut tensors = own.tensors.clone();
            if let Some(TensorValues::F32(values)) = tensors.get_mut("classifier.bias").map(|tensor| &mut tensor.data) {
                values[0] += number as f32;
            }
            file.tensors.extend(tensors.into_iter().map(|(key, tensor)| (format!("{prefix}{key}"), tensor)));
        }
        file.tensors.insert("n_averaged".to_owned(), Tensor::new([], vec![9i64]));
        file.tensors.insert("loss.pos_weight".to_owned(), Tensor::new([2], vec![1.0f32, 2.0]));
        let path = folder.path().join(name);
        let write = if name.ends_with("pth") { visage_weights::write_torch } else { visage_weights::write_safetensors };
        write(&path, &file).unwrap();
        path.display().to_string()
    };
    let started = |out: &str, changes: &[&str]| visage(training_with(&folder.path().join(out), changes));

    for (name, prefix) in [("a.pth", "model.net."), ("b.safetensors", "_orig_mod.module.")] {
        let path = write(name, &[prefix]);
        let shown = prefix.trim_end_matches('.');
        let output = line(&format!("weights {path}")).done();
        let part = format!("it fits efficientnet-lite0 (timm names under {shown:?}), its classifier has 2 outputs");
        assert!(output.contains(&part) && !output.contains("weights_prefix"), "{output}");
        let ran = started(&format!("run-{}", name.replace('.', "-")), &[&format!("weights={path}"), "epochs=1"]);
        let part =
            format!("from {path} (timm names under {shown:?}); its classifier was kept; another tensor of the file");
        assert!(ran.stderr.contains(&part), "{}", ran.stderr);
        ran.done();
    }

    let path = write("both.pth", &["model.", "ema.module."]);
    let output = line(&format!("weights {path}")).done();
    assert!(output.contains("--set weights_prefix=ema.module\n") && output.contains("--set weights_prefix=model\n"));
    let weights = format!("weights={path}");
    let error = started("refused", &[&weights, "epochs=1"]).failed(1);
    for part in ["both.pth", "under the prefixes \"model\", \"ema.module\"", "--set weights_prefix="] {
        assert!(error.contains(part), "{part} in\n{error}");
    }
    let ran = started("chosen", &[&weights, "weights_prefix=ema", "epochs=1"]);
    assert!(ran.stderr.contains("under \"ema.module\""), "{}", ran.stderr);
    ran.done();

    // Of another network: one short line with the file and the nearest names.
    let error = started("other", &[&format!("weights={path}"), "architecture=resnet18"]).failed(1);
    assert!(error.contains("both.pth: the weights are not those of resnet18") && error.len() < 1000, "{error}");
}

#[test]
fn hub_names_are_checked_before_any_request() {
    let error = line("weights hub:resnet18").failed(1);
    assert!(error.contains("hub:OWNER/NAME"), "{error}");
    if !cfg!(feature = "hub") {
        let error = line("weights hub:timm/resnet18.a1_in1k").failed(1);
        assert!(error.contains("--features hub"), "{error}");
        // The recipe's mean and standard deviation are not ImageNet's.
        let folder = folder();
        let train =
            format!("train baseline --data {} --out {}", squares().display(), folder.path().join("run").display());
        let error =
            line(&format!("{train} --set architecture=resnet18 --set weights=imagenet --set input.mean=[0.5,0.5,0.5]"))
                .failed(1);
        assert!(error.contains("hub:timm/resnet18.tv_in1k") && error.contains("set input.mean"), "{error}");
        let error = line(&format!("{train} --set architecture=mobilenet-v3-large --set weights=imagenet")).failed(1);
        assert!(error.contains("no ImageNet weights of mobilenet-v3-large"), "{error}");
    }
}
