//! Heat maps.

use visage_model::{Architecture, HeatMethod, NetworkConfig, Precision, Prepared, heat_maps, ops};

use super::{assert_close, device, engine, floats, floats_of, golden, image, network};

#[test]
fn heat_maps_equal_those_of_pytorchs_gradients() {
    let (shapes, golden) = (golden("models.json"), golden("heat_maps.json"));
    let device = device();
    let shape: [usize; 4] = serde_json::from_value(golden["shape"].clone()).expect("a shape");
    let images = image(golden["input"].as_str().expect("a name"), shape, &device);
    for (architecture, key) in
        [(Architecture::ResNet18, "resnet18"), (Architecture::EfficientNetB0, "efficientnet_b0_seed_head")]
    {
        let network = network(architecture, &shapes[key], &device);
        let cases = golden[key].as_array().expect("outputs");
        let outputs: Vec<usize> =
            cases.iter().map(|case| case["output"].as_u64().expect("a number") as usize).collect();
        let methods = [
            (HeatMethod::GradCam, "grad_cam"),
            (HeatMethod::GradCamPlusPlus, "grad_cam_plus_plus"),
            (HeatMethod::LayerCam, "layer_cam"),
            (HeatMethod::ScoreCam, "score_cam"),
        ];
        // Score-CAM's forward pass for every channel takes too long on a software device.
        let methods = if ops::has_kernels(&device) { &methods[..] } else { &methods[..3] };
        let engine = engine(&network, &images, Precision::F32);
        let image = floats_of(&images);
        for &(method, name) in methods {
            let maps = heat_maps(&network, &engine, Prepared::Normalised(&image), &outputs, method);
            for (map, case) in maps.iter().zip(cases) {
                let shape = if method == HeatMethod::LayerCam { "fine_shape" } else { "shape" };
                assert_eq!(serde_json::json!([map.size.height, map.size.width]), case[shape]);
                let found: Vec<f64> = map.values.iter().map(|&value| value.into()).collect();
                assert_close(&format!("{name} of output {}", case["output"]), &found, &floats(&case[name]), 1e-3);
            }
        }
    }
}

/// Heat maps must depend on the weights, not only on the image (Adebayo et al., "Sanity Checks for Saliency Maps", 2018).
#[test]
fn other_weights_give_other_heat_maps() {
    let device = device();
    let images = image("image/heat", [1, 3, 160, 160], &device);
    let maps = |seed: u64| {
        let network = NetworkConfig::new(Architecture::ResNet18, 40).init(seed, &device);
        let engine = engine(&network, &images, Precision::F32);
        let outputs: Vec<usize> = (0..40).collect();
        heat_maps(&network, &engine, Prepared::Normalised(&floats_of(&images)), &outputs, HeatMethod::GradCam)
    };
    let (first, other) = (maps(1), maps(2));
    let mut together: Vec<f64> =
        first.iter().zip(&other).map(|(a, b)| correlation(&ranks(&a.values), &ranks(&b.values))).collect();
    together.sort_by(f64::total_cmp);
    assert!(together[20].abs() < 0.3, "{together:?}");
}

/// The rank of each value. Ties have the mean of their ranks.
fn ranks(values: &[f32]) -> Vec<f64> {
    let count = |keep: &dyn Fn(f32) -> bool| values.iter().filter(|&&value| keep(value)).count() as f64;
    values.iter().map(|&value| count(&|other| other < value) + 0.5 * count(&|other| other == value)).collect()
}

/// Pearson's correlation, or 0 if one of the lists is constant.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (a_mean, b_mean) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| of(x - a_mean, y - b_mean)).sum::<f64>();
    let scale = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    if scale == 0.0 { 0.0 } else { sum(&|x, y| x * y) / scale }
}
