use super::*;

fn space(parameters: &[&str]) -> Space {
    let mut space = Space::default();
    parameters.iter().for_each(|parameter| space.add(parameter).unwrap());
    space
}

fn trials(recipe: &str, parameters: &[&str]) -> Result<Trials, SpaceError> {
    space(parameters).of(&Recipe::load(recipe).unwrap(), Monitor::AveragePrecision, 3, Some(20))
}

#[test]
fn shipped_spaces_fit_every_shipped_recipe() {
    for name in Space::shipped() {
        let space = Space::load(name).unwrap();
        for recipe in Recipe::shipped() {
            let recipe = Recipe::load(recipe).unwrap();
            let trials = space.of(&recipe, Monitor::AveragePrecision, 0, None).unwrap();
            let trial = trials.recipe(0, "trial").unwrap();
            assert_eq!((trial.name.as_str(), trial.training.monitor), ("trial", Monitor::AveragePrecision));
            assert!(!trials.base().differences(&trial).unwrap().is_empty());
        }
    }
}

#[test]
fn the_shipped_space_is_of_the_focal_loss() {
    let space = Space::load("focal").unwrap();
    let keys: Vec<&str> = space.parameters.iter().map(|parameter| parameter.key.as_str()).collect();
    for key in ["loss.gamma", "loss.alpha", "loss.weighting", "optimizer.learning_rate"] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    let mut set = space.set;
    set.sort();
    assert_eq!(set, ["evaluation.thresholds=\"smooth_f1\"", "loss.kind=\"focal\""]);
}

#[test]
fn a_trial_depends_on_its_seed_and_number_and_not_on_the_other_trials() {
    let parameters = ["loss.gamma=0:3", "learning_rate=1e-4:1e-2:log", "loss.weighting=pos_weight,inverse_frequency"];
    let of = |seed| {
        let recipe = Recipe::load("original").unwrap();
        space(&parameters).of(&recipe, Monitor::F1, seed, Some(4)).unwrap()
    };
    let all: Vec<Vec<String>> = (0..4).map(|trial| of(3).values(trial)).collect();
    assert_eq!(all, (0..4).map(|trial| of(3).values(trial)).collect::<Vec<_>>());
    assert!(all[0] != all[1] && all[0] != of(4).values(0));
    let fewer = space(&parameters[1..]).of(&Recipe::load("original").unwrap(), Monitor::F1, 3, Some(4)).unwrap();
    assert_eq!(fewer.values(2), all[2][1..]);
    let recipe = of(3).recipe(1, "one").unwrap();
    assert_eq!(recipe.optimizer.learning_rate.to_string(), all[1][1]);
}

#[test]
fn keys_of_whole_numbers_are_drawn_as_such() {
    let trials = trials("baseline", &["batch_size=8:64:log", "dropout=0:0.5", "training.patience=1:5"]);
    // ResNet-18 has no dropout.
    assert!(matches!(trials, Err(SpaceError::Trial { .. })), "{trials:?}");
    let trials = self::trials("enhanced", &["batch_size=8:64:log", "dropout=0:0.5", "training.patience=1:5"]).unwrap();
    let whole = |domain: &Domain| matches!(domain, Domain::Range { whole: true, .. });
    assert_eq!(trials.parameters().iter().map(|each| whole(&each.domain)).collect::<Vec<_>>(), [true, false, true]);
    let error = self::trials("enhanced", &["batch_size=7.5:64"]).unwrap_err().to_string();
    assert!(error.contains("7.5 is not a whole number"), "{error}");
}

#[test]
fn a_file_has_parameters_and_what_is_set() {
    let text =
        "[parameters]\nloss.gamma = \"0:3\"\n\"optimizer.learning_rate\" = \"1e-4:1e-3:log\"\n[set]\nepochs = 3\n";
    let space = Space::parse(text, "mine.toml").unwrap();
    assert_eq!(space.parameters.len(), 2);
    assert_eq!(space.set, ["epochs=3"]);
    for (text, parts) in [
        ("gamma = 3", &["mine.toml", "below [parameters]"][..]),
        ("[parameters]\nloss.gamma = 3", &["loss.gamma is 3", "LOW:HIGH"]),
        ("[parameter]\ngamma = \"0:3\"", &["no table [parameter]"]),
        ("[parameters", &["mine.toml"]),
        ("[parameters]\nloss.gama = \"0:3\"", &["loss.gama", "did you mean `loss.gamma`?"]),
    ] {
        let error = Space::parse(text, "mine.toml").unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
}

#[test]
fn what_cannot_be_searched_is_refused_with_the_remedy() {
    let add = |text: &str| Space::default().add(text).unwrap_err().to_string();
    for (text, part) in [
        ("loss.gamma", "KEY=DOMAIN"),
        ("epochs=1:3", "--min-epochs"),
        ("training.monitor=f1,accuracy", "--metric"),
        ("gamma=3", "LOW:HIGH"),
        ("lerning_rate=0:1", "did you mean `optimizer.learning_rate`?"),
    ] {
        assert!(add(text).contains(part), "{}", add(text));
    }
    for (parameters, part) in [
        (&[][..], "--space"),
        // The cross-entropy has no gamma.
        (&["loss.gamma=0:3"], "means nothing with kind = \"bce\""),
        (&["learning_rate=0:1"], "above 0"),
        (&["loss.weighting=pos_weight,nonsense"], "nonsense"),
    ] {
        let error = trials("baseline", parameters).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let recipe = Recipe::load("original").unwrap();
    let error = space(&["loss.gamma=0:3"]).of(&recipe, Monitor::ValidationLoss, 0, None).unwrap_err();
    assert!(error.to_string().contains("--metric average_precision"), "{error}");
}
