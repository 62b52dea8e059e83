//! `visage bench`.

use crate::fixture::line;

#[test]
fn speed_and_memory_are_measured() {
    for (mode, arch, size) in [("train", "resnet18", "32"), ("infer", "efficientnet-lite0", "40x32")] {
        let command = format!("bench {mode} --arch {arch} --size {size} --batch 2 --seconds 0.1");
        let found = line(&format!("{command} --json --threads 1")).json();
        assert_eq!((&found["mode"], &found["architecture"]), (&mode.into(), &arch.into()));
        assert!(found["images_per_second"].as_f64().unwrap() > 0.0, "{found}");
        assert!(!cfg!(target_os = "linux") || found["peak_memory_bytes"].as_u64().unwrap() > 1 << 20, "{found}");
        assert!(line(&command).done().contains("images/s"));
    }
}
