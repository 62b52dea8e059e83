//! `visage recipe` and `visage runs`.

use crate::fixture::{folder, line, run, visage};

#[test]
fn a_recipe_is_shown_whole_and_can_be_used_again() {
    let folder = folder();
    let shown = line("recipe show enhanced --set epochs=3").done();
    for part in ["epochs = 3", "accumulate = 1", "sampling = \"shuffle\"", "precision = \"f32\"", "layer_decay = 1.0"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let path = folder.path().join("again.toml");
    std::fs::write(&path, &shown).unwrap();
    assert_eq!(line(&format!("recipe show {}", path.display())).done(), shown);
    assert!(line("recipe show enhansed").failed(2).contains("did you mean `enhanced`?"));
}

#[test]
fn the_commonest_changes_have_options() {
    let by_set = "--set epochs=3 --set batch_size=8 --set learning_rate=2e-3 --set size=48 --set seed=7";
    let short = "--epochs 3 --batch-size 8 --lr 2e-3 --size 48 --seed 7";
    let shown = line(&format!("recipe show baseline {short}")).done();
    assert_eq!(shown, line(&format!("recipe show baseline {by_set}")).done());
    assert_eq!(shown, line(&format!("recipe show baseline {}", short.replace("--lr", "--learning-rate"))).done());
    let shown = line("recipe show baseline --epochs 3 --set epochs=4").done();
    assert!(shown.contains("epochs = 3"), "an option of its own has the last word: {shown}");
}

#[test]
fn threshold_rules_of_a_recipe_are_shown_with_their_weight_and_checked() {
    let shown = line("recipe show baseline --set thresholds=balanced").done();
    assert!(shown.contains("thresholds = \"balanced\"\naccuracy_weight = 1.0"), "{shown}");
    let shown = line("recipe show enhanced --set thresholds=balanced --set accuracy_weight=4").done();
    assert!(shown.contains("accuracy_weight = 4.0") && !shown.contains("best_f1"), "{shown}");
    for rule in ["smooth_f1", "prevalence"] {
        let shown = line(&format!("recipe show baseline --set thresholds={rule}")).done();
        assert!(shown.contains(&format!("thresholds = \"{rule}\"")) && !shown.contains("accuracy_weight"), "{shown}");
    }
    let error = line("recipe show baseline --set thresholds=balanced --set accuracy_weight=-1").failed(2);
    assert!(error.contains("at least 0 and finite"), "{error}");
    let error = line("recipe show baseline --set thresholds=smooth_f1 --set accuracy_weight=1").failed(2);
    assert!(error.contains("`accuracy_weight` means nothing with thresholds = \"smooth_f1\""), "{error}");
}

#[test]
fn two_recipes_are_told_apart_by_their_values() {
    let run = run().0.display();
    assert_eq!(line(&format!("recipe diff {run} {run}")).done(), "the recipes are the same\n");
    let table = line(&format!("recipe diff baseline {run}")).done();
    assert!(table.contains("model.architecture") && table.contains("\"efficientnet-lite0\""), "{table}");
    assert!(!table.contains("checkpoint_minutes  -"), "{table}");
    // Numbers are written as in the recipes, and not with the digits of their binary form.
    let table = line("recipe diff baseline enhanced").done();
    assert!(table.contains("[0.485, 0.456, 0.406]") && !table.contains("0.48500"), "{table}");
    let error = line("recipe show baseline --set mixup_alpha=-0.1").failed(2);
    assert!(error.contains("augmentation.mixup_alpha is -0.1; it must be above 0"), "{error}");
    let json = line("recipe diff original enhanced --json").json();
    let keys: Vec<&str> =
        json.as_array().unwrap().iter().map(|difference| difference["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"loss.alpha") && !keys.contains(&"model.architecture"), "{keys:?}");
}

#[test]
fn runs_are_listed_with_their_results() {
    let folder = run().0.parent().unwrap();
    let table = line(&format!("runs {}", folder.display())).done();
    let row = table.lines().find(|line| line.starts_with("run ")).expect("the run");
    assert!(row.contains("squares") && row.contains("finished") && row.contains("validation_loss"), "{table}");
    let json = line(&format!("runs {} --json", folder.display())).json();
    let run = json.as_array().unwrap().iter().find(|run| run["recipe"] == "squares").unwrap();
    assert_eq!((&run["result"]["epochs"], &run["monitor"]), (&3.into(), &"validation_loss".into()));
    let error = visage(["runs", "/nowhere"]).failed(1);
    assert!(error.contains("/nowhere"), "{error}");
}
