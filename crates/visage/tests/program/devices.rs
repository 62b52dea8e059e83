//! `visage devices` and `--device`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{Ran, folder, line, run, squares, training_with, visage};

#[test]
fn devices_are_listed() {
    let listed = line("devices --json").json();
    let devices = listed["devices"].as_array().unwrap();
    let cpu = devices.iter().find(|device| device["device"] == "cpu").expect("the CPU");
    assert_eq!(cpu["precisions"], serde_json::json!(["f32", "bf16", "f16"]));
    assert_eq!(cpu["broken"], serde_json::Value::Null);
    let cards =
        [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal")), ("vulkan", cfg!(feature = "vulkan"))];
    for (backend, compiled_in) in cards {
        let key = if compiled_in { "compiled_in" } else { "not_compiled_in" };
        assert!(listed[key].as_array().unwrap().iter().any(|name| name == backend), "{listed}");
    }
    let table = line("devices").done();
    assert!(table.lines().any(|line| line.starts_with("cpu") && line.contains("CPU")), "{table}");
}

#[test]
fn a_missing_device_is_explained() {
    let bench = |device: &str| line(&format!("bench infer --arch resnet18 --size 32 --batch 1 --device {device}"));
    for (device, message) in [
        ("gpu", "unknown device \"gpu\"; known devices: auto, cpu, cuda, metal, vulkan"),
        ("cuda:0,1", "cuda:0,1 names several devices, which only `visage train` can use together"),
    ] {
        let error = bench(device).failed(2);
        assert!(error.contains(message), "{error}");
    }
    let error = bench("cpu:1").failed(1);
    assert!(error.contains("there is no cpu:1; cpu has 1 device, counted from 0"), "{error}");
    if !cfg!(feature = "cuda") {
        let error = bench("cuda").failed(1);
        assert!(error.contains("built without cuda") && error.contains("--features cuda"), "{error}");
    }
}

/// A column of `steps.csv`.
fn column(run: &Path, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(run.join("steps.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let place = lines.next().unwrap().iter().position(|column| *column == name).unwrap();
    lines.map(|line| line[place].parse().unwrap()).collect()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert!(!found.is_empty());
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found}, not {expected}");
    }
}

fn trained_on(device: &str, arguments: Vec<String>) -> Ran {
    visage(arguments.into_iter().chain(["--device", device].map(str::to_owned)))
}

/// A batch split over devices has the loss and the gradient of the whole batch. Only batch normalisation uses the images of one
/// device, as with accumulated batches of that size.
fn assert_shares_batches(backend: &str, tolerance: f64) {
    let folder = folder();
    let one = folder.path().join("one");
    let changes =
        |batch: &'static str, accumulate: &'static str| ["epochs=1", "checkpoint_minutes=10", batch, accumulate];
    trained_on(&format!("{backend}:0"), training_with(&one, &changes("batch_size=8", "accumulate=2"))).done();
    let (losses, norms) = (column(&one, "loss"), column(&one, "gradient_norm"));
    assert_eq!(losses.len(), 4);

    let two = folder.path().join("two");
    let devices = format!("{backend}:0,0");
    trained_on(&devices, training_with(&two, &changes("batch_size=16", "accumulate=1"))).done();
    assert_near(&column(&two, "loss"), &losses, tolerance);
    assert_near(&column(&two, "gradient_norm"), &norms, tolerance * 10.0);
    let record: Value = serde_json::from_slice(&fs::read(two.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["device"], devices.as_str());
    // Inference uses one device.
    let command = format!("predict {} {}", two.display(), squares().join("images/00.png").display());
    line(&format!("{command} --device {backend}")).done();
    let error = line(&format!("{command} --device {devices}")).failed(2);
    assert!(error.contains("names several devices"), "{error}");

    // Mixed images come with their partners' labels, also in batches of odd size.
    let mixed = folder.path().join("mixed");
    let changes = ["epochs=1", "batch_size=9", "augmentation.mixup=0.5", "augmentation.cutmix=0.5"];
    trained_on(&devices, training_with(&mixed, &changes)).done();
    assert!(column(&mixed, "loss").iter().all(|loss| loss.is_finite()));
}

#[test]
fn several_devices_share_batches() {
    assert_shares_batches("cpu", 1e-5);
    let missing = folder();
    let error = trained_on("cpu:0,1", training_with(&missing.path().join("run"), &[])).failed(1);
    assert!(error.contains("there is no cpu:1; cpu has 1 device, counted from 0"), "{error}");
}

/// The probabilities of all squares by `predict`.
fn probabilities(model: &Path, options: &str) -> Vec<f64> {
    let images = squares().join("images");
    let command = format!("predict {} {} --format json {options}", model.display(), images.display());
    let rows = line(&command).done();
    rows.lines().flat_map(|row| numbers(&serde_json::from_str(row).expect("JSON"))).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        Value::Object(values) => values.values().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

/// The largest difference of a probability from that in f32, by type: as stated in docs/devices.md.
const NARROWER: [(&str, f64); 2] = [("f16", 0.005), ("bf16", 0.03)];

fn precisions(device: &str) -> Vec<Value> {
    let listed = line("devices --json").json();
    let found = listed["devices"].as_array().unwrap().iter().find(|found| found["device"] == device);
    found.unwrap()["precisions"].as_array().unwrap().clone()
}

/// Inference works in every 16-bit type that the device supports, and in no other.
fn assert_half_precision(device: &str) {
    let (model, folder) = (&run().0, folder());
    let full = probabilities(model, &format!("--device {device}"));
    for (precision, tolerance) in NARROWER {
        let how = format!("--device {device} --precision {precision}");
        let metrics = folder.path().join(format!("{precision}.json"));
        let evaluate = format!(
            "evaluate {} --data {} --out {} --json {how}",
            model.display(),
            squares().display(),
            metrics.display()
        );
        let image = squares().join("images/00.png");
        let heat = folder.path().join(precision);
        let explain =
            format!("explain {} {} --attribute Red --out {} {how}", model.display(), image.display(), heat.display());
        if !precisions(device).iter().any(|name| name == precision) {
            let error = line(&evaluate).failed(1);
            assert!(error.contains(&format!("{device} does not compute in {precision}")), "{error}");
            continue;
        }
        let half = probabilities(model, &how);
        assert_ne!(half, full);
        assert_near(&half, &full, tolerance);
        assert_eq!(line(&evaluate).json()["precision"], precision);
        assert!(line(&explain).done().contains("Red"));
    }
}

#[test]
fn inference_works_in_half_precision() {
    assert_half_precision("cpu");
}

#[cfg(feature = "vulkan")]
#[test]
fn a_missing_driver_is_named() {
    let command = ["bench", "infer", "--arch", "resnet18", "--size", "32", "--batch", "1", "--device", "vulkan"];
    let output = assert_cmd::Command::new(crate::fixture::PROGRAM)
        .args(command)
        .env("VK_ICD_FILENAMES", "/nowhere.json")
        .env("VK_DRIVER_FILES", "/nowhere.json")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(error.contains("mesa-vulkan-drivers") && error.contains("libvulkan1"), "{error}");
}

/// On a GPU, or a software Vulkan device.
#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
mod card {
    use super::*;

    /// The device named by `VISAGE_TEST_DEVICE`, or else the first of a backend that is compiled in.
    fn card() -> String {
        let backend = if cfg!(feature = "cuda") {
            "cuda"
        } else if cfg!(feature = "metal") {
            "metal"
        } else {
            "vulkan"
        };
        let named = std::env::var("VISAGE_TEST_DEVICE").unwrap_or_else(|_| backend.to_owned());
        if named.contains(':') { named } else { format!("{named}:0") }
    }

    fn on_card(arguments: Vec<String>) -> Ran {
        trained_on(&card(), arguments)
    }

    #[test]
    fn several_devices_share_batches() {
        let card = card();
        assert_shares_batches(card.split(':').next().unwrap(), 1e-3);
    }

    #[test]
    fn inference_works_in_half_precision() {
        assert_half_precision(&card());
    }

    #[test]
    fn inference_equals_that_of_the_cpu() {
        let (model, folder, card) = (&run().0, folder(), card());
        let on_card = format!("--device {card}");
        assert_near(&probabilities(model, &on_card), &probabilities(model, "--device cpu"), 1e-4);

        let (data, out) = (squares().display(), folder.path());
        let evaluated =
            |device: &str| line(&format!("evaluate {} --data {data} --json --device {device}", model.display())).json();
        assert_near(&numbers(&evaluated(&card)), &numbers(&evaluated("cpu")), 1e-3);

        let image = squares().join("images/00.png");
        let explained = format!("explain {} {} {on_card} --out {}", model.display(), image.display(), out.display());
        assert!(line(&explained).done().contains("Red"));
        let graph = out.join("model.onnx");
        line(&format!("export {} --format onnx {on_card} --out {}", model.display(), graph.display())).done();
        assert!(graph.is_file());
    }

    /// Batches with enough values for normalisation, and small steps, so that rounding errors are hardly amplified.
    const CALM: [&str; 4] = ["batch_size=16", "input.size=64", "learning_rate=2e-4", "checkpoint_minutes=10"];

    /// Training follows that on the CPU, and a run can change the device on resuming.
    #[test]
    fn training_follows_that_of_the_cpu_and_resumes_on_either() {
        let folder = folder();
        let changes = |epochs| [&CALM[..], &[epochs, "clip_norm=1"]].concat();
        let (cpu, there, both) = (folder.path().join("cpu"), folder.path().join("there"), folder.path().join("both"));
        visage(training_with(&cpu, &changes("epochs=2"))).done();
        on_card(training_with(&there, &changes("epochs=2"))).done();
        let (expected, found) = (column(&cpu, "loss"), column(&there, "loss"));
        assert_eq!(expected.len(), 8);
        assert_near(&found[..1], &expected[..1], 1e-3);
        assert_near(&found, &expected, 0.1);
        assert!(column(&there, "waiting").iter().all(|share| (0.0..=1.0).contains(share)));
        let record: Value = serde_json::from_slice(&fs::read(there.join("run.json")).unwrap()).unwrap();
        assert_eq!(record["device"], card());

        // A model trained on the GPU predicts the same on the CPU.
        let answers = |device: &str| probabilities(&there, &format!("--device {device}"));
        assert_near(&answers("cpu"), &answers(&card()), 1e-4);

        on_card(training_with(&both, &changes("epochs=1"))).done();
        let mut resumed = training_with(&both, &changes("epochs=2"));
        resumed.extend(["--resume", "--accept-changes", "--device", "cpu"].map(str::to_owned));
        visage(resumed).done();
        let found = column(&both, "loss");
        assert_eq!(found.len(), 8);
        assert_near(&found[..1], &expected[..1], 1e-3);
        assert_near(&found, &expected, 0.2);
    }

    /// Covers SGD, and steps that wait for the loss scale.
    #[test]
    fn half_precision_training_works_or_is_refused() {
        let (card, folder) = (card(), folder());
        let precisions = precisions(&card);
        for precision in ["bf16", "f16"] {
            let (half, full) = (folder.path().join(precision), folder.path().join(format!("{precision}-f32")));
            let set = format!("precision={precision}");
            let changes = [&CALM[..], &["epochs=2", "optimizer.kind=sgd", "learning_rate=1e-3"]].concat();
            let ran = on_card(training_with(&half, &[&changes[..], &[set.as_str()]].concat()));
            if precisions.iter().all(|name| name != precision) {
                let error = ran.failed(1);
                assert!(error.contains(&format!("{card} does not compute in {precision}")), "{error}");
                assert!(!half.exists());
                continue;
            }
            ran.done();
            on_card(training_with(&full, &changes)).done();
            // In f16 the first steps overflow and are skipped, until the loss scale is low enough.
            assert_near(&column(&half, "loss"), &column(&full, "loss"), 0.15);
        }
    }
}
