//! `visage demo`.

use crate::fixture::{folder, line};

#[test]
fn the_demo_goes_all_the_way() {
    let folder = folder();
    let out = folder.path().join("demo");
    let ran = line(&format!("demo --out {} --images 600 --epochs 1 --size 32", out.display()));
    let output = ran.done();
    for expected in ["macro average", "baseline", "enhanced", "(majority class)", "next: visage predict"] {
        assert!(output.contains(expected), "{expected:?} in\n{output}");
    }
    for file in
        ["faces/Anno/list_attr_celeba.txt", "baseline/best.safetensors", "enhanced/metrics-test.json", "report.html"]
    {
        assert!(out.join(file).is_file(), "{file}");
    }
    assert!(line(&format!("compare {0}/baseline {0}/enhanced", out.display())).done().contains("enhanced"));
}
