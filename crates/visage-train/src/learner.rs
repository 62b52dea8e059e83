//! One optimiser step: batches through the network, their gradients, and what becomes of them.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use visage_data::{Batch, Label, Preparation, Statistics};
use visage_model::{Draws, Network, Norms, Pass, Precision, Training, image_tensor, ops, threads};
use visage_run::{Recipe, TrainingRecipe};

use crate::error::TrainError;
use crate::gradients::{Gradients, norm_of};
use crate::loss::Loss;
use crate::loss_scale::LossScale;
use crate::mixing::mixed_loss;
use crate::optimizer::Optimizer;
use crate::schedule::Rates;

/// A network that learns by a recipe.
#[derive(Debug)]
pub(crate) struct Learner<'a> {
    pub recipe: &'a Recipe,
    pub preparation: Preparation,
    /// Where the weights are and move.
    pub place: Place,
    /// What every batch is shared with: each step they are sent the weights, and send back gradients.
    pub others: Vec<Place>,
    /// Out only during a step, so that the optimiser holds the only handle and works in place.
    pub network: Option<Network>,
    pub optimizer: Optimizer,
    pub loss_scale: LossScale,
}

/// Where batches, or parts of them, go through a network.
#[derive(Debug)]
pub(crate) struct Place {
    /// As it is.
    device: Device,
    /// As training sees it: it tracks gradients.
    tracking: Device,
    loss: Loss,
}

impl Place {
    /// # Errors
    ///
    /// If the recipe's loss makes no sense.
    pub fn new(recipe: &Recipe, statistics: &Statistics, device: &Device) -> Result<Self, TrainError> {
        let tracking = tracking(&recipe.training, device);
        let loss = Loss::of_recipe(&recipe.loss, statistics, &tracking)?.smoothed(recipe.loss.label_smoothing);
        Ok(Self { device: device.clone(), tracking, loss })
    }

    /// The network ready to be trained here, wherever its tensors were made: burn keeps the strategy of checkpointing with
    /// each of them, and they may not differ.
    pub fn tracked(&self, network: Network) -> Network {
        struct Strategy<'a>(&'a Device);

        impl ModuleMapper for Strategy<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|tensor| match self.0.gradient_checkpointing_strategy() {
                    Some(strategy) if tensor.is_autodiff() => tensor.with_gradient_checkpointing_strategy(strategy),
                    _ => tensor,
                })
            }
        }

        network.train().map(&mut Strategy(&self.tracking))
    }
}

/// `device` as training uses it: with gradients, and with the recipe's strategy of recomputing activations.
#[must_use]
pub fn tracking(recipe: &TrainingRecipe, device: &Device) -> Device {
    let tracking = device.clone().autodiff();
    if recipe.checkpoint_activations { tracking.gradient_checkpointing() } else { tracking }
}

/// What one device is given of a batch.
#[derive(Clone, Copy, Debug)]
struct Share<'a> {
    indices: &'a [usize],
    pixels: &'a [u8],
    labels: &'a [Label],
    /// The labels of the images that are mixed into these, and how much of each image is its own.
    partners: Option<(&'a [Label], f32)>,
}

impl<'a> Share<'a> {
    /// Cuts a batch into at most so many parts of about as many images, two at least: one alone has no variance.
    fn cut(batch: &'a Batch, partners: Option<(&'a [Label], f32)>, parts: usize) -> Vec<Self> {
        let images = batch.indices.len();
        let parts = parts.min(images / 2).max(1);
        let (values, attributes) = (batch.size.pixels() * 3, batch.labels.len() / images.max(1));
        let part = |part: usize| {
            let (from, to) = (images * part / parts, images * (part + 1) / parts);
            let labels = from * attributes..to * attributes;
            Self {
                indices: &batch.indices[from..to],
                pixels: &batch.pixels[from * values..to * values],
                labels: &batch.labels[labels.clone()],
                partners: partners.map(|(partners, share)| (&partners[labels], share)),
            }
        };
        (0..parts).map(part).collect()
    }
}

/// What a share came to.
#[derive(Debug)]
struct Back {
    gradients: Gradients,
    /// The mean loss, and how many labels it is of.
    loss: Tensor<1>,
    labels: u64,
}

/// What the batches of one step add up to.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The network where the [`others`](Learner::others) are, from the first batch on until the step.
    copies: Vec<Network>,
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
        let partners = batch.mixed.as_ref().map(|mixed| (mixed.partner_labels(&batch.labels), mixed.share));
        let partners = partners.as_ref().map(|(labels, share)| (labels.as_slice(), *share));
        let shares = Share::cut(batch, partners, 1 + self.others.len());
        if gathered.copies.is_empty() {
            // What their norms gather is left behind: running statistics are those of the first device, as in PyTorch.
            let copy = |place: &Place| place.tracked(self.network().valid().to_device(&place.device));
            gathered.copies = self.others.iter().map(copy).collect();
        }
        let shared = |part| self.shared(part, &gathered.copies, epoch);
        let backs = match shares[..] {
            [whole] => {
                let back = || shared((0, whole));
                vec![if ops::has_kernels(&self.place.device) { threads::awake(back) } else { back() }]
            }
            // Each on a thread of its own, so that none waits for another to be told what to do.
            _ => shares.into_par_iter().enumerate().with_max_len(1).map(shared).collect(),
        };
        for Back { gradients, loss, labels } in backs {
            // Parts of a step count by their known labels, as if they had been one batch.
            let gradients = if self.is_in_parts() { gradients.times(labels as f64) } else { gradients };
            gathered.gradients = std::mem::take(&mut gathered.gradients).plus(gradients);
            gathered.losses.push((loss, labels));
        }
        gathered.batches += 1;
        gathered.images.extend(&batch.indices);
    }

    /// Whether a step is computed in parts that add up.
    fn is_in_parts(&self) -> bool {
        self.recipe.training.accumulate > 1 || !self.others.is_empty()
    }

    /// A share of a batch, by its number; what comes of it is where the weights are.
    fn shared(&self, (number, share): (usize, Share<'_>), copies: &[Network], epoch: u64) -> Back {
        let Some(other) = number.checked_sub(1) else {
            return self.forward_and_back(self.network(), &self.place, share, epoch);
        };
        let Back { gradients, loss, labels } = self.forward_and_back(&copies[other], &self.others[other], share, epoch);
        let home = &self.place.device;
        Back { gradients: gradients.moved_to(home), loss: loss.to_device(home), labels }
    }

    /// Whether a step need not be waited for: a graphics card does it beside the processor, and no scale of the loss depends on
    /// what comes of it.
    pub fn runs_ahead(&self) -> bool {
        !ops::has_kernels(&self.place.device) && self.recipe.training.precision != Precision::F16
    }

    /// The mean loss of a share and its gradients, by a network that is where the `place` says.
    fn forward_and_back(&self, network: &Network, place: &Place, share: Share<'_>, epoch: u64) -> Back {
        let training = &self.recipe.training;
        let device = &place.tracking;
        let samples: Vec<u64> = share.indices.iter().map(|&index| index as u64).collect();
        let draws = Draws { seed: training.seed, epoch, samples: &samples };
        let head = Training { draws, norms: Norms::Batch, precision: training.precision };
        let norms = if training.freeze_norms { Norms::Frozen } else { Norms::Batch };
        let backbone = Training { norms, ..head };
        let images = image_tensor(&self.preparation, share.pixels, device);
        let (targets, mask, labels) = label_tensors(share.labels, samples.len(), device);

        let features = if epoch < u64::from(training.freeze_backbone_epochs) {
            network.features(images, Pass::Inference).detach()
        } else {
            network.features(images, Pass::Training(&backbone))
        };
        let logits = network.classify(features, Pass::Training(&head));
        let loss = match share.partners {
            Some((partners, own)) => {
                let partners = label_tensors(partners, samples.len(), device);
                mixed_loss(&place.loss, logits, (targets, mask), (partners.0, partners.1), own)
            }
            None => place.loss.mean(logits, targets, mask),
        };
        let mut tape = (loss.clone() * self.scale()).backward();
        let gradients = Gradients::take(network, &mut tape);
        Back { gradients, loss: loss.inner(), labels }
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
        // Those on the same device hold the weights, which are to move in place.
        gathered.copies.clear();
        let losses = std::mem::take(&mut gathered.losses);
        let known = losses.iter().map(|(_, labels)| labels).sum::<u64>().max(1) as f64;
        let weights = if self.is_in_parts() { known } else { 1.0 };
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

/// Targets and mask `[images, attributes]`, and how many labels are known.
pub(crate) fn label_tensors(labels: &[Label], images: usize, device: &Device) -> (Tensor<2>, Tensor<2>, u64) {
    let tensor = |value: fn(Label) -> bool| {
        let values: Vec<f32> = labels.iter().map(|&label| if value(label) { 1.0 } else { 0.0 }).collect();
        Tensor::from_data(TensorData::new(values, [images, labels.len() / images]), device)
    };
    let known = labels.iter().filter(|label| **label != Label::Unknown).count() as u64;
    (tensor(|label| label == Label::Present), tensor(|label| label != Label::Unknown), known)
}
