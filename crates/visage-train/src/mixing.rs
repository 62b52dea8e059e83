//! The loss of batches mixed by mixup or CutMix.

use burn::tensor::Tensor;

use crate::loss::Loss;

/// The mean loss of mixed images: that of their own labels, weighted by `share`, and that of their partners' labels, weighted
/// by the rest. This is how mixup's authors compute it; unlike mixed targets, it holds for every loss and for unknown labels.
///
/// `own` and `partners` are targets and mask, each of shape `[batch, attributes]`.
pub(crate) fn mixed_loss(
    loss: &Loss,
    logits: Tensor<2>,
    own: (Tensor<2>, Tensor<2>),
    partners: (Tensor<2>, Tensor<2>),
    share: f32,
) -> Tensor<1> {
    loss.mean(
        Tensor::cat(vec![logits.clone(), logits], 0),
        Tensor::cat(vec![own.0, partners.0], 0),
        Tensor::cat(vec![own.1 * share, partners.1 * (1.0 - share)], 0),
    )
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use visage_run::LossKind;

    use super::*;
    use crate::stepper::label_tensors;

    const PRESENT: f32 = 1.0;
    const ABSENT: f32 = 0.0;
    const UNKNOWN: f32 = f32::NAN;

    #[test]
    fn each_label_is_weighted_by_its_images_share() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data(TensorData::new(vec![0.5f32, -1.0, 2.0, 0.0], [2, 2]), &device);
        let tensors = |labels| {
            let (targets, mask, _) = label_tensors(labels, 2, &device);
            (targets, mask)
        };
        let own = tensors(&[PRESENT, ABSENT, ABSENT, UNKNOWN]);
        let partners = tensors(&[ABSENT, UNKNOWN, PRESENT, ABSENT]);
        let found = mixed_loss(&Loss::new(LossKind::Bce), logits, own, partners, 0.75).into_scalar::<f32>();
        let softplus = |x: f32| x.exp().ln_1p();
        // Row 0: own present, absent; partner absent, unknown. Row 1: own absent, unknown; partner present, absent.
        let sum = 0.75 * (softplus(-0.5) + softplus(-1.0) + softplus(2.0))
            + 0.25 * (softplus(0.5) + softplus(-2.0) + softplus(0.0));
        let expected = sum / (0.75 * 3.0 + 0.25 * 3.0);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}
