//! The tensors of a weight file.

use super::{Table, count, counted};
use visage_model::Naming;
use visage_run::shell;

use crate::commands::weights::{Contents, ListedFit, ListedTensor};

/// Whose names a network has in a file, and after which prefix.
pub fn names(naming: Naming, prefix: &str) -> String {
    let under = if prefix.is_empty() { String::new() } else { format!(" under {prefix:?}") };
    format!("{naming} names{under}")
}

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
    for ListedFit { network, naming, prefix, outputs } in fits {
        let classifier = match outputs {
            Some(outputs) => format!("its classifier has {}", counted(*outputs as u64, "output")),
            None => "without a usable classifier: training starts with a new one".to_owned(),
        };
        text += &format!("it fits {network} ({}), {classifier}\n", names(*naming, prefix));
        let weights = shell::word(&format!("weights={}", path.display()));
        text +=
            &format!("to train from it: visage train RECIPE --data PATH --set architecture={network} --set {weights}");
        if fits.iter().filter(|fit| fit.network == *network).count() > 1 {
            text += &format!(" --set {}", shell::word(&format!("weights_prefix={prefix}")));
        }
        text += "\n";
    }
    if fits.is_empty() {
        text += "it fits no network of visage:\n";
        misfits.iter().for_each(|misfit| text += &format!("  {misfit}\n"));
    }
    text
}
