//! Where what is wrong with a table goes.

use crate::error::{DataError, TableFault};

/// Takes the faults of tables: the first one ends the reading, or all are kept and the rows at fault left out.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    kept: Option<Vec<DataError>>,
}

impl Faults {
    /// The first fault is an error.
    pub(crate) fn refused() -> Self {
        Faults { kept: None }
    }

    /// Faults are kept.
    pub(crate) fn kept() -> Self {
        Faults { kept: Some(Vec::new()) }
    }

    /// Takes the fault of a row.
    ///
    /// # Errors
    ///
    /// The fault itself, where it is refused.
    pub(crate) fn take(&mut self, file: &str, line: u64, fault: TableFault) -> Result<(), DataError> {
        let error = DataError::Table { file: file.to_owned(), line, fault };
        match &mut self.kept {
            None => Err(error),
            Some(kept) => {
                kept.push(error);
                Ok(())
            }
        }
    }

    /// What was kept.
    pub(crate) fn into_kept(self) -> Vec<DataError> {
        self.kept.unwrap_or_default()
    }
}
