//! The networks whose numbers are in `networks.json`, and published weights.

use std::path::Path;

use serde_json::{Map, Value, json};
use visage_model::{Architecture, Kind, NetworkConfig};

use super::{cases, device, golden, inference_matches, network, train_step_matches};

/// The golden numbers of a network in the form of `models.json`. `networks.json` has lists in the order of the sorted keys instead of
/// the keys, and a hash of keys and shapes.
fn keyed(architecture: Architecture, numbers: &Value) -> Value {
    let tensors = NetworkConfig::new(architecture, 40).init(0, &device()).tensors(architecture);
    let lines: String = tensors.iter().map(|(key, tensor)| format!("{key} {:?}\n", tensor.shape)).collect();
    let hash = format!("{:016x}", super::fnv1a(&lines));
    assert_eq!((json!(tensors.len()), json!(hash)), (numbers["tensors"].clone(), numbers["keys"].clone()), "{lines}");
    let by_key = |name: &str, kind: Kind| {
        let list = numbers["train_step"][name].as_array().expect("a list");
        let keys: Vec<&String> = tensors.keys().filter(|key| Kind::of(key) == kind).collect();
        assert_eq!(keys.len(), list.len(), "{name}");
        Value::Object(keys.into_iter().cloned().zip(list.iter().cloned()).collect::<Map<_, _>>())
    };
    let mut keyed = numbers.clone();
    keyed["state_dict"] = tensors.iter().map(|(key, tensor)| (key.clone(), json!(tensor.shape))).collect();
    keyed["train_step"]["grad_l2"] = by_key("grad_l2", Kind::Parameter);
    keyed["train_step"]["running_stat_l2"] = by_key("running_stat_l2", Kind::RunningStatistic);
    keyed
}

/// Logits, gradients and running statistics of an architecture are those of the network in Python.
fn equals(architecture: Architecture, name: &str) {
    let golden = keyed(architecture, &golden("networks.json")[name]);
    inference_matches(&network(architecture, &golden, &device()), cases(&golden));
    train_step_matches(architecture, &golden);
}

#[test]
fn resnet34_equals_torchvision() {
    equals(Architecture::ResNet34, "resnet34");
}

#[test]
fn resnet50_equals_torchvision() {
    equals(Architecture::ResNet50, "resnet50");
}

#[test]
fn efficientnet_b1_equals_torchvision() {
    equals(Architecture::EfficientNetB1, "efficientnet_b1");
}

#[test]
fn efficientnet_b2_equals_torchvision() {
    equals(Architecture::EfficientNetB2, "efficientnet_b2");
}

#[test]
fn efficientnet_b3_equals_torchvision() {
    equals(Architecture::EfficientNetB3, "efficientnet_b3");
}

#[test]
fn efficientnet_lite1_equals_timm() {
    equals(Architecture::EfficientNetLite1, "tf_efficientnet_lite1");
}

#[test]
fn efficientnet_lite2_equals_timm() {
    equals(Architecture::EfficientNetLite2, "tf_efficientnet_lite2");
}

#[test]
fn efficientnet_lite3_equals_timm() {
    equals(Architecture::EfficientNetLite3, "tf_efficientnet_lite3");
}

#[test]
fn efficientnet_lite4_equals_timm() {
    equals(Architecture::EfficientNetLite4, "tf_efficientnet_lite4");
}

#[test]
fn mobilenet_v3_large_equals_torchvision() {
    equals(Architecture::MobileNetV3Large, "mobilenet_v3_large");
}

/// `VISAGE_LITE_WEIGHTS` is a folder with the published weight files of Lite0 to Lite2. CONTRIBUTING.md says how to get them.
#[test]
#[ignore = "needs published weight files of 60 MB: see CONTRIBUTING.md"]
fn efficientnet_lite_networks_equal_their_published_weights() {
    let folder =
        std::env::var("VISAGE_LITE_WEIGHTS").expect("VISAGE_LITE_WEIGHTS names the folder of the weight files");
    let published = golden("efficientnet_lite_imagenet.json");
    for (architecture, file, golden) in [
        (
            Architecture::EfficientNetLite0,
            "efficientnet-lite0-57934424.pth",
            &golden("efficientnet_lite0_imagenet.json"),
        ),
        (Architecture::EfficientNetLite1, "efficientnet-lite1-77cc7160.pth", &published["efficientnet-lite1"]),
        (Architecture::EfficientNetLite2, "efficientnet-lite2-9656183e.pth", &published["efficientnet-lite2"]),
    ] {
        let file = visage_weights::read(&Path::new(&folder).join(file)).expect("the published weights");
        let config = NetworkConfig::new(architecture, 1000);
        let (network, loaded) = config.init(0, &device()).load(architecture, &file).expect("they fit");
        assert!(!loaded.classifier_replaced);
        inference_matches(&network, golden["eval_logits"].as_object().expect("an object").iter());

        let config = NetworkConfig::new(architecture, 40);
        let (_, loaded) = config.init(0, &device()).load(architecture, &file).expect("they fit");
        assert!(loaded.classifier_replaced, "1000 classes are not 40 attributes");
    }
}
