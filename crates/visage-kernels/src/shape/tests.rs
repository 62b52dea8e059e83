use super::*;

#[test]
fn output_sizes_follow_pytorch() {
    assert_eq!(Window::square(7, 2, 3).out_height(128), 64);
    assert_eq!(Window::square(3, 1, 1).out_width(5), 5);
    assert_eq!(Window::square(3, 2, 1).out_height(5), 3);
    let same = Window { kernel: [3, 3], stride: [2, 2], padding: Padding { top: 0, left: 0, bottom: 1, right: 1 } };
    assert_eq!([same.out_height(128), same.out_width(128)], [64, 64]);
}

#[test]
#[should_panic(expected = "kernel 5 does not fit a padded image of 4")]
fn a_window_larger_than_the_image_is_refused() {
    Window::square(5, 1, 1).out_height(2);
}
