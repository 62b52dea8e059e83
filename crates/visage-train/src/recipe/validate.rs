//! The ranges of a recipe's values.

use std::fmt::Display;

use visage_data::{Size, Weighting};
use visage_judge::ThresholdRule;
use visage_model::Architecture;

use super::Recipe;
use super::error::Problem;
use super::sections::{DecayRecipe, OptimizerKind, ScheduleRecipe, Thresholds};
use crate::loss::LossKind;
use crate::plateau::Plateau;

/// The smallest side the networks take: they halve their input five times.
const SMALLEST_SIDE: usize = 32;

/// Everything that is out of range.
pub(super) fn problems(recipe: &Recipe) -> Vec<Problem> {
    let mut check = Checks(Vec::new());
    let Recipe { name, model, input, augmentation, loss, optimizer, schedule, training, evaluation } = recipe;

    let plain =
        !name.is_empty() && !name.starts_with('.') && name.chars().all(|c| c.is_alphanumeric() || "-_.+".contains(c));
    check.that(plain, "name", format!("{name:?}"), "letters, digits, '-', '_', '.' and '+': it names folders");

    for (key, rate) in [("model.dropout", model.dropout), ("model.stochastic_depth", model.stochastic_depth)] {
        if let Some(rate) = rate {
            if model.architecture == Architecture::ResNet18 {
                check.that(false, key, rate, "left out: resnet18 has none");
            }
            check.that((0.0..1.0).contains(&rate), key, rate, "at least 0 and below 1");
        }
    }

    let Size { height, width } = input.size;
    check.that(height.min(width) >= SMALLEST_SIDE, "input.size", input.size, "at least 32 pixels a side");
    if let Some(side) = input.shorter_side {
        let fits = (height.max(width)..=Size::MAX_SIDE).contains(&side);
        check.that(fits, "input.shorter_side", side, "at least the longer side of input.size and at most 8192");
    }
    check.that(input.mean.iter().all(|mean| mean.is_finite()), "input.mean", list(&input.mean), "finite numbers");
    let divisible = input.std.iter().all(|std| std.is_normal() && *std > 0.0);
    check.that(divisible, "input.std", list(&input.std), "finite numbers above 0");

    check.probability("augmentation.flip", augmentation.flip);
    for (key, probability) in [
        ("augmentation.crop", augmentation.crop),
        ("augmentation.shift_scale_rotate", augmentation.shift_scale_rotate),
        ("augmentation.brightness_contrast", augmentation.brightness_contrast),
        ("augmentation.blur", augmentation.blur),
        ("augmentation.noise", augmentation.noise),
        ("augmentation.erasing", augmentation.erasing),
        ("augmentation.mixup", augmentation.mixup),
        ("augmentation.cutmix", augmentation.cutmix),
    ] {
        check.probability(key, probability);
    }
    let together = augmentation.mixup + augmentation.cutmix;
    check.that(together <= 1.0, "augmentation.cutmix", augmentation.cutmix, "at most 1 together with mixup");
    for (key, [low, high]) in [
        ("augmentation.crop_scale", augmentation.crop_scale),
        ("augmentation.erasing_scale", augmentation.erasing_scale),
    ] {
        let parts = 0.0 < low && low <= high && high <= 1.0;
        check.that(parts, key, list(&[low, high]), "[smallest, largest], above 0 and at most 1");
    }
    for (key, [low, high]) in [
        ("augmentation.crop_ratio", augmentation.crop_ratio),
        ("augmentation.erasing_ratio", augmentation.erasing_ratio),
    ] {
        let ratios = 0.0 < low && low <= high && high.is_finite();
        check.that(ratios, key, list(&[low, high]), "[smallest, largest], above 0");
    }
    for (key, limit, most, allowed) in [
        ("augmentation.shift", augmentation.shift, 1.0, "from 0 to 1"),
        ("augmentation.scale", augmentation.scale, 0.99, "from 0 to 0.99"),
        ("augmentation.rotate", augmentation.rotate, 180.0, "from 0 to 180"),
        ("augmentation.brightness", augmentation.brightness, 1.0, "from 0 to 1"),
        ("augmentation.contrast", augmentation.contrast, 1.0, "from 0 to 1"),
    ] {
        check.that((0.0..=most).contains(&limit), key, limit, allowed);
    }
    let [low, high] = augmentation.blur_size;
    let sides = 3 <= low && low <= high && high <= 99 && low % 2 == 1 && high % 2 == 1;
    check.that(sides, "augmentation.blur_size", list(&[low, high]), "[smallest, largest], odd and from 3 to 99");
    check.above_0("augmentation.mixup_alpha", f64::from(augmentation.mixup_alpha));
    check.above_0("augmentation.cutmix_alpha", f64::from(augmentation.cutmix_alpha));
    let [low, high] = augmentation.noise_variance;
    let ordered = 0.0 <= low && low <= high && high.is_finite();
    check.that(ordered, "augmentation.noise_variance", list(&[low, high]), "[lowest, highest], neither below 0");

    match loss.kind {
        LossKind::Bce => {}
        LossKind::Focal { alpha, gamma } => {
            check.inside("loss.alpha", alpha);
            check.at_least_0("loss.gamma", gamma);
        }
        LossKind::Asymmetric { gamma_positive, gamma_negative, clip } => {
            check.at_least_0("loss.gamma_positive", gamma_positive);
            check.at_least_0("loss.gamma_negative", gamma_negative);
            check.that((0.0..1.0).contains(&clip), "loss.clip", clip, "at least 0 and below 1");
        }
    }
    if let Weighting::EffectiveNumber { beta } = loss.weighting {
        check.inside("loss.weighting_beta", beta);
    }
    if loss.weighting != Weighting::None {
        let power = loss.weighting_power;
        check.that(power > 0.0 && power <= 1.0, "loss.weighting_power", power, "above 0 and at most 1");
    }

    check.part("loss.label_smoothing", loss.label_smoothing);

    check.above_0("optimizer.learning_rate", optimizer.learning_rate);
    check.at_least_0("optimizer.weight_decay", optimizer.weight_decay);
    let layer_decay = optimizer.layer_decay;
    check.that(layer_decay > 0.0 && layer_decay <= 1.0, "optimizer.layer_decay", layer_decay, "above 0 and at most 1");
    if let Some(norm) = optimizer.clip_norm {
        check.above_0("optimizer.clip_norm", norm);
    }
    match optimizer.kind {
        OptimizerKind::Adam { betas, epsilon } | OptimizerKind::Adamw { betas, epsilon } => {
            let decays = betas.iter().all(|beta| (0.0..1.0).contains(beta));
            check.that(decays, "optimizer.betas", list(&betas), "at least 0 and below 1");
            check.above_0("optimizer.epsilon", epsilon);
        }
        OptimizerKind::Sgd { momentum, nesterov } => {
            check.part("optimizer.momentum", momentum);
            check.that(!nesterov || momentum > 0.0, "optimizer.nesterov", nesterov, "false without a momentum");
        }
    }

    match *schedule {
        ScheduleRecipe::OneCycle(shape) => {
            let (limit, allowed) =
                if shape.three_phase { (0.5, "between 0 and 0.5") } else { (1.0, "between 0 and 1") };
            check.that((0.0..=limit).contains(&shape.pct_start), "schedule.pct_start", shape.pct_start, allowed);
            check.above_0("schedule.div_factor", shape.div_factor);
            check.above_0("schedule.final_div_factor", shape.final_div_factor);
            check.part("schedule.base_momentum", shape.base_momentum);
            check.part("schedule.max_momentum", shape.max_momentum);
        }
        ScheduleRecipe::Decay { warmup_epochs, warmup_start, decay } => {
            let epochs = f64::from(training.epochs);
            let fits = (0.0..=epochs).contains(&warmup_epochs);
            check.that(fits, "schedule.warmup_epochs", warmup_epochs, "at least 0 and at most training.epochs");
            check.part("schedule.warmup_start", warmup_start);
            match decay {
                DecayRecipe::Constant => {}
                DecayRecipe::Cosine { final_factor } => check.part("schedule.final_factor", final_factor),
                DecayRecipe::Step { step_epochs, factor } => {
                    check.that(step_epochs > 0, "schedule.step_epochs", step_epochs, "at least 1");
                    check.inside("schedule.factor", factor);
                }
                DecayRecipe::Plateau(Plateau { factor, threshold, min_factor, .. }) => {
                    check.inside("schedule.factor", factor);
                    check.part("schedule.plateau_threshold", threshold);
                    check.part("schedule.min_factor", min_factor);
                }
            }
        }
    }

    check.that(training.epochs > 0, "training.epochs", training.epochs, "at least 1");
    check.that(
        training.batch_size > 1,
        "training.batch_size",
        training.batch_size,
        "at least 2: batch norm needs a spread",
    );
    check.that(training.accumulate > 0, "training.accumulate", training.accumulate, "at least 1");
    if let Some(decay) = training.ema_decay {
        check.inside("training.ema_decay", decay);
    }
    if model.weights.is_none() {
        let needs_weights = "left out without model.weights: there is nothing worth keeping in random weights";
        let epochs = training.freeze_backbone_epochs;
        check.that(epochs == 0, "training.freeze_backbone_epochs", epochs, needs_weights);
        check.that(!training.freeze_norms, "training.freeze_norms", training.freeze_norms, needs_weights);
    }
    // TOML integers are signed.
    check.that(i64::try_from(training.seed).is_ok(), "training.seed", training.seed, "at most 9223372036854775807");
    check.that(training.patience != Some(0), "training.patience", 0, "at least 1, or left out");
    check.at_least_0("training.min_delta", training.min_delta);
    if let Some(minutes) = training.checkpoint_minutes {
        check.above_0("training.checkpoint_minutes", minutes);
    }

    let allowed = |level: f64| level > 0.0 && level <= 1.0;
    match evaluation.thresholds {
        Thresholds::Fixed(threshold) => check.inside("evaluation.threshold", threshold),
        Thresholds::Chosen(ThresholdRule::Precision(level)) => {
            check.that(allowed(level), "evaluation.wanted_precision", level, "above 0 and at most 1");
        }
        Thresholds::Chosen(ThresholdRule::Recall(level)) => {
            check.that(allowed(level), "evaluation.wanted_recall", level, "above 0 and at most 1");
        }
        Thresholds::Chosen(ThresholdRule::Fixed | ThresholdRule::BestF1) => {}
    }
    check.0
}

struct Checks(Vec<Problem>);

impl Checks {
    fn that(&mut self, holds: bool, key: &'static str, value: impl Display, allowed: &str) {
        if !holds {
            self.0.push(Problem { key, line: None, message: format!("is {value}; it must be {allowed}") });
        }
    }

    fn probability(&mut self, key: &'static str, value: f32) {
        self.that((0.0..=1.0).contains(&value), key, value, "between 0 and 1");
    }

    fn inside(&mut self, key: &'static str, value: f64) {
        self.that(value > 0.0 && value < 1.0, key, value, "above 0 and below 1");
    }

    fn part(&mut self, key: &'static str, value: f64) {
        self.that((0.0..1.0).contains(&value), key, value, "at least 0 and below 1");
    }

    fn above_0(&mut self, key: &'static str, value: f64) {
        self.that(value > 0.0 && value.is_finite(), key, value, "above 0 and finite");
    }

    fn at_least_0(&mut self, key: &'static str, value: f64) {
        self.that(value >= 0.0 && value.is_finite(), key, value, "at least 0 and finite");
    }
}

fn list<T: Display>(values: &[T]) -> String {
    format!("[{}]", values.iter().map(T::to_string).collect::<Vec<_>>().join(", "))
}
