//! Removing the prefixes that wrappers add to tensor names.

use std::collections::BTreeMap;

/// The prefix that `DataParallel` and `DistributedDataParallel` add to all names of a network, and that of `torch.compile`.
const WRAPPER_PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// Removes the prefixes of wrappers, in any order, where every name has them.
///
/// A network with a submodule called `module` beside others keeps its names.
pub(crate) fn without_wrapper_prefixes<T>(mut tensors: BTreeMap<String, T>) -> BTreeMap<String, T> {
    while let Some(prefix) = WRAPPER_PREFIXES.into_iter().find(|prefix| {
        !tensors.is_empty() && tensors.keys().all(|name| name.len() > prefix.len() && name.starts_with(prefix))
    }) {
        tensors = tensors.into_iter().map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_removed_only_where_every_name_has_them() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["module.fc.bias", "module.fc.weight"], &["fc.bias", "fc.weight"]),
            (&["module._orig_mod.fc.bias"], &["fc.bias"]),
            (&["_orig_mod.module.fc.bias"], &["fc.bias"]),
            (&["module.fc.bias", "fc.weight"], &["fc.weight", "module.fc.bias"]),
            (&["module."], &["module."]),
            (&[], &[]),
        ];
        for (names, expected) in cases {
            let named = names.iter().map(|name| ((*name).to_owned(), ())).collect();
            let stripped: Vec<_> = without_wrapper_prefixes(named).into_keys().collect();
            assert_eq!(stripped, expected, "{names:?}");
        }
    }
}
