use super::*;
use crate::reference::{ACTIVATIONS, activate};
use crate::simd::{self, Kernel};

/// Runs a check on the functions of one level.
struct Check<F>(F);

impl<F: FnOnce(Lanes) -> f32> Kernel for Check<F> {
    type Output = f32;
    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> f32 {
        // SAFETY: as the caller guarantees.
        unsafe {
            (self.0)(Lanes {
                sigmoid: |z| last(sigmoid(V::splat(z))),
                value: |activation, z| with_activation!(activation, F => last(F::apply(V::splat(z)))),
                backward: |activation, z| with_activation!(activation, F => last(F::backward(V::splat(z), V::splat(1.0)))),
            })
        }
    }
}

/// The functions of one level on a vector with equal lanes; each returns the last lane.
struct Lanes {
    sigmoid: fn(f32) -> f32,
    value: fn(Activation, f32) -> f32,
    backward: fn(Activation, f32) -> f32,
}

unsafe fn last<V: Vector>(vector: V) -> f32 {
    let mut lanes = [0.0; 16];
    // SAFETY: as the caller guarantees; no vector has more lanes.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes[V::LANES - 1]
}

#[test]
fn sigmoid_is_within_its_error_bound() {
    for level in simd::available() {
        let worst = simd::dispatch(
            level,
            Check(|lanes: Lanes| {
                assert_eq!((lanes.sigmoid)(0.0), 0.5);
                let mut worst = 0.0f64;
                let mut z = -86.0f32;
                while z < 86.0 {
                    let exact = 1.0 / (1.0 + (-f64::from(z)).exp());
                    let unit = f64::from(f32::EPSILON) * 2f64.powi(exact.log2().floor() as i32);
                    let allowed = 4.0 + 2.0 * f64::from(z).abs();
                    worst = worst.max((f64::from((lanes.sigmoid)(z)) - exact).abs() / unit / allowed);
                    z += 1.37e-3;
                }
                worst as f32
            }),
        );
        assert!(worst < 1.0, "{worst} of the bound at {level:?}");
    }
}

#[test]
fn activations_and_derivatives_agree_with_their_definitions() {
    for level in simd::available() {
        let check = |lanes: Lanes| {
            for z in (-2000..2000).map(|i| i as f32 * 0.051) {
                let exact = f64::from(z);
                for activation in ACTIVATIONS {
                    let [value, derivative] = activate(activation, exact);
                    let (actual, slope) = ((lanes.value)(activation, z), (lanes.backward)(activation, z));
                    assert!((f64::from(actual) - value).abs() <= 1e-6 * value.abs() + 1e-12, "{activation:?} of {z}");
                    assert!(
                        (f64::from(slope) - derivative).abs() <= 1e-6 + 2e-7 * exact.abs(),
                        "slope of {activation:?} at {z}"
                    );
                }
            }
            0.0
        };
        simd::dispatch(level, Check(check));
    }
}

#[test]
fn silu_is_exact_in_its_tails_and_nan_propagates() {
    for level in simd::available() {
        let check = |lanes: Lanes| {
            assert_eq!((lanes.value)(Activation::Silu, 200.0), 200.0);
            assert!((lanes.value)(Activation::Silu, -200.0).abs() < 1e-30);
            assert_eq!((lanes.value)(Activation::Silu, f32::INFINITY), f32::INFINITY);
            assert_eq!((lanes.backward)(Activation::Silu, 0.0), 0.5);
            for activation in ACTIVATIONS {
                assert!((lanes.value)(activation, f32::NAN).is_nan());
            }
            for activation in [Activation::Relu, Activation::Relu6] {
                assert_eq!((lanes.backward)(activation, f32::NAN), 1.0);
            }
            assert!((lanes.backward)(Activation::Silu, f32::NAN).is_nan());
            0.0
        };
        simd::dispatch(level, Check(check));
    }
}
