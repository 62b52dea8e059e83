//! `[schedule]`.

use serde::{Deserialize, Serialize};

use super::check::{Checks, refuse_unused};

/// `[schedule]`: the learning rate over the course of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleSection", into = "ScheduleSection")]
pub enum ScheduleRecipe {
    /// One rise to the optimiser's learning rate, and one fall.
    OneCycle(OneCycle),
    /// A fall from the optimiser's learning rate, after an optional warm-up.
    Decay {
        /// Length of the linear warm-up in epochs, whole or fractional; 0 for none.
        warmup_epochs: f64,
        /// The first rate of the warm-up as a fraction of the full one, in 0..1.
        warmup_start: f64,
        /// How the rate falls.
        decay: DecayRecipe,
    },
}

/// The shape of a one-cycle schedule (Smith and Topin, 2018), as in PyTorch's `OneCycleLR`.
///
/// The rate rises from `peak / div_factor` to the peak and falls to `peak / div_factor / final_div_factor`, while
/// the momentum moves the other way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// Fraction of the run spent rising, in 0..=1; at most 0.5 with `three_phase`.
    pub pct_start: f64,
    /// The peak divided by the first rate.
    pub div_factor: f64,
    /// The first rate divided by the last.
    pub final_div_factor: f64,
    /// The curve between the turning points.
    pub anneal: Anneal,
    /// Falls as fast as it rose, then spends the rest of the run going from the first rate to the last.
    pub three_phase: bool,
    /// Whether the momentum is scheduled too; otherwise it stays at the optimiser's value.
    pub cycle_momentum: bool,
    /// Momentum at the peak rate.
    pub base_momentum: f64,
    /// Momentum at the first and the last rate.
    pub max_momentum: f64,
}

impl Default for OneCycle {
    /// PyTorch's defaults.
    fn default() -> Self {
        Self {
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            anneal: Anneal::Cosine,
            three_phase: false,
            cycle_momentum: true,
            base_momentum: 0.85,
            max_momentum: 0.95,
        }
    }
}

/// The curve between two points of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Half a cosine.
    Cosine,
    /// A straight line.
    Linear,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DecayRecipe {
    /// Not at all.
    Constant,
    /// Along half a cosine, from the end of the warm-up to the end of the run.
    Cosine {
        /// The last rate as a fraction of the full one, in 0..1.
        final_factor: f64,
    },
    /// By a factor at regular intervals.
    Step {
        /// Epochs between two falls.
        step_epochs: u32,
        /// The factor, in 0..1.
        factor: f64,
    },
    /// Whenever the monitored metric stops improving.
    Plateau(Plateau),
}

/// When to lower the learning rate, and by how much: PyTorch's `ReduceLROnPlateau` in its relative mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// The factor the rate is multiplied by, in 0..1.
    pub factor: f64,
    /// Epochs without an improvement that are tolerated; the next one lowers the rate.
    pub patience: u32,
    /// Smallest improvement that counts, relative to the best value.
    pub threshold: f64,
    /// Epochs after a fall during which patience is not used up.
    pub cooldown: u32,
    /// Lower bound of the rate, as a fraction of the full one.
    pub min_factor: f64,
}

impl Default for Plateau {
    /// PyTorch's defaults, but for the patience: runs of about ten epochs would never use up PyTorch's 10.
    fn default() -> Self {
        Self { factor: DEFAULT_FACTOR, patience: 1, threshold: 1e-4, cooldown: 0, min_factor: 0.0 }
    }
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self::OneCycle(OneCycle::default())
    }
}

impl ScheduleRecipe {
    /// The optimiser's learning rate at every step.
    pub const CONSTANT: Self =
        Self::Decay { warmup_epochs: 0.0, warmup_start: DEFAULT_WARMUP_START, decay: DecayRecipe::Constant };

    /// What lowers the rate on a plateau, if the schedule does.
    #[must_use]
    pub fn plateau(&self) -> Option<Plateau> {
        match self {
            ScheduleRecipe::Decay { decay: DecayRecipe::Plateau(plateau), .. } => Some(*plateau),
            _ => None,
        }
    }

    /// `epochs` are those of the whole run.
    pub(super) fn check(&self, epochs: u32, checks: &mut Checks) {
        match *self {
            ScheduleRecipe::OneCycle(shape) => {
                let (limit, allowed) =
                    if shape.three_phase { (0.5, "between 0 and 0.5") } else { (1.0, "between 0 and 1") };
                let fits = (0.0..=limit).contains(&shape.pct_start);
                checks.require(fits, "schedule.pct_start", shape.pct_start, allowed);
                checks.above_0("schedule.div_factor", shape.div_factor);
                checks.above_0("schedule.final_div_factor", shape.final_div_factor);
                checks.at_least_0_below_1("schedule.base_momentum", shape.base_momentum);
                checks.at_least_0_below_1("schedule.max_momentum", shape.max_momentum);
            }
            ScheduleRecipe::Decay { warmup_epochs, warmup_start, decay } => {
                let fits = (0.0..=f64::from(epochs)).contains(&warmup_epochs);
                let allowed = "at least 0 and at most training.epochs";
                checks.require(fits, "schedule.warmup_epochs", warmup_epochs, allowed);
                checks.at_least_0_below_1("schedule.warmup_start", warmup_start);
                decay.check(checks);
            }
        }
    }
}

impl DecayRecipe {
    fn check(self, checks: &mut Checks) {
        match self {
            DecayRecipe::Constant => {}
            DecayRecipe::Cosine { final_factor } => checks.at_least_0_below_1("schedule.final_factor", final_factor),
            DecayRecipe::Step { step_epochs, factor } => {
                checks.require(step_epochs > 0, "schedule.step_epochs", step_epochs, "at least 1");
                checks.between_0_and_1("schedule.factor", factor);
            }
            DecayRecipe::Plateau(Plateau { factor, threshold, min_factor, .. }) => {
                checks.between_0_and_1("schedule.factor", factor);
                checks.at_least_0_below_1("schedule.plateau_threshold", threshold);
                checks.at_least_0_below_1("schedule.min_factor", min_factor);
            }
        }
    }
}

const DEFAULT_WARMUP_START: f64 = 0.01;
const DEFAULT_STEP_EPOCHS: u32 = 3;
/// PyTorch's, of steps and of plateaus.
const DEFAULT_FACTOR: f64 = 0.1;

/// `[schedule]` as it is written in a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleSection {
    kind: ScheduleName,
    warmup_epochs: Option<f64>,
    warmup_start: Option<f64>,
    final_factor: Option<f64>,
    step_epochs: Option<u32>,
    factor: Option<f64>,
    plateau_patience: Option<u32>,
    plateau_threshold: Option<f64>,
    plateau_cooldown: Option<u32>,
    min_factor: Option<f64>,
    pct_start: Option<f64>,
    div_factor: Option<f64>,
    final_div_factor: Option<f64>,
    anneal: Option<Anneal>,
    three_phase: Option<bool>,
    cycle_momentum: Option<bool>,
    base_momentum: Option<f64>,
    max_momentum: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScheduleName {
    Constant,
    #[default]
    OneCycle,
    Cosine,
    Step,
    Plateau,
}

impl ScheduleName {
    fn as_written(self) -> &'static str {
        match self {
            ScheduleName::Constant => r#"kind = "constant""#,
            ScheduleName::OneCycle => r#"kind = "one_cycle""#,
            ScheduleName::Cosine => r#"kind = "cosine""#,
            ScheduleName::Step => r#"kind = "step""#,
            ScheduleName::Plateau => r#"kind = "plateau""#,
        }
    }
}

impl ScheduleSection {
    /// Refuses every key that the chosen kind does not use.
    fn refuse_unused(&self) -> Result<(), String> {
        use ScheduleName::{Constant, Cosine, OneCycle, Plateau, Step};
        // The kinds that use some keys, and those keys.
        let decays: &[ScheduleName] = &[Constant, Cosine, Step, Plateau];
        let keys = [
            (decays, "warmup_epochs", self.warmup_epochs.is_some()),
            (decays, "warmup_start", self.warmup_start.is_some()),
            (&[Cosine], "final_factor", self.final_factor.is_some()),
            (&[Step], "step_epochs", self.step_epochs.is_some()),
            (&[Step, Plateau], "factor", self.factor.is_some()),
            (&[Plateau], "plateau_patience", self.plateau_patience.is_some()),
            (&[Plateau], "plateau_threshold", self.plateau_threshold.is_some()),
            (&[Plateau], "plateau_cooldown", self.plateau_cooldown.is_some()),
            (&[Plateau], "min_factor", self.min_factor.is_some()),
            (&[OneCycle], "pct_start", self.pct_start.is_some()),
            (&[OneCycle], "div_factor", self.div_factor.is_some()),
            (&[OneCycle], "final_div_factor", self.final_div_factor.is_some()),
            (&[OneCycle], "anneal", self.anneal.is_some()),
            (&[OneCycle], "three_phase", self.three_phase.is_some()),
            (&[OneCycle], "cycle_momentum", self.cycle_momentum.is_some()),
            (&[OneCycle], "base_momentum", self.base_momentum.is_some()),
            (&[OneCycle], "max_momentum", self.max_momentum.is_some()),
        ];
        let unused = keys.into_iter().filter(|(kinds, ..)| !kinds.contains(&self.kind));
        refuse_unused(self.kind.as_written(), &unused.map(|(_, key, set)| (key, set)).collect::<Vec<_>>())
    }

    fn one_cycle(&self) -> OneCycle {
        let default = OneCycle::default();
        OneCycle {
            pct_start: self.pct_start.unwrap_or(default.pct_start),
            div_factor: self.div_factor.unwrap_or(default.div_factor),
            final_div_factor: self.final_div_factor.unwrap_or(default.final_div_factor),
            anneal: self.anneal.unwrap_or(default.anneal),
            three_phase: self.three_phase.unwrap_or(default.three_phase),
            cycle_momentum: self.cycle_momentum.unwrap_or(default.cycle_momentum),
            base_momentum: self.base_momentum.unwrap_or(default.base_momentum),
            max_momentum: self.max_momentum.unwrap_or(default.max_momentum),
        }
    }

    fn plateau(&self) -> Plateau {
        let default = Plateau::default();
        Plateau {
            factor: self.factor.unwrap_or(default.factor),
            patience: self.plateau_patience.unwrap_or(default.patience),
            threshold: self.plateau_threshold.unwrap_or(default.threshold),
            cooldown: self.plateau_cooldown.unwrap_or(default.cooldown),
            min_factor: self.min_factor.unwrap_or(default.min_factor),
        }
    }
}

impl TryFrom<ScheduleSection> for ScheduleRecipe {
    type Error = String;

    fn try_from(section: ScheduleSection) -> Result<Self, String> {
        section.refuse_unused()?;
        let decay = match section.kind {
            ScheduleName::OneCycle => return Ok(Self::OneCycle(section.one_cycle())),
            ScheduleName::Constant => DecayRecipe::Constant,
            ScheduleName::Cosine => DecayRecipe::Cosine { final_factor: section.final_factor.unwrap_or(0.0) },
            ScheduleName::Step => DecayRecipe::Step {
                step_epochs: section.step_epochs.unwrap_or(DEFAULT_STEP_EPOCHS),
                factor: section.factor.unwrap_or(DEFAULT_FACTOR),
            },
            ScheduleName::Plateau => DecayRecipe::Plateau(section.plateau()),
        };
        Ok(Self::Decay {
            warmup_epochs: section.warmup_epochs.unwrap_or(0.0),
            warmup_start: section.warmup_start.unwrap_or(DEFAULT_WARMUP_START),
            decay,
        })
    }
}

impl From<ScheduleRecipe> for ScheduleSection {
    fn from(recipe: ScheduleRecipe) -> Self {
        match recipe {
            ScheduleRecipe::OneCycle(shape) => Self {
                kind: ScheduleName::OneCycle,
                pct_start: Some(shape.pct_start),
                div_factor: Some(shape.div_factor),
                final_div_factor: Some(shape.final_div_factor),
                anneal: Some(shape.anneal),
                three_phase: Some(shape.three_phase),
                cycle_momentum: Some(shape.cycle_momentum),
                base_momentum: Some(shape.base_momentum),
                max_momentum: Some(shape.max_momentum),
                ..Self::default()
            },
            ScheduleRecipe::Decay { warmup_epochs, warmup_start, decay } => Self {
                warmup_epochs: Some(warmup_epochs),
                warmup_start: Some(warmup_start),
                ..match decay {
                    DecayRecipe::Constant => Self { kind: ScheduleName::Constant, ..Self::default() },
                    DecayRecipe::Cosine { final_factor } => {
                        Self { kind: ScheduleName::Cosine, final_factor: Some(final_factor), ..Self::default() }
                    }
                    DecayRecipe::Step { step_epochs, factor } => Self {
                        kind: ScheduleName::Step,
                        step_epochs: Some(step_epochs),
                        factor: Some(factor),
                        ..Self::default()
                    },
                    DecayRecipe::Plateau(plateau) => Self {
                        kind: ScheduleName::Plateau,
                        factor: Some(plateau.factor),
                        plateau_patience: Some(plateau.patience),
                        plateau_threshold: Some(plateau.threshold),
                        plateau_cooldown: Some(plateau.cooldown),
                        min_factor: Some(plateau.min_factor),
                        ..Self::default()
                    },
                }
            },
        }
    }
}
