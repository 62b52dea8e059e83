//! Sizes of windows and of the images they slide over.

/// How many rows and columns of padding surround an image. The sides may differ, as TensorFlow's "SAME" asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same padding on opposite sides, as PyTorch has it.
    pub const fn symmetric(vertical: usize, horizontal: usize) -> Self {
        Self { top: vertical, left: horizontal, bottom: vertical, right: horizontal }
    }
}

/// A window that slides over an image; pairs are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows and columns the window covers, at least 1 each.
    pub kernel: [usize; 2],
    /// Rows and columns between neighbouring windows, at least 1 each.
    pub stride: [usize; 2],
    /// Padding around the image.
    pub padding: Padding,
}

impl Window {
    /// A square window with the same stride and padding in both directions.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: Padding::symmetric(padding, padding) }
    }

    /// How many rows of windows fit an image of `height` rows.
    ///
    /// # Panics
    /// If the padded image is lower than the window, or the kernel or stride is zero.
    pub fn out_height(&self, height: usize) -> usize {
        positions("height", height + self.padding.top + self.padding.bottom, self.kernel[0], self.stride[0])
    }

    /// How many columns of windows fit an image of `width` columns.
    ///
    /// # Panics
    /// If the padded image is narrower than the window, or the kernel or stride is zero.
    pub fn out_width(&self, width: usize) -> usize {
        positions("width", width + self.padding.left + self.padding.right, self.kernel[1], self.stride[1])
    }

    /// Taps of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether the window is one pixel that visits every pixel once: a convolution with it is one matrix product.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == Padding::default()
    }
}

fn positions(side: &str, padded: usize, kernel: usize, stride: usize) -> usize {
    assert!(kernel > 0 && stride > 0, "window {side}: kernel {kernel} and stride {stride} must be at least 1");
    assert!(padded >= kernel, "window {side}: kernel {kernel} does not fit a padded image of {padded}");
    (padded - kernel) / stride + 1
}

/// Sizes of a dense convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Rows of an input image.
    pub in_height: usize,
    /// Columns of an input image.
    pub in_width: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// The filters' window.
    pub window: Window,
}

impl ConvShape {
    /// Rows of an output image.
    ///
    /// # Panics
    /// If the window does not fit the padded image.
    pub fn out_height(&self) -> usize {
        self.window.out_height(self.in_height)
    }

    /// Columns of an output image.
    ///
    /// # Panics
    /// If the window does not fit the padded image.
    pub fn out_width(&self) -> usize {
        self.window.out_width(self.in_width)
    }

    /// Values in the input: `batch * in_height * in_width * in_channels`.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_height * self.in_width * self.in_channels
    }

    /// Values in the output: `batch * out_height * out_width * out_channels`.
    ///
    /// # Panics
    /// If the window does not fit the padded image.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_height() * self.out_width() * self.out_channels
    }

    /// Values in the weight: `out_channels * kernel_height * kernel_width * in_channels`.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.window.taps() * self.in_channels
    }
}

/// Sizes of an operation that treats every channel alone.
macro_rules! per_channel_shape {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            /// Images.
            pub batch: usize,
            /// Rows of an input image.
            pub in_height: usize,
            /// Columns of an input image.
            pub in_width: usize,
            /// Channels of input and output.
            pub channels: usize,
            /// The window.
            pub window: Window,
        }

        impl $name {
            /// Rows of an output image.
            ///
            /// # Panics
            /// If the window does not fit the padded image.
            pub fn out_height(&self) -> usize {
                self.window.out_height(self.in_height)
            }

            /// Columns of an output image.
            ///
            /// # Panics
            /// If the window does not fit the padded image.
            pub fn out_width(&self) -> usize {
                self.window.out_width(self.in_width)
            }

            /// Values in the input: `batch * in_height * in_width * channels`.
            pub fn input_len(&self) -> usize {
                self.batch * self.in_height * self.in_width * self.channels
            }

            /// Values in the output: `batch * out_height * out_width * channels`.
            ///
            /// # Panics
            /// If the window does not fit the padded image.
            pub fn output_len(&self) -> usize {
                self.batch * self.out_height() * self.out_width() * self.channels
            }
        }
    };
}

per_channel_shape! {
    /// Sizes of a depthwise convolution: one filter per channel.
    DepthwiseShape
}

per_channel_shape! {
    /// Sizes of a pooling operation.
    PoolShape
}

/// The rows or columns of an image that window `index` covers.
pub(crate) fn covered(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    size: usize,
) -> std::ops::Range<usize> {
    (index * stride).saturating_sub(padding)..(index * stride + kernel).saturating_sub(padding).min(size)
}

/// Panics naming the slice when its length is not what the shape asks for.
#[track_caller]
pub(crate) fn expect_len(name: &str, actual: usize, expected: usize) {
    assert!(actual == expected, "{name} holds {actual} values, the shape needs {expected}");
}

#[cfg(test)]
mod tests {
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
}
