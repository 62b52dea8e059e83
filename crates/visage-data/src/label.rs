//! Labels.

use serde::{Deserialize, Serialize};

/// Whether an image has an attribute.
///
/// Files write it as -1 and 1, as 0 and 1, or leave it blank. The readers turn every spelling into this type, so that statistics,
/// losses and metrics cannot take one spelling for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Label {
    /// The attribute is absent.
    Absent = 0,
    /// The attribute is present.
    Present = 1,
    /// Not labelled: excluded from losses and metrics.
    Unknown = 2,
}

impl Label {
    /// `Some(true)` for [`Label::Present`], `Some(false)` for [`Label::Absent`], `None` for [`Label::Unknown`].
    #[must_use]
    pub fn known(self) -> Option<bool> {
        match self {
            Label::Present => Some(true),
            Label::Absent => Some(false),
            Label::Unknown => None,
        }
    }
}

impl From<bool> for Label {
    fn from(present: bool) -> Self {
        if present { Label::Present } else { Label::Absent }
    }
}
