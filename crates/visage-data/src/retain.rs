//! Filtering by index.

/// Keeps the items for whose indices `is_kept` holds.
pub(crate) fn retain<T>(items: &mut Vec<T>, is_kept: impl Fn(usize) -> bool) {
    let mut index = 0..;
    items.retain(|_| index.next().is_none_or(&is_kept));
}
