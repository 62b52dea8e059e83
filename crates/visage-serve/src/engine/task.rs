//! Work for the networks, and where its result goes.

use tokio::sync::oneshot;
use visage_model::{ModelOutput, Prepared};

use crate::problem::Problem;

/// Prepared images of the model's input size.
#[derive(Debug)]
pub(crate) enum Images {
    /// RGB bytes `[images, height, width, 3]`.
    Pixels(Vec<u8>),
    /// Normalised values `[images, height, width, 3]`.
    Normalised(Vec<f32>),
}

impl Images {
    pub(super) fn view(&self) -> Prepared<'_> {
        match self {
            Self::Pixels(pixels) => Prepared::Pixels(pixels),
            Self::Normalised(values) => Prepared::Normalised(values),
        }
    }
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Problem>>;

#[derive(Debug)]
pub(super) enum Task {
    Predict { images: Images, reply: Reply<ModelOutput> },
    HeatMap { pixels: Vec<u8>, attribute: usize, reply: Reply<Vec<f32>> },
}

impl Task {
    pub(super) fn images(&self) -> Option<Prepared<'_>> {
        match self {
            Self::Predict { images, .. } => Some(images.view()),
            Self::HeatMap { .. } => None,
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Predict { reply, .. } => reply.is_closed(),
            Self::HeatMap { reply, .. } => reply.is_closed(),
        }
    }
}
