//! Activations and their derivatives, on vectors in registers.
#![allow(unsafe_code)]

use crate::simd::Vector;

/// An activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `z`.
    #[default]
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `min(max(z, 0), 6)`.
    Relu6,
    /// `z * sigmoid(z)`, also called swish.
    Silu,
    /// `z * min(max(z + 3, 0), 6) / 6` (Howard et al., 2019).
    HardSwish,
}

/// The bounds that change no value.
pub(crate) const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

impl Activation {
    /// The bounds that the activation clamps to.
    pub(crate) fn bounds(self) -> [f32; 2] {
        match self {
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
            Activation::Identity | Activation::Silu | Activation::HardSwish => UNBOUNDED,
        }
    }

    /// Whether clamping to its bounds is all that the activation does.
    pub(crate) fn only_clamps(self) -> bool {
        matches!(self, Activation::Identity | Activation::Relu | Activation::Relu6)
    }
}

/// The function that makes the factor of a channel from the value of its gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GateFunction {
    /// `1 / (1 + e^-z)`.
    #[default]
    Sigmoid,
    /// `min(max(z + 3, 0), 6) / 6`.
    HardSigmoid,
}

impl GateFunction {
    /// The factor of every lane.
    ///
    /// # Safety
    /// The processor must support `V`.
    #[inline(always)]
    pub(crate) unsafe fn apply<V: Vector>(self, z: V) -> V {
        // SAFETY: as the caller guarantees.
        unsafe {
            match self {
                GateFunction::Sigmoid => sigmoid(z),
                GateFunction::HardSigmoid => hard_sigmoid(z),
            }
        }
    }

    /// `gradient` times the derivative where the function is `factor`.
    ///
    /// # Safety
    /// The processor must support `V`.
    #[inline(always)]
    pub(crate) unsafe fn backward<V: Vector>(self, factor: V, gradient: V) -> V {
        // SAFETY: as the caller guarantees.
        unsafe {
            let (zero, one) = (V::splat(0.0), V::splat(1.0));
            match self {
                GateFunction::Sigmoid => gradient.mul(factor).mul(one.sub(factor)),
                GateFunction::HardSigmoid => {
                    gradient.mul(V::splat(1.0 / 6.0)).zero_unless_above(factor, zero).zero_unless_below(factor, one)
                }
            }
        }
    }
}

/// An activation as a type, so that a loop is compiled for each.
///
/// NaN stays NaN, so that a diverged network is noticed.
///
/// # Safety
/// Every function needs a processor that supports `V`.
pub(crate) trait Function {
    /// Whether [`backward`](Self::backward) depends on `z`.
    const NEEDS_INPUT: bool;
    /// The activation of every lane.
    unsafe fn apply<V: Vector>(z: V) -> V;
    /// `gradient` times the derivative at `z`. At a kink the derivative is PyTorch's.
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V;
}

pub(crate) struct Identity;
pub(crate) struct Relu;
pub(crate) struct Relu6;
pub(crate) struct Silu;
pub(crate) struct HardSwish;

// SAFETY of all blocks below: the caller guarantees that the processor supports `V`.
impl Function for Identity {
    const NEEDS_INPUT: bool = false;
    #[inline(always)]
    unsafe fn apply<V: Vector>(z: V) -> V {
        z
    }
    #[inline(always)]
    unsafe fn backward<V: Vector>(_: V, gradient: V) -> V {
        gradient
    }
}

impl Function for Relu {
    const NEEDS_INPUT: bool = true;
    #[inline(always)]
    unsafe fn apply<V: Vector>(z: V) -> V {
        unsafe { z.maximum(V::splat(0.0)) }
    }
    #[inline(always)]
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V {
        unsafe { gradient.zero_unless_above(z, V::splat(0.0)) }
    }
}

impl Function for Relu6 {
    const NEEDS_INPUT: bool = true;
    #[inline(always)]
    unsafe fn apply<V: Vector>(z: V) -> V {
        unsafe { z.maximum(V::splat(0.0)).minimum(V::splat(6.0)) }
    }
    #[inline(always)]
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V {
        unsafe { gradient.zero_unless_above(z, V::splat(0.0)).zero_unless_below(z, V::splat(6.0)) }
    }
}

impl Function for Silu {
    const NEEDS_INPUT: bool = true;
    #[inline(always)]
    unsafe fn apply<V: Vector>(z: V) -> V {
        unsafe { z.mul(sigmoid(z)) }
    }
    /// With `s = sigmoid(z)` the derivative is `s + z s (1 - s)`.
    #[inline(always)]
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V {
        unsafe {
            let s = sigmoid(z);
            let rest = V::splat(1.0).sub(s);
            gradient.mul(z.mul(rest).mul_add(s, s))
        }
    }
}

impl Function for HardSwish {
    const NEEDS_INPUT: bool = true;
    #[inline(always)]
    unsafe fn apply<V: Vector>(z: V) -> V {
        unsafe { z.mul(hard_sigmoid(z)) }
    }
    /// The derivative is 0 up to -3, 1 from 3 on, and `z / 3 + 1 / 2` between.
    #[inline(always)]
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V {
        unsafe {
            let (low, high) = (V::splat(-3.0), V::splat(3.0));
            let slope = z.mul_add(V::splat(1.0 / 3.0), V::splat(0.5));
            let between = gradient.mul(slope).zero_unless_above(z, low).zero_unless_below(z, high);
            between.add(gradient.sub(gradient.zero_unless_below(z, high)))
        }
    }
}

/// Evaluates an expression with a type name bound to the [`Function`] of an activation.
macro_rules! with_activation {
    ($activation:expr, $function:ident => $body:expr) => {
        match $activation {
            $crate::activation::Activation::Identity => {
                type $function = $crate::activation::Identity;
                $body
            }
            $crate::activation::Activation::Relu => {
                type $function = $crate::activation::Relu;
                $body
            }
            $crate::activation::Activation::Relu6 => {
                type $function = $crate::activation::Relu6;
                $body
            }
            $crate::activation::Activation::Silu => {
                type $function = $crate::activation::Silu;
                $body
            }
            $crate::activation::Activation::HardSwish => {
                type $function = $crate::activation::HardSwish;
                $body
            }
        }
    };
}
pub(crate) use with_activation;

/// [`with_activation`] for values that are already clamped to [`Activation::bounds`]. Activations that only clamp share one
/// function, so that fewer loops are compiled.
macro_rules! with_activation_of_clamped {
    ($activation:expr, $function:ident => $body:expr) => {
        match $activation {
            $crate::activation::Activation::Identity
            | $crate::activation::Activation::Relu
            | $crate::activation::Activation::Relu6 => {
                type $function = $crate::activation::Identity;
                $body
            }
            $crate::activation::Activation::Silu => {
                type $function = $crate::activation::Silu;
                $body
            }
            $crate::activation::Activation::HardSwish => {
                type $function = $crate::activation::HardSwish;
                $body
            }
        }
    };
}
pub(crate) use with_activation_of_clamped;

/// 1.5 * 2^23: adding it rounds a number of up to 22 bits to an integer, which is then in the low bits of the mantissa.
const SHIFTER: f32 = 12_582_912.0;
/// For `|z|` up to this, neither `e^-z` nor `2^n` is subnormal or infinite.
const RANGE: f32 = 86.5;
/// Coefficients of `(2^f - 1) / f`, highest power first: the minimax polynomial of degree 4, with a relative error of 1.1e-7.
/// Fitted by iteratively reweighted least squares.
#[expect(clippy::approx_constant, reason = "fitted: ln 2 itself would raise the largest error")]
const POLYNOMIAL: [f32; 5] = [1.326_471_6e-3, 9.671_513e-3, 5.550_734e-2, 2.402_224_2e-1, 6.931_47e-1];

/// `1 / (1 + e^-z)` of every lane, to `4 + 2 |z|` units in the last place. `z` is clamped to +-86.5, beyond which `e^-z` leaves
/// the range of f32.
///
/// `e^-z = 2^(n + f)` with an integer `n` and `|f| <= 1/2`: a polynomial gives `2^f`, and `n` is added to its exponent.
///
/// # Safety
/// The processor must support `V`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<V: Vector>(z: V) -> V {
    // SAFETY: as the caller guarantees.
    unsafe {
        let z = z.minimum(V::splat(RANGE)).maximum(V::splat(-RANGE));
        let (factor, shifter) = (V::splat(-std::f32::consts::LOG2_E), V::splat(SHIFTER));
        let shifted = z.mul_add(factor, shifter);
        let f = z.mul_add(factor, shifter.sub(shifted));
        let mut p = V::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            p = p.mul_add(f, V::splat(*coefficient));
        }
        let power = p.mul_add(f, V::splat(1.0)).ldexp(shifted);
        power.add(V::splat(1.0)).reciprocal()
    }
}

/// `min(max(z + 3, 0), 6) / 6` of every lane: exactly 0 and 1 at the bounds.
///
/// # Safety
/// The processor must support `V`.
#[inline(always)]
unsafe fn hard_sigmoid<V: Vector>(z: V) -> V {
    // SAFETY: as the caller guarantees.
    unsafe {
        let clamped = z.add(V::splat(3.0)).maximum(V::splat(0.0)).minimum(V::splat(6.0));
        clamped.mul(V::splat(1.0 / 6.0))
    }
}

#[cfg(test)]
mod tests;
