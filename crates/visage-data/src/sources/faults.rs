//! What happens to the faults of tables.

use crate::error::{DataError, TableFault};

/// Refuses the first fault, or collects all of them while the faulty rows are left out.
#[derive(Debug)]
pub(crate) struct Faults {
    collected: Option<Vec<DataError>>,
}

impl Faults {
    /// The first fault is an error.
    pub(crate) fn refuse() -> Self {
        Faults { collected: None }
    }

    /// Faults are collected.
    pub(crate) fn collect() -> Self {
        Faults { collected: Some(Vec::new()) }
    }

    /// Reports the fault of a row.
    ///
    /// # Errors
    ///
    /// The fault, where faults are refused.
    pub(super) fn report(&mut self, file: &str, line: u64, fault: TableFault) -> Result<(), DataError> {
        let error = DataError::Table { file: file.to_owned(), line, fault };
        match &mut self.collected {
            None => Err(error),
            Some(collected) => {
                collected.push(error);
                Ok(())
            }
        }
    }

    /// The faults collected.
    pub(crate) fn into_collected(self) -> Vec<DataError> {
        self.collected.unwrap_or_default()
    }
}
