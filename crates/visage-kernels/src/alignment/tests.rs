use super::*;

#[global_allocator]
static ALLOCATOR: LineAligned = LineAligned;

#[test]
fn large_vectors_are_aligned_and_keep_their_values_when_resized() {
    let mut values: Vec<u32> = Vec::new();
    for len in 0..100_000u32 {
        values.push(len);
        assert!(values.capacity() * 4 < LARGE || (values.as_ptr() as usize).is_multiple_of(LINE));
    }
    values.truncate(10);
    values.shrink_to_fit();
    assert_eq!(values, (0..10).collect::<Vec<u32>>());
    let zeros = vec![0.0f32; 5000];
    assert!((zeros.as_ptr() as usize).is_multiple_of(LINE));
}
