//! The one type a label has inside visage.

/// Whether an image has an attribute.
///
/// Files spell this -1/1, 0/1 or nothing at all; the readers turn every spelling into this type once, at the
/// border, so that statistics, losses and metrics cannot count one spelling as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Label {
    /// The attribute is absent.
    Absent = 0,
    /// The attribute is present.
    Present = 1,
    /// Nobody said: masked out of losses and metrics.
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
