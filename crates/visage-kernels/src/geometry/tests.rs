use super::*;

#[test]
fn next_agrees_with_coordinates() {
    let grid = Grid::of_output(2, [3, 4], Window::square(1, 1, 0));
    for pixel in 0..23 {
        assert_eq!(grid.next(grid.coordinates(pixel)), grid.coordinates(pixel + 1));
    }
}

#[test]
fn columns_in_the_padding_are_left_out() {
    assert_eq!(columns_inside(4, 7, 2, -1), 1..4);
    assert_eq!(columns_inside(4, 7, 2, 1), 0..3);
    assert_eq!(columns_inside(4, 3, 1, -5), 4..4);
    assert_eq!(columns_inside(4, 3, 1, 3), 0..0);
}

#[test]
fn a_pointwise_stride_of_two_leaves_three_classes_without_taps() {
    let classes = input_classes(1, [5, 5], Window::square(1, 2, 0));
    assert_eq!(classes.iter().map(|(_, taps)| taps.len()).collect::<Vec<_>>(), [1, 0, 0, 0]);
    assert_eq!(classes.iter().map(|(grid, _)| grid.pixels()).sum::<usize>(), 25);
}
