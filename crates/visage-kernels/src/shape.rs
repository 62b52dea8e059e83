//! Sizes of feature maps, and of the windows that slide over them.

/// Rows and columns of zeros around an image. Opposite sides may differ, as in TensorFlow's "SAME" padding.
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
    /// The same padding on opposite sides, as in PyTorch.
    pub const fn symmetric(vertical: usize, horizontal: usize) -> Self {
        Self { top: vertical, left: horizontal, bottom: vertical, right: horizontal }
    }
}

/// A sliding window; pairs are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows and columns of the kernel, at least 1 each.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next, at least 1 each.
    pub stride: [usize; 2],
    /// Padding around the image.
    pub padding: Padding,
}

impl Window {
    /// A square window with the same stride and padding in both directions.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: Padding::symmetric(padding, padding) }
    }

    /// Rows of the output for an image of `height` rows.
    ///
    /// # Panics
    /// If the padded image is lower than the kernel, or the kernel or stride is zero.
    pub fn out_height(&self, height: usize) -> usize {
        positions("height", height + self.padding.top + self.padding.bottom, self.kernel[0], self.stride[0])
    }

    /// Columns of the output for an image of `width` columns.
    ///
    /// # Panics
    /// If the padded image is narrower than the kernel, or the kernel or stride is zero.
    pub fn out_width(&self, width: usize) -> usize {
        positions("width", width + self.padding.left + self.padding.right, self.kernel[1], self.stride[1])
    }

    /// Number of kernel positions.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether this is a 1x1 window without stride and padding: a convolution with it is one matrix product.
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
    /// Number of images.
    pub batch: usize,
    /// Rows of an input image.
    pub in_height: usize,
    /// Columns of an input image.
    pub in_width: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Kernel, stride and padding.
    pub window: Window,
}

impl ConvShape {
    /// Length of the weight: `out_channels * kernel_height * kernel_width * in_channels`.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.window.taps() * self.in_channels
    }
}

/// Sizes of an operation on each channel separately: depthwise convolution, pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthwiseShape {
    /// Number of images.
    pub batch: usize,
    /// Rows of an input image.
    pub in_height: usize,
    /// Columns of an input image.
    pub in_width: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Kernel, stride and padding.
    pub window: Window,
}

/// The sizes that follow from a shape's fields.
macro_rules! derived_sizes {
    ($shape:ident, $in_channels:ident, $out_channels:ident) => {
        impl $shape {
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

            /// Length of the input: `batch * in_height * in_width * channels`.
            pub fn input_len(&self) -> usize {
                self.batch * self.in_height * self.in_width * self.$in_channels
            }

            /// Length of the output: `batch * out_height * out_width * channels`.
            ///
            /// # Panics
            /// If the window does not fit the padded image.
            pub fn output_len(&self) -> usize {
                self.batch * self.out_height() * self.out_width() * self.$out_channels
            }
        }
    };
}

derived_sizes!(ConvShape, in_channels, out_channels);
derived_sizes!(DepthwiseShape, channels, channels);

/// Sizes of feature maps of which only the number of pixels matters: `[batch, pixels, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapShape {
    /// Number of images.
    pub batch: usize,
    /// Pixels of an image, `height * width`.
    pub pixels: usize,
    /// Channels of a pixel.
    pub channels: usize,
}

impl MapShape {
    /// Length of all maps: `batch * pixels * channels`.
    pub(crate) fn len(&self) -> usize {
        self.batch * self.image_len()
    }

    /// Length of one image's map.
    pub(crate) fn image_len(&self) -> usize {
        self.pixels * self.channels
    }
}

/// The rows or columns of an image of `size` that lie under window `index`.
pub(crate) fn covered(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    size: usize,
) -> std::ops::Range<usize> {
    (index * stride).saturating_sub(padding)..(index * stride + kernel).saturating_sub(padding).min(size)
}

/// Panics with the name of the slice if its length is not the one the shape requires.
#[track_caller]
pub(crate) fn expect_len(name: &str, actual: usize, expected: usize) {
    assert!(actual == expected, "{name} holds {actual} values, the shape needs {expected}");
}

#[cfg(test)]
mod tests;
