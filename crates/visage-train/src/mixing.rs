//! The loss of batches whose images were mixed.

use burn::tensor::{Device, Tensor};
use visage_data::{Label, Mixed};

use crate::learner::label_tensors;
use crate::loss::Loss;

/// The mean loss of mixed images: that of their own labels and that of their partners' labels, each counting as much as there
/// is of it in the image. So mixup's authors compute it, and it is right for every loss and with unknown labels.
///
/// `labels`, shape `[batch, attributes]`, are the images' own.
pub(crate) fn mixed_loss(
    loss: &Loss,
    logits: Tensor<2>,
    labels: &[Label],
    mixed: &Mixed,
    device: &Device,
) -> Tensor<1> {
    let images = mixed.partners.len();
    let (own, own_mask, _) = label_tensors(labels, images, device);
    let (partners, partners_mask, _) = label_tensors(&mixed.partner_labels(labels), images, device);
    loss.mean(
        Tensor::cat(vec![logits.clone(), logits], 0),
        Tensor::cat(vec![own, partners], 0),
        Tensor::cat(vec![own_mask * mixed.share, partners_mask * (1.0 - mixed.share)], 0),
    )
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use visage_data::Label::{Absent, Present, Unknown};

    use super::*;
    use crate::loss::LossKind;

    #[test]
    fn each_label_counts_as_much_as_its_image() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data(TensorData::new(vec![0.5f32, -1.0, 2.0, 0.0], [2, 2]), &device);
        let mixed = Mixed { partners: vec![1, 0], share: 0.75 };
        let labels = [Present, Absent, Absent, Unknown];
        let found = mixed_loss(&Loss::new(LossKind::Bce), logits, &labels, &mixed, &device).into_scalar::<f32>();
        let softplus = |x: f32| x.exp().ln_1p();
        // Row 0: own present, absent; partner absent, unknown. Row 1: own absent, unknown; partner present, absent.
        let sum = 0.75 * (softplus(-0.5) + softplus(-1.0) + softplus(2.0))
            + 0.25 * (softplus(0.5) + softplus(-2.0) + softplus(0.0));
        let expected = sum / (0.75 * 3.0 + 0.25 * 3.0);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}
