//! Loading the weight files of other programs: what fits, what is replaced, and what is rejected.

use burn::tensor::{Device, Tensor};
use visage_model::{
    Architecture, CompatibleNetwork, LoadError, Model, Naming, Network, NetworkConfig, Pass, compatible_networks,
};
use visage_weights::{Tensor as FileTensor, TensorFile};

fn network(architecture: Architecture, outputs: usize, seed: u64) -> Network {
    NetworkConfig::new(architecture, outputs).init(seed, &Device::flex())
}

/// The network's tensors with another program's keys.
fn state_dict(network: &Network, architecture: Architecture, naming: Naming) -> TensorFile {
    let ours = network.tensors(architecture);
    let mut file = TensorFile::default();
    network.for_each(|path, _, _| {
        let tensor = ours[&architecture.key(architecture.namings()[0], path)].clone();
        file.tensors.insert(architecture.key(naming, path), tensor);
    });
    file
}

fn logits(network: &Network) -> Vec<f32> {
    let images = Tensor::<4>::ones([1, 32, 40, 3], &Device::flex());
    network.forward(images, Pass::Inference).into_data().try_into_vec::<f32>().expect("f32")
}

/// Keys from the programs' own state dicts.
#[test]
fn keys_are_those_of_the_programs() {
    use Architecture::{
        EfficientNetB0 as B0, EfficientNetB2 as B2, EfficientNetLite0 as Lite0, EfficientNetLite4 as Lite4,
    };
    use Architecture::{MobileNetV3Large as MobileNet, ResNet18 as ResNet, ResNet50};
    for (architecture, naming, path, key) in [
        (ResNet, Naming::Torchvision, "stem.conv.weight", "conv1.weight"),
        (ResNet, Naming::Torchvision, "stages.1.0.downsample.conv.weight", "layer2.0.downsample.0.weight"),
        (ResNet, Naming::Torchvision, "stages.3.1.second.norm.running_var", "layer4.1.bn2.running_var"),
        (ResNet50, Naming::Torchvision, "stages.2.5.third.norm.bias", "layer3.5.bn3.bias"),
        (B0, Naming::Torchvision, "blocks.0.depthwise.conv.weight", "features.1.0.block.0.0.weight"),
        (B0, Naming::Torchvision, "blocks.0.gate.reduce.bias", "features.1.0.block.1.fc1.bias"),
        (B0, Naming::Torchvision, "blocks.2.project.norm.weight", "features.2.1.block.3.1.weight"),
        (B0, Naming::Torchvision, "head.norm.bias", "features.8.1.bias"),
        (B0, Naming::Timm, "blocks.0.project.conv.weight", "blocks.0.0.conv_pw.weight"),
        (B0, Naming::Timm, "blocks.1.expand.conv.weight", "blocks.1.0.conv_pw.weight"),
        (B0, Naming::Timm, "blocks.15.project.norm.bias", "blocks.6.0.bn3.bias"),
        (B0, Naming::Timm, "blocks.15.gate.expand.weight", "blocks.6.0.se.conv_expand.weight"),
        (Lite0, Naming::Timm, "stem.conv.weight", "conv_stem.weight"),
        (Lite0, Naming::Timm, "head.norm.weight", "bn2.weight"),
        (Lite0, Naming::Timm, "classifier.output.weight", "classifier.weight"),
        (B2, Naming::Torchvision, "classifier.output.bias", "classifier.1.bias"),
        (B2, Naming::Torchvision, "blocks.3.expand.conv.weight", "features.2.1.block.0.0.weight"),
        (B2, Naming::Timm, "blocks.22.project.norm.bias", "blocks.6.1.bn3.bias"),
        (Lite4, Naming::Timm, "blocks.29.project.norm.bias", "blocks.6.0.bn3.bias"),
        (MobileNet, Naming::Torchvision, "blocks.0.project.norm.bias", "features.1.block.1.1.bias"),
        (MobileNet, Naming::Torchvision, "blocks.3.gate.reduce.weight", "features.4.block.2.fc1.weight"),
        (MobileNet, Naming::Torchvision, "blocks.14.project.conv.weight", "features.15.block.3.0.weight"),
        (MobileNet, Naming::Torchvision, "classifier.output.weight", "classifier.3.weight"),
        (Lite0, Naming::EfficientNetPytorch, "blocks.9.depthwise.norm.bias", "_blocks.9._bn1.bias"),
    ] {
        assert_eq!(architecture.key(naming, path), key, "{architecture}, {naming}");
    }
}

#[test]
fn every_naming_loads_to_the_same_network() {
    for architecture in Architecture::ALL {
        let source = network(architecture, 3, 1);
        for &naming in architecture.namings() {
            let mut file = state_dict(&source, architecture, naming);
            file.tensors.insert("bn1.num_batches_tracked".to_owned(), FileTensor::new([], vec![7i64]));
            // torchvision and timm have another head on EfficientNet-B0.
            let foreign_head = architecture == Architecture::EfficientNetB0 && naming != Naming::Original;
            if foreign_head {
                file.tensors.retain(|key, _| !key.starts_with("classifier."));
                file.tensors
                    .insert("classifier.1.weight".to_owned(), FileTensor::new([1000, 1280], vec![0.0; 1_280_000]));
            }
            let (loaded, report) = network(architecture, 3, 2).load(architecture, &file).expect("the file fits");
            assert_eq!(report.naming, naming);
            assert_eq!(report.classifier_replaced, foreign_head, "{architecture}, {naming}");
            assert_eq!(logits(&loaded) == logits(&source), !foreign_head, "{architecture}, {naming}");
        }
    }
}

#[test]
fn the_network_of_a_file_is_recognised() {
    for architecture in Architecture::ALL {
        for &naming in architecture.namings() {
            let mut file = state_dict(&network(architecture, 7, 1), architecture, naming);
            let foreign_head = architecture == Architecture::EfficientNetB0 && naming != Naming::Original;
            if foreign_head {
                file.tensors.retain(|key, _| !key.starts_with("classifier."));
            }
            let (compatible, errors) = compatible_networks(&file);
            let outputs = (!foreign_head).then_some(7);
            assert_eq!(compatible, [CompatibleNetwork { architecture, naming, prefix: String::new(), outputs }]);
            assert_eq!(errors.len(), Architecture::ALL.len() - 1);
        }
    }
    let (compatible, errors) = compatible_networks(&TensorFile::default());
    assert_eq!((compatible.len(), errors.len()), (0, Architecture::ALL.len()));
}

#[test]
fn replacing_a_classifier_of_another_width_is_reported() {
    let file = state_dict(&network(Architecture::ResNet18, 1000, 1), Architecture::ResNet18, Naming::Torchvision);
    let (loaded, report) = network(Architecture::ResNet18, 4, 2).load(Architecture::ResNet18, &file).expect("it fits");
    assert!(report.classifier_replaced);
    assert_eq!(logits(&loaded).len(), 4);
}

/// Adds the tensors of `part` to `file`, under a prefix.
fn add(file: &mut TensorFile, prefix: &str, part: &TensorFile) {
    file.tensors.extend(part.tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())));
}

#[test]
fn a_network_is_found_under_any_prefix() {
    let architecture = Architecture::EfficientNetLite0;
    let source = network(architecture, 3, 1);
    for naming in [Naming::Timm, Naming::EfficientNetPytorch] {
        let own = state_dict(&source, architecture, naming);
        for prefix in ["module", "model.resnet", "_orig_mod.module", "state_dict.model", "0.blocks.0.0", "a b.ü"] {
            let mut file = TensorFile::default();
            add(&mut file, &format!("{prefix}."), &own);
            // Of a Lightning module and of an average: neither is the network's.
            file.tensors.insert("state_dict.loss.pos_weight".to_owned(), FileTensor::new([3], vec![1.0f32; 3]));
            file.tensors.insert("n_averaged".to_owned(), FileTensor::new([], vec![9i64]));
            file.tensors.insert(format!("{prefix}.bn1.num_batches_tracked"), FileTensor::new([], vec![7i64]));
            let (loaded, report) = network(architecture, 3, 2).load(architecture, &file).expect(prefix);
            assert_eq!((report.naming, report.prefix.as_str(), report.unused), (naming, prefix, 1));
            assert!(!report.classifier_replaced && logits(&loaded) == logits(&source), "{prefix}");
            let (compatible, _) = compatible_networks(&file);
            assert_eq!(
                compatible,
                [CompatibleNetwork { architecture, naming, prefix: prefix.to_owned(), outputs: Some(3) }]
            );
        }
    }
}

#[test]
fn a_backbone_with_a_classifier_beside_it_loads_without_the_classifier() {
    let architecture = Architecture::ResNet18;
    let mut file = TensorFile::default();
    let mut backbone = state_dict(&network(architecture, 3, 1), architecture, Naming::Torchvision);
    backbone.tensors.retain(|name, _| !name.starts_with("fc."));
    add(&mut file, "model.backbone.", &backbone);
    file.tensors.insert("model.head.weight".to_owned(), FileTensor::new([3, 512], vec![0.0; 1536]));
    let (_, report) = network(architecture, 3, 2).load(architecture, &file).expect("it fits");
    assert_eq!((report.prefix.as_str(), report.classifier_replaced, report.unused), ("model.backbone", true, 1));
}

/// torchvision's EfficientNet-B0 under `backbone` and the original write-up's model have the same names but for the classifier.
#[test]
fn a_prefix_that_is_part_of_a_naming_is_no_second_network() {
    let architecture = Architecture::EfficientNetB0;
    let source = network(architecture, 3, 1);
    let original = state_dict(&source, architecture, Naming::Original);
    let mut torchvision = TensorFile::default();
    add(&mut torchvision, "backbone.", &state_dict(&source, architecture, Naming::Torchvision));
    for (file, naming, prefix) in [(original, Naming::Original, ""), (torchvision, Naming::Torchvision, "backbone")] {
        let (loaded, report) = network(architecture, 3, 2).load(architecture, &file).expect("it fits");
        assert_eq!((report.naming, report.prefix.as_str(), report.classifier_replaced), (naming, prefix, false));
        assert!(logits(&loaded) == logits(&source), "{naming}");
    }
}

#[test]
fn of_several_networks_that_fit_one_must_be_chosen() {
    let architecture = Architecture::EfficientNetLite0;
    let [weights, average] = [1, 2].map(|seed| state_dict(&network(architecture, 3, seed), architecture, Naming::Timm));
    let load = |prefix: Option<&str>, file: &TensorFile| {
        network(architecture, 3, 3)
            .load_under(prefix, architecture, file)
            .map(|(network, report)| (logits(&network), report.prefix))
    };
    let [of_weights, of_average] = [1, 2].map(|seed| logits(&network(architecture, 3, seed)));
    // In a checkpoint, and with the average inside of the network's own state dict.
    for (first, second) in [("model", "ema.module"), ("", "ema")] {
        let mut file = TensorFile::default();
        let dotted = |prefix: &str| if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        add(&mut file, &dotted(first), &weights);
        add(&mut file, &dotted(second), &average);
        let error = load(None, &file).expect_err("two networks");
        assert!(matches!(error, LoadError::Ambiguous { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("{first:?}, {second:?}")), "{text}");
        assert!(text.ends_with(&format!("--set weights_prefix={second}")), "{text}");
        for (prefix, values, found) in
            [(first, &of_weights, first), (second, &of_average, second), ("ema.", &of_average, second)]
        {
            let (loaded, report) = load(Some(prefix), &file).expect(prefix);
            assert!(loaded == *values && report == found, "{prefix:?}");
        }
        let error = load(Some("teacher"), &file).expect_err("not there").to_string();
        assert!(error.contains("\"teacher\"") && error.contains(&format!("{second:?}")), "{error}");
        assert_eq!(compatible_networks(&file).0.len(), 2);
    }
    // Equal copies are one network.
    let mut copies = TensorFile::default();
    add(&mut copies, "state_dict.net.", &weights);
    add(&mut copies, "best.", &weights);
    assert_eq!(load(None, &copies).expect("the same weights").1, "best");
}

#[test]
fn what_does_not_fit_is_one_short_message() {
    let mut file = state_dict(&network(Architecture::ResNet18, 4, 1), Architecture::ResNet18, Naming::Torchvision);
    file.tensors.remove("layer1.0.conv1.weight");
    file.tensors.insert("layer2.0.bn1.weight".to_owned(), FileTensor::new([3], vec![0.0f32; 3]));
    file.tensors.insert("layer9.extra".to_owned(), FileTensor::new([1], vec![0.0f32]));
    let error = network(Architecture::ResNet18, 4, 2).load(Architecture::ResNet18, &file).expect_err("it does not fit");
    assert!(matches!(error, LoadError::Mismatch { .. }));
    let text = error.to_string();
    assert!(text.lines().count() == 1, "{text}");
    for part in ["layer1.0.conv1.weight", "layer2.0.bn1.weight is [3], the network's is [128]", "layer9.extra"] {
        assert!(text.contains(part), "{text}");
    }
    // A larger network of the same kind, after a prefix, and another network.
    let mut larger = TensorFile::default();
    let own = state_dict(&network(Architecture::ResNet18, 4, 1), Architecture::ResNet18, Naming::Torchvision);
    add(&mut larger, "model.", &own);
    for block in 2..40 {
        larger.tensors.insert(format!("model.layer1.{block}.conv1.weight"), FileTensor::new([1], vec![0.0f32]));
    }
    let other = state_dict(&network(Architecture::EfficientNetB0, 4, 1), Architecture::EfficientNetB0, Naming::Timm);
    for (file, part) in
        [(&larger, "38 surplus (such as model.layer1.10.conv1.weight)"), (&other, "missing (such as conv1.weight)")]
    {
        let error =
            network(Architecture::ResNet18, 4, 2).load(Architecture::ResNet18, file).expect_err("it does not fit");
        let text = error.to_string();
        assert!(text.contains(part) && text.len() < 300 && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn weight_files_and_garbage_are_not_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    let file = state_dict(&network(Architecture::ResNet18, 4, 1), Architecture::ResNet18, Naming::Torchvision);
    visage_weights::write_safetensors(&path, &file).expect("written");
    let error = Model::read(&path, &Device::flex()).expect_err("no card").to_string();
    assert!(error.contains("not a visage model"), "{error}");

    let whole = std::fs::read(&path).expect("read");
    for (content, what) in [(&whole[..whole.len() / 2], "truncated"), (&b"<html>not a model</html>"[..], "foreign")] {
        std::fs::write(&path, content).expect("written");
        let error = Model::read(&path, &Device::flex()).expect_err(what).to_string();
        assert!(error.contains("weights.safetensors"), "{what}: {error}");
    }
}

/// As `fuzz/fuzz_targets/read_model.rs`, without a fuzzer.
#[test]
fn a_damaged_card_is_an_error() {
    let card = include_bytes!("../../../fuzz/seeds/read_model/card");
    let path = std::path::Path::new("damaged.safetensors");
    let read = |card: &[u8]| {
        let text = String::from_utf8_lossy(card).into_owned();
        let metadata = [("visage".to_owned(), text)].into();
        Model::from_file(path, TensorFile { metadata, ..TensorFile::default() }, &Device::flex()).map(drop)
    };
    // The undamaged card is read, and its weights are missing.
    let whole = read(card).expect_err("no weights").to_string();
    assert!(whole.contains("missing (such as"), "{whole}");
    for at in (0..card.len()).step_by(17) {
        for byte in [b'0', b'9', b'-', b'"', b'{', b']', 0xFF] {
            let mut damaged = card.to_vec();
            damaged[at] = byte;
            assert!(read(&damaged).expect_err("damaged").to_string().contains("damaged.safetensors"));
        }
        read(&card[..at]).expect_err("cut short");
    }
}
