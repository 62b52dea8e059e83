//! `visage compare`.

use std::fs;

use serde_json::Value;

use crate::fixture::{faces, faces_run, folder, line, run, squares};

#[test]
fn runs_stand_side_by_side() {
    let (run, data) = (run().0.display(), squares().display());
    line(&format!("evaluate {run} --data {data}")).done();
    let folder = folder();
    // The same model when it says no to everything.
    let never = folder.path().join("never.json");
    line(&format!("evaluate {run} --data {data} --threshold 1 --out {}", never.display())).done();

    let table = line(&format!("compare {run} {} --attributes", never.display())).done();
    for expected in [
        "on 16 images of the test split",
        "macro average",
        "(always the commoner class)",
        "never.json",
        "*",
        "never.json collapses: it says present for 0.00 % where 50.00 % are",
    ] {
        assert!(table.contains(expected), "{expected:?} in\n{table}");
    }
    let json: Value = line(&format!("compare {run} {} --json", never.display())).json();
    assert_eq!(json["split"], "test");
    assert_eq!(json["evaluations"], serde_json::json!(["run", "never.json"]));
    assert_eq!(json["macro_average"]["recall"]["values"][1], 0.0);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let error = line(&format!("compare {} {}", faces_run().display(), run().0.display()));
    // Either the faces were never evaluated, or another test has done so and the attributes differ.
    let error = error.failed(1);
    let expected = format!("visage evaluate {} --data {}", faces_run().display(), faces().display());
    assert!(error.contains(&expected) || error.contains("judge different attributes"), "{error}");

    let folder = folder();
    let foreign = folder.path().join("x.json");
    fs::write(&foreign, "{\n}").unwrap();
    let error = line(&format!("compare {0} {0}", foreign.display())).failed(1);
    assert!(error.contains("x.json, line 2") && error.contains("not a metrics file"), "{error}");
    line(&format!("compare {}", run().0.display())).failed(2);
}
