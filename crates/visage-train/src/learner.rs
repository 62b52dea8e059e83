//! One optimiser step: batches through the network, their gradients, and what becomes of them.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use visage_data::{Batch, Label, Preparation};
use visage_model::model_file::image_tensor;
use visage_model::{Draws, Network, Norms, Pass, Precision, Training, ops, threads};

use crate::gradients::{Gradients, norm_of};
use crate::loss::Loss;
use crate::loss_scale::LossScale;
use crate::mixing::mixed_loss;
use crate::optimizer::Optimizer;
use crate::recipe::Recipe;
use crate::schedule::Rates;

/// A network that learns by a recipe.
#[derive(Debug)]
pub(crate) struct Learner<'a> {
    pub recipe: &'a Recipe,
    pub preparation: Preparation,
    pub loss: Loss,
    /// One that tracks gradients.
    pub device: Device,
    /// Out only during a step, so that the optimiser holds the only handle and works in place.
    pub network: Option<Network>,
    pub optimizer: Optimizer,
    pub loss_scale: LossScale,
}

/// What the batches of one step add up to.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    gradients: Gradients,
    /// The mean loss of each batch, and how many labels it is of.
    losses: Vec<(Tensor<1>, u64)>,
    pub batches: usize,
    /// The images, by their index in the dataset.
    pub images: Vec<usize>,
}

/// What a step gave, while it is still being computed.
#[derive(Debug)]
pub(crate) struct Unread {
    losses: Vec<(Tensor<1>, u64)>,
    squares: Option<Tensor<1>>,
}

impl Unread {
    /// Waits for it.
    pub fn read(self) -> Step {
        let labels = self.losses.iter().map(|(_, labels)| labels).sum();
        let sum = self.losses.into_iter().map(|(loss, labels)| f64::from(loss.into_scalar::<f32>()) * labels as f64);
        let loss = sum.sum::<f64>() / (labels as f64).max(1.0);
        let gradient_norm = self.squares.map_or(0.0, norm_of);
        let finite = loss.is_finite() && gradient_norm.is_finite();
        Step { loss, labels, gradient_norm, outcome: if finite { Outcome::Taken } else { Outcome::Diverged } }
    }
}

/// What a step gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Mean over the known labels.
    pub loss: f64,
    pub labels: u64,
    /// Before it was clipped.
    pub gradient_norm: f64,
    pub outcome: Outcome,
}

/// What became of a step's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    /// It overflowed f16; the scale was lowered.
    Skipped,
    /// The loss or the gradient is no number. The network is as it was, unless it was moved [unread](Learner::step_unread).
    Diverged,
}

impl Learner<'_> {
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("put back after every step")
    }

    /// Takes a batch of `epoch`, counted from 0, through the network and back.
    pub fn gather(&self, gathered: &mut Gathered, batch: &Batch, epoch: u64) {
        if ops::has_kernels(&self.device) {
            threads::awake(|| self.forward_and_back(gathered, batch, epoch));
        } else {
            self.forward_and_back(gathered, batch, epoch);
        }
    }

    /// Whether a step need not be waited for: a graphics card does it beside the processor, and no scale of the loss depends on
    /// what comes of it.
    pub fn runs_ahead(&self) -> bool {
        !ops::has_kernels(&self.device) && self.recipe.training.precision != Precision::F16
    }

    fn forward_and_back(&self, gathered: &mut Gathered, batch: &Batch, epoch: u64) {
        let training = &self.recipe.training;
        let samples: Vec<u64> = batch.indices.iter().map(|&index| index as u64).collect();
        let draws = Draws { seed: training.seed, epoch, samples: &samples };
        let head = Training { draws, norms: Norms::Batch, precision: training.precision };
        let norms = if training.freeze_norms { Norms::Frozen } else { Norms::Batch };
        let backbone = Training { norms, ..head };
        let images = image_tensor(&self.preparation, &batch.pixels, samples.len(), &self.device);
        let (targets, mask, labels) = label_tensors(&batch.labels, samples.len(), &self.device);

        let network = self.network();
        let features = if epoch < u64::from(training.freeze_backbone_epochs) {
            network.features(images, Pass::Inference).detach()
        } else {
            network.features(images, Pass::Training(&backbone))
        };
        let logits = network.classify(features, Pass::Training(&head));
        let loss = match &batch.mixed {
            Some(mixed) => mixed_loss(&self.loss, logits, &batch.labels, mixed, &self.device),
            None => self.loss.mean(logits, targets, mask),
        };
        let mut tape = (loss.clone() * self.scale()).backward();
        let gradients = Gradients::take(network, &mut tape);
        // Batches of a step count by their known labels, as if they had been one batch.
        let gradients = if training.accumulate > 1 { gradients.times(labels as f64) } else { gradients };
        gathered.gradients = std::mem::take(&mut gathered.gradients).plus(gradients);
        gathered.losses.push((loss.inner(), labels));
        gathered.batches += 1;
        gathered.images.extend(&batch.indices);
    }

    /// What the loss is multiplied by before the way back.
    fn scale(&self) -> f64 {
        if self.recipe.training.precision == Precision::F16 { self.loss_scale.scale } else { 1.0 }
    }

    /// Moves the weights by what was gathered.
    pub fn step(&mut self, gathered: &mut Gathered, rates: Rates) -> Step {
        let (gradients, unread) = self.finished(gathered);
        let mut step = unread.read();
        step.outcome = self.judge(step.loss, step.gradient_norm);
        if step.outcome == Outcome::Taken {
            let gradients = match self.recipe.optimizer.clip_norm {
                Some(longest) => gradients.clipped(step.gradient_norm, longest),
                None => gradients,
            };
            self.move_by(gradients, rates);
        }
        step
    }

    /// The same without waiting for what it gives, where the step [runs ahead](Self::runs_ahead).
    pub fn step_unread(&mut self, gathered: &mut Gathered, rates: Rates) -> Unread {
        let (gradients, unread) = self.finished(gathered);
        let gradients = match (self.recipe.optimizer.clip_norm, &unread.squares) {
            (Some(longest), Some(squares)) => gradients.clipped_unread(squares.clone(), longest),
            _ => gradients,
        };
        self.move_by(gradients, rates);
        unread
    }

    /// The gradients of all that was gathered, and what is to be known of them.
    fn finished(&self, gathered: &mut Gathered) -> (Gradients, Unread) {
        let losses = std::mem::take(&mut gathered.losses);
        let known = losses.iter().map(|(_, labels)| labels).sum::<u64>().max(1) as f64;
        let weights = if self.recipe.training.accumulate > 1 { known } else { 1.0 };
        let gradients = std::mem::take(&mut gathered.gradients).times(1.0 / (self.scale() * weights));
        let squares = gradients.squares();
        (gradients, Unread { losses, squares })
    }

    fn move_by(&mut self, gradients: Gradients, rates: Rates) {
        let network = self.network.take().expect("put back after every step");
        self.network = Some(self.optimizer.step(network, gradients, rates));
    }

    fn judge(&mut self, loss: f64, gradient_norm: f64) -> Outcome {
        let half = self.recipe.training.precision == Precision::F16;
        match (loss.is_finite(), gradient_norm.is_finite()) {
            (true, true) => {
                if half {
                    self.loss_scale.taken();
                }
                Outcome::Taken
            }
            (true, false) if half && self.loss_scale.overflowed() => Outcome::Skipped,
            _ => Outcome::Diverged,
        }
    }
}

/// The network ready to be trained on `device`, wherever its tensors were made: burn keeps the strategy of checkpointing with
/// each of them, and they may not differ.
pub(crate) fn tracked(network: Network, device: &Device) -> Network {
    struct Strategy<'a>(&'a Device);

    impl ModuleMapper for Strategy<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| match self.0.gradient_checkpointing_strategy() {
                Some(strategy) if tensor.is_autodiff() => tensor.with_gradient_checkpointing_strategy(strategy),
                _ => tensor,
            })
        }
    }

    network.train().map(&mut Strategy(device))
}

/// Targets and mask `[images, attributes]`, and how many labels are known.
pub(crate) fn label_tensors(labels: &[Label], images: usize, device: &Device) -> (Tensor<2>, Tensor<2>, u64) {
    let tensor = |value: fn(Label) -> bool| {
        let values: Vec<f32> = labels.iter().map(|&label| if value(label) { 1.0 } else { 0.0 }).collect();
        Tensor::from_data(TensorData::new(values, [images, labels.len() / images]), device)
    };
    let known = labels.iter().filter(|label| **label != Label::Unknown).count() as u64;
    (tensor(|label| label == Label::Present), tensor(|label| label != Label::Unknown), known)
}
