//! The layers the networks are made of.
//!
//! Fields carry PyTorch's names (`weight`, `bias`, `running_mean`, `running_var`), so that a parameter's path in
//! the module tree reads like its key in a state dict.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::RngExt;
use visage_data::random::stream;

use crate::ops::{self, Activation, POINT, Padding, Precision, Window};
use crate::plan::{Operation, Planned, Planner, windowed};
use crate::state::{float_values, to_file};

/// How a forward pass is meant.
#[derive(Clone, Copy, Debug)]
pub enum Pass<'a> {
    /// Norms use their running statistics; nothing is dropped.
    Inference,
    /// As inference, but with gradients, and so not with folded filters.
    Explanation,
    /// Dropout and stochastic depth draw, and norms do what [`Training::norms`] says.
    Training(&'a Training<'a>),
}

impl<'a> Pass<'a> {
    /// What the random layers draw from, in training.
    fn draws(self) -> Option<&'a Draws<'a>> {
        match self {
            Pass::Inference | Pass::Explanation => None,
            Pass::Training(training) => Some(&training.draws),
        }
    }

    /// The type the pass computes in.
    #[must_use]
    pub fn precision(self) -> Precision {
        match self {
            Pass::Inference | Pass::Explanation => Precision::F32,
            Pass::Training(training) => training.precision,
        }
    }

    /// `values` in the type the pass computes in.
    #[must_use]
    pub fn round<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        ops::round(values, self.precision())
    }
}

/// A forward pass whose gradients are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// What random layers draw from.
    pub draws: Draws<'a>,
    /// What batch norms do.
    pub norms: Norms,
    /// The type that activations and their gradients are held in.
    pub precision: Precision,
}

impl<'a> From<Draws<'a>> for Training<'a> {
    /// Ordinary training, in f32.
    fn from(draws: Draws<'a>) -> Self {
        Self { draws, norms: Norms::Batch, precision: Precision::F32 }
    }
}

/// What batch norms do in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Normalise by the batch's statistics and gather the running ones.
    Batch,
    /// Stay as they are: running statistics, scale and shift are used and none of them changes.
    Frozen,
}

/// What the random layers of one training batch draw from: a stream for each sample, so that neither the
/// composition of a batch nor the number of threads changes what happens to a sample.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Index in the dataset of each image of the batch.
    pub samples: &'a [u64],
}

/// Convolution without bias; the weight is `[out_channels, kernel_height, kernel_width, in_channels]`.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// The filters.
    pub weight: Param<Tensor<4>>,
    stride: usize,
    #[module(skip)]
    padding: PaddingRule,
}

/// How much a convolution pads its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaddingRule {
    /// `(kernel - 1) / 2` on every side, as PyTorch's networks do.
    Symmetric,
    /// TensorFlow's "SAME": the output is `ceil(input / stride)`, an odd remainder goes to the bottom and right.
    Same,
}

impl PaddingRule {
    fn window(self, input: [usize; 2], kernel: [usize; 2], stride: usize) -> Window {
        let sides = |axis: usize| match self {
            PaddingRule::Symmetric => [(kernel[axis] - 1) / 2; 2],
            PaddingRule::Same => {
                let output = input[axis].div_ceil(stride);
                let total = ((output - 1) * stride + kernel[axis]).saturating_sub(input[axis]);
                [total / 2, total - total / 2]
            }
        };
        let ([top, bottom], [left, right]) = (sides(0), sides(1));
        Window { kernel, stride: [stride, stride], padding: Padding { top, left, bottom, right } }
    }
}

impl Conv2d {
    /// A convolution whose weight is zero until it is initialised or loaded.
    #[must_use]
    pub fn new(channels: [usize; 2], kernel: usize, stride: usize, padding: PaddingRule, device: &Device) -> Self {
        let [input, output] = channels;
        Self { weight: Param::from_tensor(Tensor::zeros([output, kernel, kernel, input], device)), stride, padding }
    }

    /// `[batch, height, width, in_channels]` to `[batch, out_height, out_width, out_channels]`.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let window = self.window(&input);
        pass.round(ops::conv2d(input, pass.round(self.weight.val()), window))
    }

    fn window(&self, input: &Tensor<4>) -> Window {
        let ([_, height, width, _], [_, kernel_height, kernel_width, _]) = (input.dims(), self.weight.val().dims());
        self.padding.window([height, width], [kernel_height, kernel_width], self.stride)
    }
}

/// Depthwise convolution without bias; the weight is `[kernel_height, kernel_width, channels]`.
#[derive(Module, Debug)]
pub struct DepthwiseConv2d {
    /// The filters.
    pub weight: Param<Tensor<3>>,
    stride: usize,
    #[module(skip)]
    padding: PaddingRule,
}

impl DepthwiseConv2d {
    /// A convolution whose weight is zero until it is initialised or loaded.
    #[must_use]
    pub fn new(channels: usize, kernel: usize, stride: usize, padding: PaddingRule, device: &Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([kernel, kernel, channels], device)), stride, padding }
    }

    /// `[batch, height, width, channels]` to `[batch, out_height, out_width, channels]`.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let window = self.window(&input);
        pass.round(ops::depthwise_conv2d(input, pass.round(self.weight.val()), window))
    }

    fn window(&self, input: &Tensor<4>) -> Window {
        let ([_, height, width, _], [kernel_height, kernel_width, _]) = (input.dims(), self.weight.val().dims());
        self.padding.window([height, width], [kernel_height, kernel_width], self.stride)
    }
}

/// Batch normalisation (Ioffe & Szegedy, 2015) with PyTorch's conventions: the batch is normalised by its biased
/// variance, the running variance gathers the unbiased one.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// gamma, `[channels]`
    pub weight: Param<Tensor<1>>,
    /// beta, `[channels]`
    pub bias: Param<Tensor<1>>,
    /// Mean at inference, `[channels]`
    pub running_mean: RunningState<Tensor<1>>,
    /// Variance at inference, `[channels]`
    pub running_var: RunningState<Tensor<1>>,
    epsilon: f64,
    momentum: f64,
}

/// Epsilon and momentum of a network's batch norms. Momentum is the weight of the newest batch.
#[derive(Clone, Copy, Debug)]
pub struct NormConfig {
    /// Added to the variance.
    pub epsilon: f64,
    /// `running = (1 - momentum) * running + momentum * batch`
    pub momentum: f64,
}

impl BatchNorm {
    /// The identity: weight and variance one, bias and mean zero.
    #[must_use]
    pub fn new(channels: usize, config: NormConfig, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([channels], device)),
            bias: Param::from_tensor(Tensor::zeros([channels], device)),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            epsilon: config.epsilon,
            momentum: config.momentum,
        }
    }

    /// `activation(norm(input) + residual)`, all `[batch, height, width, channels]`.
    #[must_use]
    pub fn forward(
        &self,
        input: Tensor<4>,
        residual: Option<Tensor<4>>,
        activation: Activation,
        pass: Pass<'_>,
    ) -> Tensor<4> {
        match pass {
            Pass::Inference | Pass::Explanation => {
                let (scale, shift) = self.scale_and_shift(self.weight.val(), self.bias.val());
                ops::scale_shift(input, scale, shift, residual, activation)
            }
            Pass::Training(Training { norms: Norms::Frozen, .. }) => {
                let (scale, shift) = self.scale_and_shift(self.weight.val().detach(), self.bias.val().detach());
                pass.round(ops::scale_shift(input, scale, shift, residual, activation))
            }
            Pass::Training(Training { norms: Norms::Batch, .. }) => {
                let [batch, height, width, _] = input.dims();
                let rows = (batch * height * width) as f64;
                let normed = ops::batch_norm_train(
                    input,
                    self.weight.val(),
                    self.bias.val(),
                    residual,
                    self.epsilon,
                    activation,
                );
                let unbiased = normed.variance * (rows / (rows - 1.0).max(1.0));
                self.gather(&self.running_mean, normed.mean);
                self.gather(&self.running_var, unbiased);
                pass.round(normed.output)
            }
        }
    }

    /// What the norm with its running statistics is: `input * scale + shift`.
    fn scale_and_shift(&self, weight: Tensor<1>, bias: Tensor<1>) -> (Tensor<1>, Tensor<1>) {
        let (mean, variance) = (self.running_mean.value_sync(), self.running_var.value_sync());
        let scale = weight / (variance + self.epsilon).sqrt();
        let shift = bias - mean * scale.clone();
        (scale, shift)
    }

    /// The same over the rows of a matrix, `[batch, channels]`.
    #[must_use]
    pub fn forward_rows(&self, input: Tensor<2>, activation: Activation, pass: Pass<'_>) -> Tensor<2> {
        let [batch, channels] = input.dims();
        self.forward(input.reshape([batch, 1, 1, channels]), None, activation, pass).reshape([batch, channels])
    }

    fn gather(&self, running: &RunningState<Tensor<1>>, batch: Tensor<1>) {
        let before = running.value_sync();
        running.update((before * (1.0 - self.momentum) + batch.detach() * self.momentum).detach());
        // An update waits beside the value until it is asked for; whoever visits the module reads the value alone.
        running.value_sync();
    }
}

/// A convolution followed by its norm.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution.
    pub conv: Conv2d,
    /// Its norm.
    pub norm: BatchNorm,
    #[module(skip)]
    folded: Option<Folded<1>>,
}

/// A convolution whose norm's scale is in its filters.
#[derive(Clone, Debug)]
struct Folded<const D: usize> {
    filters: Tensor<D>,
    /// `[channels]`
    shift: Tensor<1>,
}

impl ConvNorm {
    /// The two, in the order they are applied.
    #[must_use]
    pub fn new(conv: Conv2d, norm: BatchNorm) -> Self {
        Self { conv, norm, folded: None }
    }

    /// `activation(norm(conv(input)) + residual)`.
    #[must_use]
    pub fn forward(
        &self,
        input: Tensor<4>,
        residual: Option<Tensor<4>>,
        activation: Activation,
        pass: Pass<'_>,
    ) -> Tensor<4> {
        match (&self.folded, pass) {
            (Some(Folded { filters, shift }), Pass::Inference) => {
                let window = self.conv.window(&input);
                ops::folded_conv2d(input, filters.clone(), shift.clone(), residual, window, activation)
            }
            _ => self.norm.forward(self.conv.forward(input, pass), residual, activation, pass),
        }
    }

    /// Adds it to a plan.
    pub(crate) fn plan(
        &self,
        planner: &mut Planner,
        name: &str,
        input: Planned,
        residual: Option<Planned>,
        activation: Activation,
    ) -> Planned {
        let weight = self.conv.weight.val();
        let [outputs, kernel_height, kernel_width, inputs] = weight.dims();
        let window = self.conv.padding.window(input.size, [kernel_height, kernel_width], self.conv.stride);
        let (scale, shift) = self.norm.scale_and_shift(self.norm.weight.val(), self.norm.bias.val());
        let folded = weight * scale.reshape([outputs, 1, 1, 1]);
        let operation = Operation::Conv {
            filters: to_file(&folded.dims(), float_values(folded.into_data())),
            filter_shape: [outputs, inputs, kernel_height, kernel_width],
            bias: float_values(shift.into_data()),
            groups: 1,
            window,
            residual: residual.map(|residual| residual.value),
            activation,
        };
        planner.step(name, input, operation, windowed(input.size, window))
    }

    /// Whether inference was made ready.
    pub(crate) fn is_folded(&self) -> bool {
        self.folded.is_some()
    }

    /// Makes inference ready: from now on it computes with what the weights are now, in `precision`.
    pub fn fold(&mut self, precision: Precision) {
        let (scale, shift) = self.norm.scale_and_shift(self.norm.weight.val(), self.norm.bias.val());
        let weight = self.conv.weight.val();
        let [_, kernel_height, kernel_width, _] = weight.dims();
        let (kernel, stride) = ([kernel_height, kernel_width], [self.conv.stride; 2]);
        // Which padding there will be depends on the images; filters do not.
        let window = Window { kernel, stride, padding: Padding::default() };
        let filters = ops::round(ops::fold_conv2d(weight, scale, window), precision);
        self.folded = Some(Folded { filters, shift });
    }
}

/// A depthwise convolution followed by its norm.
#[derive(Module, Debug)]
pub struct DepthwiseNorm {
    /// The convolution.
    pub conv: DepthwiseConv2d,
    /// Its norm.
    pub norm: BatchNorm,
    #[module(skip)]
    folded: Option<Folded<3>>,
}

impl DepthwiseNorm {
    /// The two, in the order they are applied.
    #[must_use]
    pub fn new(conv: DepthwiseConv2d, norm: BatchNorm) -> Self {
        Self { conv, norm, folded: None }
    }

    /// `activation(norm(conv(input)))`.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>, activation: Activation, pass: Pass<'_>) -> Tensor<4> {
        match (&self.folded, pass) {
            (Some(Folded { filters, shift }), Pass::Inference) => {
                let window = self.conv.window(&input);
                ops::folded_depthwise_conv2d(input, filters.clone(), shift.clone(), window, activation)
            }
            _ => self.norm.forward(self.conv.forward(input, pass), None, activation, pass),
        }
    }

    /// `forward` of what `expand`, whose filters are of one pixel, makes of the input, with the same activation.
    #[must_use]
    pub fn forward_expanded(
        &self,
        expand: &ConvNorm,
        input: Tensor<4>,
        activation: Activation,
        pass: Pass<'_>,
    ) -> Tensor<4> {
        match (&expand.folded, &self.folded, pass) {
            (Some(dense), Some(depthwise), Pass::Inference) => {
                let window = self.conv.window(&input);
                let dense = (dense.filters.clone(), dense.shift.clone());
                let depthwise = (depthwise.filters.clone(), depthwise.shift.clone());
                ops::folded_expansion(input, dense, depthwise, window, activation)
            }
            _ => self.forward(expand.forward(input, None, activation, pass), activation, pass),
        }
    }

    /// Adds it to a plan.
    pub(crate) fn plan(&self, planner: &mut Planner, name: &str, input: Planned, activation: Activation) -> Planned {
        let weight = self.conv.weight.val();
        let [kernel_height, kernel_width, channels] = weight.dims();
        let window = self.conv.padding.window(input.size, [kernel_height, kernel_width], self.conv.stride);
        let (scale, shift) = self.norm.scale_and_shift(self.norm.weight.val(), self.norm.bias.val());
        let folded: Tensor<3> = weight * scale.unsqueeze();
        let operation = Operation::Conv {
            filters: to_file(&folded.dims(), float_values(folded.into_data())),
            filter_shape: [channels, 1, kernel_height, kernel_width],
            bias: float_values(shift.into_data()),
            groups: channels,
            window,
            residual: None,
            activation,
        };
        planner.step(name, input, operation, windowed(input.size, window))
    }

    /// As [`ConvNorm::fold`].
    pub fn fold(&mut self, precision: Precision) {
        let (scale, shift) = self.norm.scale_and_shift(self.norm.weight.val(), self.norm.bias.val());
        let filters = ops::round(self.conv.weight.val() * scale.unsqueeze(), precision);
        self.folded = Some(Folded { filters, shift });
    }
}

/// `input * weight^T + bias`; the weight is `[outputs, inputs]` as in PyTorch.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[outputs, inputs]`
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    folded: Option<Folded<1>>,
}

impl Linear {
    /// A layer of zeros until it is initialised or loaded.
    #[must_use]
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
            folded: None,
        }
    }

    /// `activation(norm(input * weight^T + bias))`: `[batch, inputs]` to `[batch, outputs]`.
    #[must_use]
    pub fn forward(
        &self,
        input: Tensor<2>,
        norm: Option<&BatchNorm>,
        activation: Activation,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        if let (Some(Folded { filters, shift }), Pass::Inference) = (&self.folded, pass) {
            let [batch, inputs] = input.dims();
            let [outputs] = shift.dims();
            let image = input.reshape([batch, 1, 1, inputs]);
            let output = ops::folded_conv2d(image, filters.clone(), shift.clone(), None, POINT, activation);
            return output.reshape([batch, outputs]);
        }
        let (weight, bias) = (pass.round(self.weight.val()), pass.round(self.bias.val()));
        // A backbone that is frozen answers in f32, whatever the head computes in.
        let input = input.cast(weight.dtype());
        let output = pass.round(input.matmul(weight.transpose()) + bias.unsqueeze());
        match (norm, activation) {
            (Some(norm), _) => norm.forward_rows(output, activation, pass),
            (None, Activation::Identity) => output,
            (None, Activation::Relu) => activation::relu(output),
            (None, Activation::Relu6) => output.clamp(0.0, 6.0),
            (None, Activation::Silu) => pass.round(activation::silu(output)),
        }
    }

    /// Weight and bias with the norm that follows folded in.
    fn normed(&self, norm: Option<&BatchNorm>) -> (Tensor<2>, Tensor<1>) {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let Some(norm) = norm else { return (weight, bias) };
        let (scale, shift) = norm.scale_and_shift(norm.weight.val(), norm.bias.val());
        (weight * scale.clone().unsqueeze_dim(1), bias * scale + shift)
    }

    /// As [`ConvNorm::fold`], with the norm that follows.
    pub fn fold(&mut self, norm: Option<&BatchNorm>, precision: Precision) {
        let (weight, shift) = self.normed(norm);
        let filters = ops::fold_conv2d(weight.unsqueeze_dims(&[1, 2]), Tensor::ones_like(&shift), POINT);
        self.folded = Some(Folded { filters: ops::round(filters, precision), shift });
    }

    /// Adds it to a plan, with a norm after it folded in.
    pub(crate) fn plan(
        &self,
        planner: &mut Planner,
        name: &str,
        input: Planned,
        norm: Option<&BatchNorm>,
        activation: Activation,
    ) -> Planned {
        let (weight, bias) = self.normed(norm);
        let (weight, bias) = (float_values(weight.into_data()), float_values(bias.into_data()));
        planner.step(name, input, Operation::Linear { weight, bias, activation }, [1, 1])
    }

    /// Adds it to a plan as the 1x1 convolution of a map of one position.
    fn plan_as_conv(&self, planner: &mut Planner, name: &str, input: Planned, activation: Activation) -> Planned {
        let [outputs, inputs] = self.weight.val().dims();
        let operation = Operation::Conv {
            filters: float_values(self.weight.val().into_data()),
            filter_shape: [outputs, inputs, 1, 1],
            bias: float_values(self.bias.val().into_data()),
            groups: 1,
            window: POINT,
            residual: None,
            activation,
        };
        planner.step(name, input, operation, input.size)
    }
}

/// Squeeze and excitation (Hu et al., 2018): channels weighted by what the whole image shows.
#[derive(Module, Debug)]
pub struct SqueezeExcite {
    /// To the squeezed channels.
    pub reduce: Linear,
    /// Back to all channels.
    pub expand: Linear,
    /// The weight of `expand` transposed, once inference is made ready.
    #[module(skip)]
    folded: Option<Tensor<2>>,
}

impl SqueezeExcite {
    /// The gate of these two layers.
    #[must_use]
    pub fn new(reduce: Linear, expand: Linear) -> Self {
        Self { reduce, expand, folded: None }
    }

    /// `[batch, height, width, channels]` to the same shape.
    #[must_use]
    pub fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        if pass.precision() == Precision::F32 {
            let folded = self.folded.clone().filter(|_| matches!(pass, Pass::Inference));
            let expand = folded.unwrap_or_else(|| self.expand.weight.val().transpose());
            let Self { reduce: Linear { weight, bias, .. }, .. } = self;
            return ops::squeeze_excite(input, weight.val(), bias.val(), expand, self.expand.bias.val());
        }
        // In a narrower type what lies between is rounded too.
        let pooled = pass.round(ops::global_average_pool(input.clone()));
        let squeezed = self.reduce.forward(pooled, None, Activation::Silu, pass);
        let gate = self.expand.forward(squeezed, None, Activation::Identity, pass);
        let gate = pass.round(activation::sigmoid(gate));
        pass.round(ops::channel_gate(input, gate))
    }

    /// As [`ConvNorm::fold`].
    pub fn fold(&mut self) {
        let weight = self.expand.weight.val();
        // By its data, so that it lies transposed and is not a view.
        self.folded = Some(Tensor::from_data(weight.clone().transpose().into_data(), &weight.device()));
    }

    /// Adds it to a plan.
    pub(crate) fn plan(&self, planner: &mut Planner, name: &str, input: Planned) -> Planned {
        let pooled = planner.step(&format!("{name}.pool"), input, Operation::GlobalAveragePool, [1, 1]);
        let squeezed = self.reduce.plan_as_conv(planner, &format!("{name}.reduce"), pooled, Activation::Silu);
        let gate = self.expand.plan_as_conv(planner, &format!("{name}.expand"), squeezed, Activation::Identity);
        planner.step(name, input, Operation::Gate { gate: gate.value }, input.size)
    }
}

/// Dropout (Srivastava et al., 2014) of features, scaled so that the mean is kept. `place` names the layer.
#[must_use]
pub fn dropout(input: Tensor<2>, rate: f64, place: &'static str, pass: Pass<'_>) -> Tensor<2> {
    let Some(draws) = pass.draws() else { return input };
    if rate == 0.0 {
        return input;
    }
    let [_, features] = input.dims();
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mut mask = Vec::with_capacity(draws.samples.len() * features);
    for &sample in draws.samples {
        let mut random = stream(draws.seed, place, draws.epoch, sample);
        mask.extend((0..features).map(|_| if random.random::<f64>() < rate { 0.0 } else { kept }));
    }
    let mask = Tensor::from_data(TensorData::new(mask, [draws.samples.len(), features]), &input.device());
    pass.round(ops::float32(input) * mask)
}

/// Stochastic depth (Huang et al., 2016), torchvision's "row" mode: the whole branch of an image is dropped with
/// probability `rate`, and scaled by `1 / (1 - rate)` where it is kept. `block` is the block's index.
#[must_use]
pub fn stochastic_depth(branch: Tensor<4>, rate: f64, block: usize, pass: Pass<'_>) -> Tensor<4> {
    let Some(draws) = pass.draws() else { return branch };
    if rate == 0.0 {
        return branch;
    }
    let [_, _, _, channels] = branch.dims();
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mut gate = Vec::with_capacity(draws.samples.len() * channels);
    for &sample in draws.samples {
        let mut random = stream(draws.seed, "stochastic depth", draws.epoch, sample);
        // One draw a block from the sample's stream: the block's own is the one at its index.
        let draw = (0..=block).map(|_| random.random::<f64>()).last().unwrap_or(0.0);
        let scale = if draw < rate { 0.0 } else { kept };
        gate.extend(std::iter::repeat_n(scale, channels));
    }
    let gate = Tensor::from_data(TensorData::new(gate, [draws.samples.len(), channels]), &branch.device());
    pass.round(ops::channel_gate(branch, gate))
}
