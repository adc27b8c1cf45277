//! Messages that go in one call.

/// The messages that lie in `bytes` one behind the other, each up to its end in `ends`.
pub(crate) fn messages<'a>(
    bytes: &'a [u8],
    ends: &'a [u32],
) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
    (0..ends.len()).map(move |index| message(bytes, ends, index))
}

/// One of them.
pub(crate) fn message<'a>(bytes: &'a [u8], ends: &[u32], index: usize) -> &'a [u8] {
    let end = |index: usize| ends.get(index).map_or(0, |end| *end as usize);
    let start = index.checked_sub(1).map_or(0, end);
    bytes.get(start..end(index)).unwrap_or_default()
}
