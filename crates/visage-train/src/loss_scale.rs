//! The dynamic loss scale of f16 training.

use serde::{Deserialize, Serialize};

/// Initial scale, factors after an overflow and after an interval of steps without one, and that interval: the defaults of
/// PyTorch's `GradScaler`.
const INITIAL: f64 = 65536.0;
const BACKOFF: f64 = 0.5;
const GROWTH: f64 = 2.0;
const GROWTH_INTERVAL: u32 = 2000;

/// The dynamic loss scale (Micikevicius et al., "Mixed Precision Training", ICLR 2018): gradients are multiplied by it in
/// the backward pass, so that small ones do not underflow in f16, and divided by it before the update. Part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// The scale.
    pub scale: f64,
    /// Steps taken since it last changed.
    clean: u32,
    /// Steps that were skipped because their gradient overflowed.
    pub skipped: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { scale: INITIAL, clean: 0, skipped: 0 }
    }
}

impl LossScale {
    pub(crate) fn taken(&mut self) {
        self.clean += 1;
        if self.clean == GROWTH_INTERVAL {
            self.scale *= GROWTH;
            self.clean = 0;
        }
    }

    /// Counts a skipped step whose gradient overflowed. Returns false if the scale is not the cause: the gradient itself is
    /// too large.
    pub(crate) fn overflowed(&mut self) -> bool {
        if self.scale <= 1.0 {
            return false;
        }
        self.scale *= BACKOFF;
        self.clean = 0;
        self.skipped += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_falls_at_an_overflow_and_grows_back_slowly() {
        let mut scale = LossScale::default();
        assert!(scale.overflowed() && scale.overflowed());
        assert_eq!((scale.scale, scale.skipped), (16384.0, 2));
        (0..GROWTH_INTERVAL - 1).for_each(|_| scale.taken());
        assert_eq!(scale.scale, 16384.0);
        scale.taken();
        assert_eq!((scale.scale, scale.skipped), (32768.0, 2));
        (0..GROWTH_INTERVAL / 2).for_each(|_| scale.taken());
        assert!(scale.overflowed());
        (0..GROWTH_INTERVAL - 1).for_each(|_| scale.taken());
        assert_eq!(scale.scale, 16384.0, "an overflow restarts the count");
    }

    #[test]
    fn an_overflow_at_a_scale_of_1_is_not_skipped() {
        let mut scale = LossScale::default();
        while scale.overflowed() {}
        assert_eq!((scale.scale, scale.skipped), (1.0, 16));
    }
}
