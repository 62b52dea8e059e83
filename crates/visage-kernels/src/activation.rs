//! Activations and their derivatives on vectors that are still in registers.
#![allow(unsafe_code)]

use crate::simd::Vector;

/// What follows a normalisation.
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
}

/// One activation as a type, so that a loop is compiled for each.
///
/// Every function needs the instructions of `V`. What is no number stays none: a diverged network must show.
pub(crate) trait Function {
    /// Whether [`backward`](Self::backward) looks at `z`.
    const CURVED: bool;
    /// The activation of every lane.
    unsafe fn lanes<V: Vector>(z: V) -> V;
    /// `gradient` times the derivative at `z`; where there is none, PyTorch's choice.
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V;
}

pub(crate) struct Identity;
pub(crate) struct Relu;
pub(crate) struct Relu6;
pub(crate) struct Silu;

// SAFETY of all blocks below: the caller vouches for the instructions.
impl Function for Identity {
    const CURVED: bool = false;
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
        z
    }
    #[inline(always)]
    unsafe fn backward<V: Vector>(_: V, gradient: V) -> V {
        gradient
    }
}

impl Function for Relu {
    const CURVED: bool = true;
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
        unsafe { z.at_least(V::splat(0.0)) }
    }
    #[inline(always)]
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V {
        unsafe { gradient.where_above(z, V::splat(0.0)) }
    }
}

impl Function for Relu6 {
    const CURVED: bool = true;
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
        unsafe { z.at_least(V::splat(0.0)).at_most(V::splat(6.0)) }
    }
    #[inline(always)]
    unsafe fn backward<V: Vector>(z: V, gradient: V) -> V {
        unsafe { gradient.where_above(z, V::splat(0.0)).where_below(z, V::splat(6.0)) }
    }
}

impl Function for Silu {
    const CURVED: bool = true;
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
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

/// Evaluates an expression with a type name bound to the activation's [`Function`].
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
        }
    };
}
pub(crate) use with_activation;

/// 1.5 * 2^23: a number of up to 22 bits added to it is rounded to a whole one, which lies in the low bits.
const SHIFTER: f32 = 12_582_912.0;
/// Where `e^-z` is neither subnormal nor infinite, and `2^n` neither.
const RANGE: f32 = 86.5;
/// `2^f - 1` over f, highest power first: the least greatest relative error that five coefficients reach, 1.1e-7. Fitted by least
/// squares with the weights raised where the error is greatest.
#[expect(clippy::approx_constant, reason = "fitted: ln 2 itself makes the greatest error greater")]
const POLYNOMIAL: [f32; 5] = [1.326_471_6e-3, 9.671_513e-3, 5.550_734e-2, 2.402_224_2e-1, 6.931_47e-1];

/// `1 / (1 + e^-z)` of every lane, to `4 + 2 |z|` units in the last place; where `e^-z` passes the range of f32, what it is at
/// +-86.5.
///
/// `e^-z = 2^(n + f)` with `n` whole and `|f| <= 1/2`: `2^f` by its polynomial, to whose exponent `n` is added.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub(crate) unsafe fn sigmoid<V: Vector>(z: V) -> V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let z = z.at_most(V::splat(RANGE)).at_least(V::splat(-RANGE));
        let (factor, shifter) = (V::splat(-std::f32::consts::LOG2_E), V::splat(SHIFTER));
        let shifted = z.mul_add(factor, shifter);
        let f = z.mul_add(factor, shifter.sub(shifted));
        let mut p = V::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            p = p.mul_add(f, V::splat(*coefficient));
        }
        let power = p.mul_add(f, V::splat(1.0)).times_power(shifted);
        power.add(V::splat(1.0)).reciprocal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{self, Kernel};

    /// What is made of one vector whose lanes are all the same.
    struct Of<F>(F);

    impl<F: FnOnce(Lanes) -> f32> Kernel for Of<F> {
        type Output = f32;
        #[inline(always)]
        unsafe fn run<V: Vector>(self) -> f32 {
            // SAFETY: the caller vouches for the instructions.
            unsafe {
                (self.0)(Lanes {
                    sigmoid: |z| last(sigmoid(V::splat(z))),
                    value: |activation, z| with_activation!(activation, F => last(F::lanes(V::splat(z)))),
                    backward: |activation, z| with_activation!(activation, F => last(F::backward(V::splat(z), V::splat(1.0)))),
                })
            }
        }
    }

    /// The functions on the vectors of one level, seen through one lane.
    struct Lanes {
        sigmoid: fn(f32) -> f32,
        value: fn(Activation, f32) -> f32,
        backward: fn(Activation, f32) -> f32,
    }

    unsafe fn last<V: Vector>(vector: V) -> f32 {
        let mut lanes = [0.0; 16];
        // SAFETY: the caller vouches for the instructions; no vector has more lanes.
        unsafe { vector.store(lanes.as_mut_ptr()) };
        lanes[V::LANES - 1]
    }

    fn sigmoid_of(z: f64) -> f64 {
        1.0 / (1.0 + (-z).exp())
    }

    #[test]
    fn sigmoid_is_as_exact_as_it_says() {
        for level in simd::available() {
            let worst = simd::dispatch(
                level,
                Of(|lanes: Lanes| {
                    assert_eq!((lanes.sigmoid)(0.0), 0.5);
                    let mut worst = 0.0f64;
                    let mut z = -86.0f32;
                    while z < 86.0 {
                        let exact = sigmoid_of(f64::from(z));
                        let unit = f64::from(f32::EPSILON) * 2f64.powi(exact.log2().floor() as i32);
                        let allowed = 4.0 + 2.0 * f64::from(z).abs();
                        worst = worst.max((f64::from((lanes.sigmoid)(z)) - exact).abs() / unit / allowed);
                        z += 1.37e-3;
                    }
                    worst as f32
                }),
            );
            assert!(worst < 1.0, "{worst} of what is allowed at {level:?}");
        }
    }

    #[test]
    fn activations_and_derivatives_are_their_definitions() {
        for level in simd::available() {
            let check = |lanes: Lanes| {
                for z in (-2000..2000).map(|i| i as f32 * 0.051) {
                    let exact = f64::from(z);
                    let s = sigmoid_of(exact);
                    for (activation, value, derivative) in [
                        (Activation::Identity, exact, 1.0),
                        (Activation::Relu, exact.max(0.0), f64::from(z > 0.0)),
                        (Activation::Relu6, exact.clamp(0.0, 6.0), f64::from(z > 0.0 && z < 6.0)),
                        (Activation::Silu, exact * s, s + exact * s * (1.0 - s)),
                    ] {
                        let (actual, slope) = ((lanes.value)(activation, z), (lanes.backward)(activation, z));
                        assert!(
                            (f64::from(actual) - value).abs() <= 1e-6 * value.abs() + 1e-12,
                            "{activation:?} of {z}"
                        );
                        assert!(
                            (f64::from(slope) - derivative).abs() <= 1e-6 + 2e-7 * exact.abs(),
                            "slope of {activation:?} at {z}"
                        );
                    }
                }
                0.0
            };
            simd::dispatch(level, Of(check));
        }
    }

    #[test]
    fn silu_keeps_its_tails_and_nothing_hides_a_nan() {
        for level in simd::available() {
            let check = |lanes: Lanes| {
                assert_eq!((lanes.value)(Activation::Silu, 200.0), 200.0);
                assert!((lanes.value)(Activation::Silu, -200.0).abs() < 1e-30);
                assert_eq!((lanes.value)(Activation::Silu, f32::INFINITY), f32::INFINITY);
                assert_eq!((lanes.backward)(Activation::Silu, 0.0), 0.5);
                for activation in [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::Silu] {
                    assert!((lanes.value)(activation, f32::NAN).is_nan());
                }
                for activation in [Activation::Relu, Activation::Relu6] {
                    assert_eq!((lanes.backward)(activation, f32::NAN), 1.0);
                }
                assert!((lanes.backward)(Activation::Silu, f32::NAN).is_nan());
                0.0
            };
            simd::dispatch(level, Of(check));
        }
    }
}
