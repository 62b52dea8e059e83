//! `visage card`.

use std::fs;

use crate::fixture::{folder, line, recipe, run, squares, visage};

#[test]
fn a_card_describes_a_model_and_its_evaluation() {
    let (run, data) = (&run().0, squares().display());
    line(&format!("evaluate {} --data {data} --group-by Red", run.display())).done();
    let folder = folder();
    let path = folder.path().join("card.md");
    line(&format!("card {} --out {}", run.display(), path.display())).done();
    let card = fs::read_to_string(&path).unwrap();
    for expected in [
        "# Model card: squares on squares",
        "efficientnet-lite0",
        "64 training, 16 validation and 16 test images",
        "Not for identifying people",
        "with 95 % intervals of 1,000 bootstrap samples",
        "| Red | 0.5000 | 8 |",
        "| Red: present |",
        "(too few to tell)",
        "## Limits",
        "kind = \"one_cycle\"",
    ] {
        assert!(card.contains(expected), "{expected:?} in\n{card}");
    }
    let json = line(&format!("card {} --json", run.display())).json();
    assert_eq!((&json["model"]["attributes"][0], &json["evaluation"]["images"]), (&"Red".into(), &16.into()));
    assert_eq!(json["run"]["recipe"], "squares");
    // Every row of a table has as many cells as its heading.
    for block in card.split("\n\n").filter(|block| block.starts_with('|')) {
        let cells: Vec<usize> = block.lines().map(|line| line.matches('|').count()).collect();
        assert!(cells.windows(2).all(|pair| pair[0] == pair[1]), "{block}");
    }
}

#[test]
fn a_run_without_evaluation_has_no_card() {
    let folder = folder();
    let run = folder.path().join("run");
    let (text, data) = (run.to_str().unwrap(), squares().to_str().unwrap());
    let set = ["--set", "epochs=1"];
    let train = ["train", recipe().to_str().unwrap(), "--data", data, "--out", text];
    visage(train.into_iter().chain(set)).done();
    let error = visage(["card", text]).failed(1);
    assert!(error.contains("has no metrics") && error.contains("help: visage evaluate"), "{error}");
    assert!(!run.join("MODEL_CARD.md").exists());
    visage(["card", data]).failed(1);
}
