//! TensorFlow Lite's files, as far as the two networks use them: their operations in f32, with weights in f32 or f16.
//!
//! The numbers of fields and operators are those of TensorFlow's `schema.fbs`
//! (<https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs>).

mod flatbuffer;

use half::f16;
use visage_kernels::{Padding, Window};

use self::flatbuffer::Table;

/// A tensor of a graph: an activation, whose values are computed, or a constant.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    /// Batch, height, width and channels, or fewer.
    pub(crate) shape: Vec<usize>,
    pub(crate) constant: Option<Constant>,
}

/// The values of a constant.
#[derive(Clone, Debug)]
pub(crate) enum Constant {
    Floats(Vec<f32>),
    Integers(Vec<i32>),
}

/// An operation of a graph. Tensors are named by their index.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    pub(crate) inputs: Vec<usize>,
    pub(crate) output: usize,
}

/// What an operation computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Input, filter, bias.
    Convolution(Sliding),
    /// Input, filter, bias.
    Depthwise(Sliding),
    MaxPool(Sliding),
    Add {
        relu: bool,
    },
    Relu,
    /// Input, slopes of the channels.
    Prelu,
    /// Input, zeros before and after each axis.
    Pad,
    /// A view of the same values.
    Reshape,
    /// Along the axis of the second-last dimension.
    Concatenate,
    /// From f16.
    Dequantize,
}

/// A sliding window, before its padding is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sliding {
    /// Rows and columns.
    pub(crate) stride: [usize; 2],
    /// Rows and columns of a pool; 0 where the filter has them.
    pub(crate) kernel: [usize; 2],
    /// TensorFlow's "SAME" padding rather than none.
    pub(crate) same: bool,
    pub(crate) relu: bool,
}

impl Sliding {
    /// The window over maps of `height` and `width`. "SAME" padding puts the larger half below and to the right.
    pub(crate) fn window(&self, kernel: [usize; 2], height: usize, width: usize) -> Window {
        let total = |size: usize, kernel: usize, stride: usize| {
            let outputs = size.div_ceil(stride);
            if self.same { ((outputs - 1) * stride + kernel).saturating_sub(size) } else { 0 }
        };
        let rows = total(height, kernel[0], self.stride[0]);
        let columns = total(width, kernel[1], self.stride[1]);
        let padding =
            Padding { top: rows / 2, left: columns / 2, bottom: rows - rows / 2, right: columns - columns / 2 };
        Window { kernel, stride: self.stride, padding }
    }
}

/// The graph of a network.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) input: usize,
    pub(crate) outputs: Vec<usize>,
}

impl Graph {
    /// Reads a file. `None` where it is damaged or uses what the two networks do not.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        if file.get(4..8)? != b"TFL3" {
            return None;
        }
        let model = Table::root(file)?;
        let operators: Vec<i32> = model.tables(1)?.iter().map(operator).collect();
        let buffers = model.tables(4)?;
        let [graph] = model.tables(2)?[..] else { return None };
        let tensors = graph.tables(0)?.into_iter().map(|table| tensor(table, &buffers)).collect::<Option<Vec<_>>>()?;
        let index = |number: i32| usize::try_from(number).ok().filter(|&number| number < tensors.len());
        let operation = |table: Table<'_>| {
            let operator = *operators.get(usize::try_from(table.u32(0)).ok()?)?;
            let [output] = table.integers(2)?[..] else { return None };
            // An input that an operation does without is -1.
            let inputs = table.integers(1)?.into_iter().filter(|&number| number >= 0);
            let inputs = inputs.map(index).collect::<Option<Vec<_>>>()?;
            Some(Operation { kind: kind(operator, table.table(4))?, inputs, output: index(output)? })
        };
        let operations = graph.tables(3)?.into_iter().map(operation).collect::<Option<Vec<_>>>()?;
        let [input] = graph.integers(1)?[..] else { return None };
        let outputs = graph.integers(2)?.into_iter().map(index).collect::<Option<Vec<_>>>()?;
        let input = index(input)?;
        Some(Graph { tensors, operations, input, outputs })
    }
}

/// The number of a builtin operator. Old files have it in a field of one byte.
fn operator(code: &Table<'_>) -> i32 {
    i32::from(code.i8(0)).max(code.i32(3))
}

fn tensor(table: Table<'_>, buffers: &[Table<'_>]) -> Option<Tensor> {
    /// The types of values.
    const FLOAT32: i8 = 0;
    const FLOAT16: i8 = 1;
    const INT32: i8 = 2;
    /// The most elements along an axis, far above those of the two networks: products do not overflow.
    const MAX_SIZE: usize = 1 << 12;
    let size = |size: i32| usize::try_from(size).ok().filter(|size| (1..=MAX_SIZE).contains(size));
    let shape = table.integers(0)?.into_iter().map(size).collect::<Option<Vec<_>>>()?;
    let bytes = buffers.get(usize::try_from(table.u32(2)).ok()?)?.bytes(0)?;
    let words = || bytes.as_chunks::<4>().0;
    let constant = match table.i8(1) {
        _ if bytes.is_empty() => None,
        FLOAT32 => Some(Constant::Floats(words().iter().map(|word| f32::from_le_bytes(*word)).collect())),
        FLOAT16 => {
            let halves = bytes.as_chunks::<2>().0;
            Some(Constant::Floats(halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()).collect()))
        }
        INT32 => Some(Constant::Integers(words().iter().map(|word| i32::from_le_bytes(*word)).collect())),
        _ => return None,
    };
    let expected: usize = shape.iter().product();
    let length = match &constant {
        None => expected,
        Some(Constant::Floats(values)) => values.len(),
        Some(Constant::Integers(values)) => values.len(),
    };
    (length == expected).then_some(Tensor { shape, constant })
}

fn kind(operator: i32, options: Option<Table<'_>>) -> Option<Kind> {
    /// The padding and the activation of an operation.
    const SAME: i8 = 0;
    const RELU: i8 = 1;
    let activation = |index: usize| match options.map_or(0, |options| options.i8(index)) {
        0 => Some(false),
        RELU => Some(true),
        _ => None,
    };
    let side = |index: usize| usize::try_from(options?.i32(index)).ok().filter(|&side| side > 0);
    let sliding = |kernel: [usize; 2], relu: bool| {
        let same = options?.i8(0) == SAME;
        // Strides are stored width first.
        Some(Sliding { stride: [side(2)?, side(1)?], kernel, same, relu })
    };
    match operator {
        0 => Some(Kind::Add { relu: activation(0)? }),
        2 => (options?.i32(0) == 1).then_some(Kind::Concatenate),
        3 => Some(Kind::Convolution(sliding([0; 2], activation(3)?)?)),
        // Each channel has one filter.
        4 => (options?.i32(3) == 1).then_some(Kind::Depthwise(sliding([0; 2], activation(4)?)?)),
        6 => Some(Kind::Dequantize),
        17 => Some(Kind::MaxPool(sliding([side(4)?, side(3)?], activation(5)?)?)),
        19 => Some(Kind::Relu),
        22 => Some(Kind::Reshape),
        34 => Some(Kind::Pad),
        54 => Some(Kind::Prelu),
        _ => None,
    }
}
