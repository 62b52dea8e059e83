//! The networks whose numbers are in `networks.json`, and published weights.

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

/// `VISAGE_LITE0_WEIGHTS` is the path of the published weight file. CONTRIBUTING.md says how to get it.
#[test]
#[ignore = "needs a published weight file of 17 MB: see CONTRIBUTING.md"]
fn efficientnet_lite0_equals_its_published_weights() {
    let path = std::env::var("VISAGE_LITE0_WEIGHTS").expect("VISAGE_LITE0_WEIGHTS names the published weight file");
    let golden = golden("efficientnet_lite0_imagenet.json");
    let file = visage_weights::read(path.as_ref()).expect("the published weights");
    let config = NetworkConfig::new(Architecture::EfficientNetLite0, 1000);
    let (network, loaded) = config.init(0, &device()).load(Architecture::EfficientNetLite0, &file).expect("they fit");
    assert!(!loaded.classifier_replaced);
    inference_matches(&network, golden["eval_logits"].as_object().expect("an object").iter());

    let config = NetworkConfig::new(Architecture::EfficientNetLite0, 40);
    let (_, loaded) = config.init(0, &device()).load(Architecture::EfficientNetLite0, &file).expect("they fit");
    assert!(loaded.classifier_replaced, "1000 classes are not 40 attributes");
}
