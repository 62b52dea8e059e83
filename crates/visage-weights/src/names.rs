//! Tensor names as the network itself would give them.

use std::collections::BTreeMap;

/// Prefixes that wrapping a network adds to all of its names: `DataParallel` and `DistributedDataParallel` add the
/// first, `torch.compile` the second.
const WRAPPER_PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// Removes the prefixes of wrappers, in whatever order they were applied, where every name carries them.
///
/// A network that has a submodule called `module` among others keeps its names.
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
    fn prefixes_go_only_where_every_name_has_them() {
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
