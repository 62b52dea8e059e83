//! Activations and their derivatives, plain enough for the compiler to vectorise; and on vectors, for a convolution's sums
//! that are still in registers.
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
pub(crate) trait Function {
    /// Whether [`gradient`](Self::gradient) looks at its argument.
    const CURVED: bool;
    fn value(z: f32) -> f32;
    /// [`value`](Self::value) of every lane; where multiplications and additions fuse, rounded a little differently.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    unsafe fn lanes<V: Vector>(z: V) -> V;
    /// Derivative at `z`; where there is none, PyTorch's choice. A NaN in `z` must not vanish.
    fn gradient(z: f32) -> f32;
}

pub(crate) struct Identity;
pub(crate) struct Relu;
pub(crate) struct Relu6;
pub(crate) struct Silu;

impl Function for Identity {
    const CURVED: bool = false;
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z
    }
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
        z
    }
    #[inline(always)]
    fn gradient(_: f32) -> f32 {
        1.0
    }
}

// Comparisons are turned so that NaN passes through: a diverged network must show.
impl Function for Relu {
    const CURVED: bool = true;
    #[inline(always)]
    fn value(z: f32) -> f32 {
        if z < 0.0 { 0.0 } else { z }
    }
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { z.at_least(V::splat(0.0)) }
    }
    #[inline(always)]
    fn gradient(z: f32) -> f32 {
        if z <= 0.0 { 0.0 } else { 1.0 }
    }
}

impl Function for Relu6 {
    const CURVED: bool = true;
    #[inline(always)]
    fn value(z: f32) -> f32 {
        let z = if z < 0.0 { 0.0 } else { z };
        if z > 6.0 { 6.0 } else { z }
    }
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { z.at_least(V::splat(0.0)).at_most(V::splat(6.0)) }
    }
    #[inline(always)]
    fn gradient(z: f32) -> f32 {
        if z <= 0.0 || z >= 6.0 { 0.0 } else { 1.0 }
    }
}

impl Function for Silu {
    const CURVED: bool = true;
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z * sigmoid(z)
    }
    #[inline(always)]
    unsafe fn lanes<V: Vector>(z: V) -> V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { z.div(exp_lanes(V::splat(0.0).sub(z)).add(V::splat(1.0))) }
    }
    #[inline(always)]
    fn gradient(z: f32) -> f32 {
        let s = sigmoid(z);
        s * (1.0 + z * (1.0 - s))
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

#[inline(always)]
pub(crate) fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}

/// 1.5 * 2^23
const SHIFTER: f32 = 12_582_912.0;
/// ln 2 in two parts, the first with so few bits that its product with n is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_3e-1];

/// `e^x` to 2 units in the last place for -87.3 <= x <= 88.3, clamped outside (so never infinite, never subnormal).
///
/// Cody and Waite's reduction `x = n ln 2 + r`, |r| <= ln 2 / 2, and the degree-6 polynomial of Cephes' `expf`. `n` is
/// rounded by adding 1.5 * 2^23, which leaves it in the low bits, and 2^n is built from those bits.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Clamped by comparisons, which vectorise to one instruction each.
    let x = if x > 88.3 { 88.3 } else { x };
    let x = if x < -87.3 { -87.3 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + SHIFTER;
    let n = shifted - SHIFTER;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut p = POLYNOMIAL[0];
    for coefficient in &POLYNOMIAL[1..] {
        p = p * r + coefficient;
    }
    let mantissa = (p * (r * r) + r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    mantissa * power
}

/// [`exp`] of every lane.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn exp_lanes<V: Vector>(x: V) -> V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let x = x.at_most(V::splat(88.3)).at_least(V::splat(-87.3));
        let shifted = x.mul_add(V::splat(std::f32::consts::LOG2_E), V::splat(SHIFTER));
        let n = shifted.sub(V::splat(SHIFTER));
        let r = n.mul_add(V::splat(-LN_2_LOW), n.mul_add(V::splat(-LN_2_HIGH), x));
        let mut p = V::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            p = p.mul_add(r, V::splat(*coefficient));
        }
        let mantissa = p.mul_add(r.mul(r), r).add(V::splat(1.0));
        mantissa.mul(shifted.power_of_low_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0f64;
        let mut x = -87.3f32;
        while x < 88.3 {
            let exact = f64::from(x).exp();
            let unit = f64::from(f32::EPSILON) * 2f64.powi(exact.log2().floor() as i32);
            worst = worst.max((f64::from(exp(x)) - exact).abs() / unit);
            x += 1.37e-4;
        }
        assert!(worst < 2.0, "{worst} units");
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn lanes_are_values() {
        struct Lanes<F>(std::marker::PhantomData<F>, f32);
        impl<F: Function> crate::simd::Kernel for Lanes<F> {
            type Output = f32;
            #[inline(always)]
            unsafe fn run<V: Vector>(self) -> f32 {
                let mut lanes = [0.0; 16];
                // SAFETY: the caller vouches for the instructions; no vector has more lanes.
                unsafe { F::lanes(V::splat(self.1)).store(lanes.as_mut_ptr()) };
                lanes[V::LANES - 1]
            }
        }
        for level in crate::simd::available() {
            for activation in [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::Silu] {
                for z in (-2000..2000).map(|i| i as f32 * 0.051).chain([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]) {
                    let (actual, expected) = with_activation!(activation, F => {
                        (crate::simd::dispatch(level, Lanes(std::marker::PhantomData::<F>, z)), F::value(z))
                    });
                    let close = (actual - expected).abs() <= 1e-6 * expected.abs() || actual == expected;
                    assert!(
                        close || actual.is_nan() && expected.is_nan(),
                        "{activation:?} of {z} at {level:?}: {actual}"
                    );
                }
            }
        }
    }

    #[test]
    fn silu_keeps_its_tails_and_nan() {
        assert_eq!(Silu::value(200.0), 200.0);
        assert!(Silu::value(-200.0).abs() < 1e-30);
        assert!(Silu::value(f32::NAN).is_nan() && Silu::gradient(f32::NAN).is_nan());
        assert!(Relu::value(f32::NAN).is_nan() && Relu6::value(f32::NAN).is_nan());
        assert_eq!(Silu::gradient(0.0), 0.5);
    }
}
