//! The tensors of a weight file.

use super::{Table, count, counted};
use crate::commands::weights::{Contents, ListedFit, ListedTensor};

/// The tensors, and the networks they fit.
pub fn text(contents: &Contents) -> String {
    let Contents { path, kind, tensors, floats, metadata, fits, misfits } = contents;
    let mut table = Table::new(2, &["Tensor", "Values", "Shape"]);
    for ListedTensor { name, shape, values } in tensors {
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        table.row([name.clone(), (*values).to_owned(), shape.join(" x ")]);
    }
    let mut text = format!(
        "{}\n{}: {kind}, {} with {} floating-point values\n",
        table.text(),
        path.display(),
        counted(tensors.len() as u64, "tensor"),
        count(*floats),
    );
    if !metadata.is_empty() {
        let keys: Vec<&str> = metadata.keys().map(String::as_str).collect();
        text += &format!("metadata: {}\n", keys.join(", "));
    }
    for ListedFit { network, naming, outputs } in fits {
        let classifier = match outputs {
            Some(outputs) => format!("its classifier has {}", counted(*outputs as u64, "output")),
            None => "without a usable classifier: training starts with a new one".to_owned(),
        };
        text += &format!("it fits {network} ({naming} names), {classifier}\n");
        text += &format!(
            "next: visage train RECIPE --data PATH --set architecture={network} --set weights={}\n",
            path.display()
        );
    }
    if fits.is_empty() {
        text += "it fits no network of visage:\n";
        misfits.iter().for_each(|misfit| text += &format!("  {misfit}\n"));
    }
    text
}
