use proptest::prelude::*;
use visage_data::{Resize, Size, Weighting};
use visage_judge::ThresholdRule;
use visage_model::Architecture;

use super::*;

fn baseline() -> Recipe {
    Recipe::load("baseline").unwrap()
}

const SHORTEST: &str = "[model]\narchitecture = \"resnet18\"\n[input]\nsize = 64\n";

#[test]
fn shipped_recipes_load_and_bear_their_names() {
    for name in Recipe::shipped() {
        assert_eq!(Recipe::load(name).unwrap().name, name);
    }
}

#[test]
fn original_is_the_write_ups_final_model() {
    let recipe = Recipe::load("original").unwrap();
    assert_eq!(recipe.model.architecture, Architecture::EfficientNetB0);
    assert_eq!(recipe.input.preparation().output_size(), Size { height: 218, width: 178 });
    assert_eq!(recipe.loss.kind, LossKind::Focal { alpha: 0.25, gamma: 2.0 });
    assert_eq!(recipe.loss.weighting, Weighting::None);
    assert_eq!(recipe.optimizer.kind, OptimizerKind::Adamw { betas: [0.9, 0.999], epsilon: 1e-8 });
    assert_eq!((recipe.optimizer.learning_rate, recipe.optimizer.weight_decay), (3e-4, 0.01));
    assert_eq!(recipe.schedule, ScheduleRecipe::OneCycle(OneCycle::default()));
    let TrainingRecipe { epochs, batch_size, monitor, patience, .. } = recipe.training;
    assert_eq!((epochs, batch_size, monitor, patience), (10, 64, Monitor::ValidationLoss, Some(5)));
    assert_eq!(recipe.evaluation.thresholds, ThresholdSource::Fixed(0.5));
    let augmentation = recipe.augmentation.augmentation();
    assert_eq!(augmentation.flip, 0.5);
    let noise = augmentation.noise.unwrap();
    assert_eq!((noise.probability, noise.variance), (0.2, [10.0, 50.0]));
}

#[test]
fn resolved_recipes_round_trip_and_spell_everything_out() {
    for name in Recipe::shipped() {
        let recipe = Recipe::load(name).unwrap();
        let text = recipe.to_toml().unwrap();
        assert_eq!(Recipe::parse(&text, "resolved", "other").unwrap(), recipe, "{text}");
        assert!(text.contains("betas = ") && text.contains("seed = 0"), "{text}");
    }
}

#[test]
fn a_short_file_takes_the_defaults_and_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fs::write(&path, SHORTEST).unwrap();
    let recipe = Recipe::load(path.to_str().unwrap()).unwrap();
    assert_eq!(recipe.name, "mine");
    assert_eq!(recipe.loss.kind, LossKind::Bce);
    assert_eq!(recipe.training, TrainingRecipe::default());
    let preparation = recipe.input.preparation();
    assert_eq!((preparation.resize, preparation.crop), (Resize::Exact(Size::square(64)), None));
}

#[test]
fn overrides_change_what_they_name() {
    type Check = fn(&Recipe) -> bool;
    let table: [(&[&str], Check); 35] = [
        (&["training.epochs=3"], |r| r.training.epochs == 3),
        (&["epochs = 3"], |r| r.training.epochs == 3),
        (&["learning_rate=3e-3"], |r| r.optimizer.learning_rate == 3e-3),
        (&["learning_rate=1"], |r| r.optimizer.learning_rate == 1.0),
        (&["size=64x48"], |r| r.input.size == Size { height: 64, width: 48 }),
        (&["size=96"], |r| r.input.size == Size::square(96)),
        (&["mean=[0.1, 0.2, 0.3]"], |r| r.input.mean == [0.1, 0.2, 0.3]),
        (&["name=2026"], |r| r.name == "2026"),
        (&["weights=a b.pth"], |r| r.model.weights.as_deref() == Some(Path::new("a b.pth"))),
        (&["weights=a.pth", "weights=none"], |r| r.model.weights.is_none()),
        (&["weights=a.pth", "weights_prefix=ema"], |r| r.model.weights_prefix.as_deref() == Some("ema")),
        (&["weights=a.pth", "weights_prefix="], |r| r.model.weights_prefix.as_deref() == Some("")),
        (&["checkpoint_minutes=none"], |r| r.training.checkpoint_minutes.is_none()),
        (&["size=96", "shorter_side=100"], |r| r.input.preparation().resize == Resize::ShorterSide(100)),
        (&["loss.kind=focal"], |r| r.loss.kind == LossKind::Focal { alpha: 0.5, gamma: 2.0 }),
        (&["alpha=0.3", "loss.kind=focal"], |r| r.loss.kind == LossKind::Focal { alpha: 0.3, gamma: 2.0 }),
        (&["weighting_beta=0.99", "weighting=effective_number"], |r| {
            r.loss.weighting == Weighting::EffectiveNumber { beta: 0.99 }
        }),
        (&["schedule.kind=one_cycle", "anneal=linear"], |r| r.schedule != ScheduleRecipe::CONSTANT),
        (&["momentum=0.8", "optimizer.kind=sgd"], |r| {
            r.optimizer.kind == OptimizerKind::Sgd { momentum: 0.8, nesterov: false }
        }),
        (&["optimizer.kind=adamw"], |r| r.optimizer.kind.momentum() == 0.9),
        (&["clip_norm=1.5"], |r| r.optimizer.clip_norm == Some(1.5)),
        (&["decay_norms_and_biases=false", "layer_decay=0.8"], |r| {
            !r.optimizer.decay_norms_and_biases && r.optimizer.layer_decay == 0.8
        }),
        (&["schedule.kind=cosine", "warmup_epochs=0.5"], |r| {
            let decay = DecayRecipe::Cosine { final_factor: 0.0 };
            r.schedule == ScheduleRecipe::Decay { warmup_epochs: 0.5, warmup_start: 0.01, decay }
        }),
        (&["schedule.kind=plateau", "factor=0.5"], |r| r.schedule.plateau().is_some_and(|p| p.factor == 0.5)),
        (&["schedule.kind=step", "step_epochs=4"], |r| r.schedule.plateau().is_none()),
        (&["ema_decay=0.99", "accumulate=2", "sampling=balanced"], |r| {
            (r.training.ema_decay, r.training.accumulate) == (Some(0.99), 2)
        }),
        (&["precision=bf16", "label_smoothing=0.1"], |r| r.loss.label_smoothing == 0.1),
        (&["weights=a.pth", "freeze_norms=true", "freeze_backbone_epochs=1"], |r| r.training.freeze_norms),
        (&["wanted_recall=0.9", "thresholds=recall"], |r| {
            r.evaluation.thresholds == ThresholdSource::Chosen(ThresholdRule::Recall(0.9))
        }),
        (&["thresholds=precision"], |r| {
            r.evaluation.thresholds == ThresholdSource::Chosen(ThresholdRule::Precision(0.8))
        }),
        (&["accuracy_weight=4", "thresholds=balanced"], |r| {
            r.evaluation.thresholds == ThresholdSource::Chosen(ThresholdRule::Balanced(4.0))
        }),
        (&["thresholds=balanced"], |r| {
            r.evaluation.thresholds == ThresholdSource::Chosen(ThresholdRule::Balanced(1.0))
        }),
        (&["thresholds=smooth_f1"], |r| r.evaluation.thresholds == ThresholdSource::Chosen(ThresholdRule::SmoothF1)),
        (&["thresholds=prevalence"], |r| r.evaluation.thresholds == ThresholdSource::Chosen(ThresholdRule::Prevalence)),
        (&["thresholds=best_f1"], |r| r.evaluation.thresholds == ThresholdSource::Chosen(ThresholdRule::BestF1)),
    ];
    for (assignments, check) in table {
        let mut recipe = baseline();
        recipe.set_all(assignments).unwrap_or_else(|error| panic!("{assignments:?}: {error}"));
        assert!(check(&recipe), "{assignments:?}: {recipe:?}");
        assert_eq!(Recipe::parse(&recipe.to_toml().unwrap(), "", "").unwrap(), recipe);
    }
}

#[test]
fn a_choice_takes_out_the_parameters_of_the_old_one() {
    let mut recipe = Recipe::load("original").unwrap();
    recipe.set("loss.kind=focal").unwrap();
    assert_eq!(recipe, Recipe::load("original").unwrap(), "the same choice changes nothing");
    recipe.set_all(["loss.kind=bce", "schedule.kind=constant", "thresholds=fixed"]).unwrap();
    assert_eq!((recipe.loss.kind, recipe.schedule), (LossKind::Bce, ScheduleRecipe::CONSTANT));
    recipe.set_all(["weights=a.pth", "weights_prefix=ema"]).unwrap();
    recipe.set("weights=none").unwrap();
    assert_eq!(recipe.model.weights_prefix, None);
    recipe.set("dropout=0.5").unwrap();
    recipe.set("architecture=resnet18").unwrap();
    assert_eq!(recipe.model.dropout, None);
}

#[test]
fn overrides_that_mean_nothing_say_what_to_do() {
    let table: [(&[&str], &str); 12] = [
        (&["epoch=3"], "\"epoch=3\": there is no key `epoch`; did you mean `training.epochs`?"),
        (&["loss.epochs=3"], "there is no key `loss.epochs`; did you mean `training.epochs`?"),
        (&["lr=3"], "did you mean `optimizer.learning_rate`?"),
        (&["kind=adam"], "say which: loss.kind, optimizer.kind, schedule.kind"),
        (&["epochs"], "written key=value"),
        (&["epochs=three"], "\"epochs=three\": epochs must be a whole number, not three"),
        (&["epochs=0"], "training.epochs is 0; it must be at least 1"),
        (&["epochs=none", "architecture=resnet19"], "unknown network \"resnet19\"; known networks: resnet18"),
        (&["alpha=0.5"], "`alpha` means nothing with kind = \"bce\""),
        (&["size=12x12x12"], "`12x12x12` is not an image size"),
        (&["architecture=none"], "missing field `architecture`"),
        (&["epochs=3\nseed=4"], "epochs must be a whole number"),
    ];
    for (assignments, expected) in table {
        let mut recipe = baseline();
        let message = recipe.set_all(assignments).unwrap_err().to_string();
        assert!(message.contains(expected), "{assignments:?}: {message}");
        assert_eq!(recipe, baseline(), "an error changes nothing");
    }
}

#[test]
fn files_that_are_wrong_name_line_column_and_remedy() {
    let table = [
        (
            "[training]\nepoch = 3\n",
            "mine.toml, line 6, column 1: there is no key `training.epoch`; did you mean `training.epochs`?",
        ),
        ("[trainig]\nepochs = 3\n", "mine.toml, line 5, column 2: there is no key `trainig`; did you mean `training`?"),
        (
            "[training]\nepochs = \"3\"\n",
            "mine.toml, line 6, column 10: epochs must be a whole number, not \"3\" in quotes\n    epochs = \"3\"\ncorrect",
        ),
        ("[training]\nepochs = 3\nepochs = 4\n", "mine.toml, line 7, column 1: duplicate key"),
        ("[training\n", "mine.toml, line 5, column 10: "),
        (
            "[training]\nepochs = 0\nbatch_size = 1\n",
            "mine.toml cannot be trained:\n  line 6: training.epochs is 0; it must be at least 1\n  line 7: training.batch_size is 1;",
        ),
        (
            "[loss]\nkind = \"bce\"\nalpha = 0.5\n",
            "`alpha` means nothing with kind = \"bce\": remove it, or change the choice",
        ),
        (
            "[loss]\nkind = \"bse\"\n",
            "line 6, column 8: kind must be bce, focal or asymmetric, not bse; did you mean `bce`?",
        ),
        ("[loss]\nkind = \"focal\"\nalpha = 0\n", "line 7: loss.alpha is 0; it must be above 0 and below 1"),
    ];
    for (tail, expected) in table {
        let message = Recipe::parse(&format!("{SHORTEST}{tail}"), "mine.toml", "mine").unwrap_err().to_string();
        assert!(message.contains(expected), "{tail}\n{message}");
    }
    let message = Recipe::parse(&format!("training = 3\n{SHORTEST}"), "mine.toml", "mine").unwrap_err().to_string();
    assert!(message.contains("mine.toml, line 1, column 12: the value must be a section"), "{message}");
    let message = Recipe::parse("epochs = 3", "mine.toml", "mine").unwrap_err().to_string();
    assert!(message.contains("no key `epochs`; did you mean `training.epochs`?"), "{message}");
}

#[test]
fn every_key_is_documented() {
    const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes.md"));
    let sections = keys::sections();
    // The many keys of augmentation are documented by name where `visage data preview` is described.
    for (section, keys) in sections.iter().filter(|(section, _)| *section != "augmentation") {
        let (_, rest) = DOCUMENT.split_once(&format!("## `[{section}]`")).expect(section);
        let text = rest.split("\n## ").next().unwrap_or_default();
        for key in *keys {
            assert!(text.contains(&format!("`{key}`")), "{section}.{key}");
        }
    }
}

#[test]
fn differences_are_listed_by_key() {
    let mut other = baseline();
    other.set_all(["epochs=3", "patience=2", "optimizer.kind=sgd", "momentum=0.5"]).unwrap();
    assert!(baseline().differences(&baseline()).unwrap().is_empty());
    let found = baseline().differences(&other).unwrap();
    let text = |value: &str| (value != "-").then(|| value.to_owned());
    let expected = [
        ("optimizer.kind", "\"adam\"", "\"sgd\""),
        ("optimizer.betas", "[0.9, 0.999]", "-"),
        ("optimizer.epsilon", "0.00000001", "-"),
        ("optimizer.momentum", "-", "0.5"),
        ("optimizer.nesterov", "-", "false"),
        ("training.epochs", "10", "3"),
        ("training.patience", "-", "2"),
    ];
    let expected =
        expected.map(|(key, ours, theirs)| Difference { key: key.to_owned(), ours: text(ours), theirs: text(theirs) });
    assert_eq!(found, expected);
}

#[test]
fn recipes_that_are_not_there_say_which_are() {
    let message = Recipe::load("enhansed").unwrap_err().to_string();
    assert!(
        message.contains("did you mean `enhanced`?") && message.contains("baseline, original, enhanced"),
        "{message}"
    );
    let message = Recipe::load("no/such.toml").unwrap_err().to_string();
    assert!(message.contains("cannot read the recipe no/such.toml"), "{message}");
}

#[test]
fn ranges_are_checked() {
    let table = [
        "name=a/b",
        "name=",
        "size=16",
        "shorter_side=64",
        "std=[0.5, 0.0, 0.5]",
        "mean=[nan, 0.5, 0.5]",
        "dropout=0.1",
        "flip=1.5",
        "flip=nan",
        "noise=-0.1",
        "noise_variance=[50.0, 10.0]",
        "learning_rate=0",
        "learning_rate=inf",
        "learning_rate=nan",
        "weight_decay=-1",
        "betas=[0.9, 1.0]",
        "epsilon=0",
        "batch_size=1",
        "patience=0",
        "min_delta=-1",
        "checkpoint_minutes=0",
        "layer_decay=0",
        "layer_decay=1.1",
        "clip_norm=0",
        "label_smoothing=1",
        "accumulate=0",
        "ema_decay=1",
        "precision=f64",
        "sampling=even",
        "freeze_norms=true",
        "freeze_backbone_epochs=1",
        "warmup_epochs=11",
        "warmup_start=1",
        "final_factor=0.1",
        "momentum=0.9",
        "threshold=1",
        "threshold=0",
        "seed=-1",
        "epochs=1.5",
    ];
    for assignment in table {
        assert!(baseline().set(assignment).is_err(), "{assignment}");
    }
    for assignments in [
        ["thresholds=precision", "wanted_precision=0"],
        ["thresholds=precision", "wanted_recall=0.5"],
        ["thresholds=recall", "wanted_recall=1.1"],
        ["thresholds=balanced", "accuracy_weight=-1"],
        ["thresholds=balanced", "accuracy_weight=inf"],
        ["thresholds=balanced", "accuracy_weight=nan"],
        ["thresholds=smooth_f1", "accuracy_weight=1"],
        ["thresholds=prevalence", "threshold=0.5"],
        ["thresholds=best_f1", "accuracy_weight=1"],
        ["loss.kind=focal", "alpha=0"],
        ["loss.kind=focal", "gamma=-1"],
        ["loss.kind=asymmetric", "clip=1"],
        ["loss.kind=asymmetric", "gamma_negative=nan"],
        ["weighting=pos_weight", "weighting_power=0"],
        ["weighting=effective_number", "weighting_beta=1"],
        ["optimizer.kind=sgd", "momentum=1"],
        ["optimizer.kind=sgd", "betas=[0.9, 0.99]"],
        ["schedule.kind=cosine", "final_factor=1"],
        ["schedule.kind=step", "step_epochs=0"],
        ["schedule.kind=step", "factor=1"],
        ["schedule.kind=step", "plateau_patience=1"],
        ["schedule.kind=plateau", "min_factor=-0.1"],
        ["schedule.kind=one_cycle", "warmup_epochs=1"],
        ["schedule.kind=one_cycle", "pct_start=1.1"],
        ["schedule.kind=one_cycle", "div_factor=0"],
        ["schedule.kind=one_cycle", "max_momentum=1"],
    ] {
        assert!(baseline().set_all(assignments).is_err(), "{assignments:?}");
    }
}

proptest! {
    /// Numbers survive being written and read: a resumed run must compute with the same bits.
    #[test]
    fn every_number_round_trips(
        learning_rate in 1e-12f64..10.0, epsilon in 1e-12f64..1e-3, mean in prop::array::uniform3(-1f32..1.0), seed in 0u64..1 << 63,
    ) {
        let mut recipe = baseline();
        recipe.optimizer.learning_rate = learning_rate;
        recipe.optimizer.kind = OptimizerKind::Adamw { betas: [0.9, 0.999], epsilon };
        recipe.input.mean = mean;
        recipe.training.seed = seed;
        prop_assert_eq!(Recipe::parse(&recipe.to_toml().unwrap(), "", "").unwrap(), recipe);
    }

    /// Whatever is typed, the answer is a recipe or an error.
    #[test]
    fn any_override_is_applied_or_refused(assignment in "[a-z_.]{0,12}=?.{0,12}") {
        let mut recipe = baseline();
        if recipe.set(&assignment).is_err() {
            prop_assert_eq!(recipe, baseline());
        }
    }

    #[test]
    fn any_text_is_a_recipe_or_an_error(text in "(\\[[a-z]{0,6}\\]|[a-z]{0,6} = |[0-9\".]{1,3}|\n|\\PC){0,12}") {
        let _ = Recipe::parse(&format!("{SHORTEST}{text}"), "any", "any");
    }
}
