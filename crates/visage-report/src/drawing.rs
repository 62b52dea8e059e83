//! The parts of a figure, before it is written to a file: marks in pixels, y pointing down.

use crate::axis::Axis;

/// A point: x, y.
pub type Point = [f64; 2];

/// A drawing, in pixels.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// Text and lines around the plots.
    pub marks: Vec<Mark>,
    /// The plots.
    pub plots: Vec<Plot>,
}

/// A pair of axes, and marks inside.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The inside of the axes.
    pub frame: Frame,
    /// The axis along the bottom.
    pub x: Axis,
    /// The axis up the left side.
    pub y: Axis,
    /// The marks.
    pub marks: Vec<Mark>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Least x.
    pub left: f64,
    /// Least y.
    pub top: f64,
    /// Greatest x.
    pub right: f64,
    /// Greatest y.
    pub bottom: f64,
}

/// A drawn shape.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The shape.
    pub shape: Shape,
    /// Its colour.
    pub ink: Ink,
    /// Its opacity, 0 to 1.
    pub opacity: f64,
    /// Its tooltip on a page.
    pub tooltip: Tooltip,
}

/// The shape of a mark.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A line through points.
    Line {
        /// The points, at least two.
        points: Vec<Point>,
        /// Its width.
        width: f64,
        /// Its dashes.
        dash: Dash,
    },
    /// The inside of a polygon.
    Area(Vec<Point>),
    /// The inside of a rectangle.
    Bar(Frame),
    /// A disc, or a ring.
    Dot {
        /// Its middle.
        at: Point,
        /// Its radius.
        radius: f64,
        /// Whether it is a ring.
        hollow: bool,
    },
    /// Text.
    Text {
        /// The anchor point, on the baseline.
        at: Point,
        /// The text.
        text: String,
        /// Font size.
        size: f64,
        /// Which part of the text `at` is.
        anchor: Anchor,
        /// Whether it is rotated to read upwards.
        turned: bool,
        /// Whether it is bold.
        bold: bool,
    },
}

/// Which part of a text an anchor point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The beginning.
    Start,
    /// The middle.
    Middle,
    /// The end.
    End,
}

/// The dashes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    /// A solid line.
    Solid,
    /// Dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// Dashes and dots in turn.
    Mixed,
}

impl Dash {
    /// The dash of run number `run`, so that runs differ without colours too.
    pub fn of_run(run: usize) -> Self {
        [Self::Solid, Self::Dashed, Self::Mixed, Self::Dotted][run % 4]
    }

    /// Lengths of dash and gap in turn; none for a solid line.
    pub fn lengths(self) -> &'static [f32] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[6.0, 3.0],
            Self::Dotted => &[1.5, 2.5],
            Self::Mixed => &[6.0, 2.5, 1.5, 2.5],
        }
    }
}

/// A colour by its role; a palette defines its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Main text.
    Text,
    /// Secondary text.
    Muted,
    /// Lines behind the marks.
    Grid,
    /// Lines of axes, and references.
    Axis,
    /// The colour of the run of this index.
    Series(usize),
}

/// The tooltip of a mark.
#[derive(Clone, Debug, PartialEq)]
pub enum Tooltip {
    /// Nothing.
    Nothing,
    /// Its name, and its values read off the axes.
    Values(String),
    /// As `Values`, and a third value at each point of a line: what that is called, and the values.
    Curve(String, &'static str, Vec<f64>),
    /// This text.
    Text(String),
}
