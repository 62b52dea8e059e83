//! Errors of settings.

/// A setting with an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {problem}")]
pub struct InvalidSetting {
    /// The setting's name.
    pub setting: &'static str,
    /// What is wrong with its value and which values are allowed, to follow the name.
    pub problem: String,
}

impl InvalidSetting {
    /// The error that `setting` has this `problem`.
    #[must_use]
    pub fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        InvalidSetting { setting, problem: problem.into() }
    }
}
