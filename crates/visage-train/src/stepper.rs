//! One optimiser step: forward and backward passes of its batches, and the update of the weights.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use visage_data::{Batch, Preparation, Statistics};
use visage_model::{Draws, Network, Norms, Pass, Precision, Training, image_tensor, ops, threads};
use visage_run::{Recipe, TrainingRecipe};

use crate::gradients::{Gradients, norm_of};
use crate::loss::{Loss, LossError};
use crate::loss_scale::LossScale;
use crate::optimizer::Optimizer;
use crate::schedule::Rates;
use crate::shard::Shard;

/// A network, and what moves its weights: the loss and the optimiser of a recipe.
///
/// A step is one or more batches passed to [`accumulate`](Self::accumulate), then a call of [`step`](Self::step).
#[derive(Debug)]
pub struct Stepper {
    training: TrainingRecipe,
    clip_norm: Option<f64>,
    preparation: Preparation,
    /// The device that holds the weights.
    home: Replica,
    /// Further devices. At every step they receive the weights and return gradients.
    others: Vec<Replica>,
    /// `None` only during an update, so that the optimiser holds the only handle and works in place.
    network: Option<Network>,
    optimizer: Optimizer,
    loss_scale: LossScale,
    accumulated: Accumulated,
}

#[derive(Debug)]
struct Replica {
    /// Without gradients.
    device: Device,
    /// With gradients.
    tracking: Device,
    loss: Loss,
}

#[derive(Debug)]
struct ShardGradients {
    gradients: Gradients,
    /// The mean loss, and the number of labels it is the mean of.
    loss: Tensor<1>,
    labels: u64,
}

#[derive(Debug, Default)]
struct Accumulated {
    /// The network on each of the other devices, from the first batch until the step.
    copies: Vec<Network>,
    gradients: Gradients,
    /// The mean loss of each shard, and the number of labels it is the mean of.
    losses: Vec<(Tensor<1>, u64)>,
}

/// A step. A GPU works asynchronously and may still be computing it.
#[derive(Debug)]
pub enum Step {
    /// The step is complete.
    Done(StepOutput),
    /// The device may still be computing the step.
    Pending(Box<PendingStep>),
}

impl Step {
    /// Waits for the device.
    #[must_use]
    pub fn wait(self) -> StepOutput {
        match self {
            Step::Done(output) => output,
            Step::Pending(pending) => pending.wait(),
        }
    }
}

/// A step that the device may still be computing.
#[derive(Debug)]
pub struct PendingStep {
    losses: Vec<(Tensor<1>, u64)>,
    squares: Option<Tensor<1>>,
}

impl PendingStep {
    fn wait(self) -> StepOutput {
        let labels = self.losses.iter().map(|(_, labels)| labels).sum();
        let sum = self.losses.into_iter().map(|(loss, labels)| f64::from(loss.into_scalar::<f32>()) * labels as f64);
        let loss = sum.sum::<f64>() / (labels as f64).max(1.0);
        let gradient_norm = self.squares.map_or(0.0, norm_of);
        let finite = loss.is_finite() && gradient_norm.is_finite();
        let outcome = if finite { StepOutcome::Taken } else { StepOutcome::Diverged };
        StepOutput { loss, labels, gradient_norm, outcome }
    }
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOutput {
    /// Mean loss over the known labels.
    pub loss: f64,
    /// Number of known labels.
    pub labels: u64,
    /// L2 norm of the gradient of all weights, before clipping.
    pub gradient_norm: f64,
    /// Whether the weights moved.
    pub outcome: StepOutcome,
}

/// What became of a step's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// The weights moved.
    Taken,
    /// The gradient overflowed f16: the loss scale was lowered and the weights did not move.
    Skipped,
    /// The loss or the gradient is not finite. The weights did not move, unless the device [ran ahead](Stepper::runs_ahead).
    Diverged,
}

impl Stepper {
    /// A stepper that trains `network` by `recipe` on `device`. Every batch is split between it and `others`, devices of the
    /// same kind, where norms see only their own shard. `statistics` are those of the training split.
    ///
    /// # Errors
    ///
    /// When the statistics give no usable weights for the loss.
    pub fn new(
        recipe: &Recipe,
        statistics: &Statistics,
        network: Network,
        device: &Device,
        others: &[Device],
    ) -> Result<Self, LossError> {
        let home = Replica::new(recipe, statistics, device)?;
        let others = others.iter().map(|device| Replica::new(recipe, statistics, device)).collect::<Result<_, _>>()?;
        Ok(Self {
            training: recipe.training,
            clip_norm: recipe.optimizer.clip_norm,
            preparation: recipe.input.preparation(),
            network: Some(home.tracked(network)),
            home,
            others,
            optimizer: Optimizer::new(recipe.optimizer),
            loss_scale: LossScale::default(),
            accumulated: Accumulated::default(),
        })
    }

    /// Continues with an optimiser and a loss scale from a checkpoint.
    pub(crate) fn resume(&mut self, optimizer: Optimizer, loss_scale: LossScale) {
        (self.optimizer, self.loss_scale) = (optimizer, loss_scale);
    }

    /// The network, with gradients.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("put back after every step")
    }

    pub(crate) fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    pub(crate) fn loss_scale(&self) -> LossScale {
        self.loss_scale
    }

    /// Whether steps are returned [pending](Step::Pending): a GPU computes asynchronously, unless the loss scale of f16
    /// depends on each result.
    pub fn runs_ahead(&self) -> bool {
        !ops::has_kernels(&self.home.device) && self.training.precision != Precision::F16
    }

    /// Runs a batch of `epoch`, counted from 0, through the network and back, and adds its gradients to the step's.
    pub fn accumulate(&mut self, batch: &Batch, epoch: u64) {
        let partners = batch.mixed.as_ref().map(|mixed| (mixed.partner_targets(&batch.targets), mixed.share));
        let partners = partners.as_ref().map(|(targets, share)| (targets.as_slice(), *share));
        let shards = Shard::split(batch, partners, 1 + self.others.len());
        if self.accumulated.copies.is_empty() {
            // Running statistics of the copies' norms are dropped: those of the first device count, as in PyTorch.
            let copy = |replica: &Replica| replica.tracked(self.network().valid().to_device(&replica.device));
            self.accumulated.copies = self.others.iter().map(copy).collect();
        }
        let compute = |shard| self.shard_gradients(shard, epoch);
        let computed = match shards[..] {
            [whole] => {
                let body = || compute((0, whole));
                vec![if ops::has_kernels(&self.home.device) { threads::awake(body) } else { body() }]
            }
            // A thread for each device, so that they launch their kernels concurrently.
            _ => shards.into_par_iter().enumerate().with_max_len(1).map(compute).collect(),
        };
        for ShardGradients { gradients, loss, labels } in computed {
            // Parts of a step are weighted by their known labels, as if they had been one batch.
            let gradients = if self.is_in_parts() { gradients.times(labels as f64) } else { gradients };
            self.accumulated.gradients = std::mem::take(&mut self.accumulated.gradients).plus(gradients);
            self.accumulated.losses.push((loss, labels));
        }
    }

    /// Whether a step is the sum of several parts.
    fn is_in_parts(&self) -> bool {
        self.training.accumulate > 1 || !self.others.is_empty()
    }

    /// The gradients of a shard, given with its number; they are returned on the first device.
    fn shard_gradients(&self, (number, shard): (usize, Shard<'_>), epoch: u64) -> ShardGradients {
        let Some(other) = number.checked_sub(1) else {
            return self.forward_backward(self.network(), &self.home, shard, epoch);
        };
        let (network, replica) = (&self.accumulated.copies[other], &self.others[other]);
        let ShardGradients { gradients, loss, labels } = self.forward_backward(network, replica, shard, epoch);
        let home = &self.home.device;
        ShardGradients { gradients: gradients.moved_to(home), loss: loss.to_device(home), labels }
    }

    /// The mean loss of a shard and its gradients, by a network on the replica's device.
    fn forward_backward(&self, network: &Network, replica: &Replica, shard: Shard<'_>, epoch: u64) -> ShardGradients {
        let training = &self.training;
        let device = &replica.tracking;
        let samples: Vec<u64> = shard.indices.iter().map(|&index| index as u64).collect();
        let draws = Draws { seed: training.seed, epoch, samples: &samples };
        let head = Training { draws, norms: Norms::Batch, precision: training.precision };
        let norms = if training.freeze_norms { Norms::Frozen } else { Norms::Batch };
        let backbone = Training { norms, ..head };
        let images = image_tensor(&self.preparation, shard.pixels, device);
        let tensors = |targets: &[f32]| label_tensors(targets, samples.len(), device);
        let (targets, mask, labels) = tensors(shard.targets);

        let features = if epoch < u64::from(training.freeze_backbone_epochs) {
            network.features(images, Pass::Inference).detach()
        } else {
            network.features(images, Pass::Training(&backbone))
        };
        let logits = network.classify(features, Pass::Training(&head));
        let (own, partners) = (shard.targets, shard.partners.map_or(&[][..], |(targets, _)| targets));
        let loss = replica.loss.for_targets(&[own, partners].concat());
        let loss = match shard.partners {
            Some((partners, share)) => {
                let (partner_targets, partner_mask, _) = tensors(partners);
                loss.mixed(logits, (targets, mask), (partner_targets, partner_mask), share)
            }
            None => loss.mean(logits, targets, mask),
        };
        let mut tape = (loss.clone() * self.scale()).backward();
        let gradients = Gradients::take(network, &mut tape);
        ShardGradients { gradients, loss: loss.inner(), labels }
    }

    fn scale(&self) -> f64 {
        if self.training.precision == Precision::F16 { self.loss_scale.scale } else { 1.0 }
    }

    /// Moves the weights by the accumulated gradients.
    pub fn step(&mut self, rates: Rates) -> Step {
        if ops::has_kernels(&self.home.device) {
            threads::awake(|| self.step_awake(rates))
        } else {
            self.step_awake(rates)
        }
    }

    fn step_awake(&mut self, rates: Rates) -> Step {
        let (gradients, pending) = self.take_gradients();
        if self.runs_ahead() {
            let gradients = match (self.clip_norm, &pending.squares) {
                (Some(longest), Some(squares)) => gradients.clipped_by_squares(squares.clone(), longest),
                _ => gradients,
            };
            self.update(gradients, rates);
            return Step::Pending(Box::new(pending));
        }
        let mut output = pending.wait();
        output.outcome = self.outcome(output.loss, output.gradient_norm);
        if output.outcome == StepOutcome::Taken {
            let gradients = match self.clip_norm {
                Some(longest) => gradients.clipped(output.gradient_norm, longest),
                None => gradients,
            };
            self.update(gradients, rates);
        }
        Step::Done(output)
    }

    /// The step's gradients, and the losses and squares that describe it.
    fn take_gradients(&mut self) -> (Gradients, PendingStep) {
        // Dropping the copies leaves the optimiser the only handle of weights on a shared device.
        let Accumulated { losses, gradients, .. } = std::mem::take(&mut self.accumulated);
        let known = losses.iter().map(|(_, labels)| labels).sum::<u64>().max(1) as f64;
        let weights = if self.is_in_parts() { known } else { 1.0 };
        let gradients = gradients.times(1.0 / (self.scale() * weights));
        let squares = gradients.squares();
        (gradients, PendingStep { losses, squares })
    }

    fn update(&mut self, gradients: Gradients, rates: Rates) {
        let network = self.network.take().expect("put back after every step");
        self.network = Some(self.optimizer.step(network, gradients, rates));
    }

    /// What becomes of a gradient of this norm.
    fn outcome(&mut self, loss: f64, gradient_norm: f64) -> StepOutcome {
        let half = self.training.precision == Precision::F16;
        match (loss.is_finite(), gradient_norm.is_finite()) {
            (true, true) => {
                if half {
                    self.loss_scale.taken();
                }
                StepOutcome::Taken
            }
            (true, false) if half && self.loss_scale.overflowed() => StepOutcome::Skipped,
            _ => StepOutcome::Diverged,
        }
    }
}

impl Replica {
    fn new(recipe: &Recipe, statistics: &Statistics, device: &Device) -> Result<Self, LossError> {
        let tracking = tracking(&recipe.training, device);
        let loss = Loss::of_recipe(&recipe.loss, statistics, &tracking)?.smoothed(recipe.loss.label_smoothing);
        Ok(Self { device: device.clone(), tracking, loss })
    }

    /// The network ready to be trained here, whatever device its tensors were created for: Burn stores the strategy of
    /// activation checkpointing in each tensor, and they must agree.
    fn tracked(&self, network: Network) -> Network {
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

/// `device` with gradients, and with the recipe's strategy of activation checkpointing.
pub(crate) fn tracking(recipe: &TrainingRecipe, device: &Device) -> Device {
    let tracking = device.clone().autodiff();
    if recipe.checkpoint_activations { tracking.gradient_checkpointing() } else { tracking }
}

/// Targets and mask of labels, `[images, attributes]`, and the number of known labels; `targets` has NaN for unknown ones.
pub(crate) fn label_tensors(targets: &[f32], images: usize, device: &Device) -> (Tensor<2>, Tensor<2>, u64) {
    let tensor = |value: fn(&f32) -> f32| {
        let values: Vec<f32> = targets.iter().map(value).collect();
        Tensor::from_data(TensorData::new(values, [images, targets.len() / images]), device)
    };
    let known = targets.iter().filter(|target| !target.is_nan()).count() as u64;
    let target = |target: &f32| if target.is_nan() { 0.0 } else { *target };
    (tensor(target), tensor(|target| f32::from(u8::from(!target.is_nan()))), known)
}
