//! What a figure consists of, before it is a file: marks in pixels, y growing downwards.

use crate::axis::Axis;

/// A point: x, y.
pub type Point = [f64; 2];

/// A picture.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// Words and lines around the plots.
    pub marks: Vec<Mark>,
    /// The plots.
    pub plots: Vec<Plot>,
}

/// A pair of axes, and what is drawn against them.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The inside of the axes.
    pub frame: Frame,
    /// The axis along the bottom.
    pub x: Axis,
    /// The axis up the left side.
    pub y: Axis,
    /// What is drawn.
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

/// Something drawn.
#[derive(Clone, Debug)]
pub struct Mark {
    /// What.
    pub shape: Shape,
    /// In which colour.
    pub ink: Ink,
    /// How opaque, 0 to 1.
    pub opacity: f64,
    /// What it tells a reader who points at it.
    pub told: Told,
}

/// The shape of a mark.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A line through points.
    Line {
        /// The points, at least two.
        points: Vec<Point>,
        /// Its thickness.
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
    /// Words.
    Text {
        /// Where: on the baseline, at the start, middle or end.
        at: Point,
        /// What.
        text: String,
        /// Height of the letters.
        size: f64,
        /// Which end `at` is.
        anchor: Anchor,
        /// Whether it reads upwards.
        turned: bool,
        /// Whether it is heavier than the rest.
        bold: bool,
    },
}

/// Which end of a text a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The beginning.
    Start,
    /// The middle.
    Middle,
    /// The end.
    End,
}

/// How a line is broken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    /// Not at all.
    Solid,
    /// Into dashes.
    Broken,
    /// Into dots.
    Dotted,
    /// Into dashes and dots in turn.
    Mixed,
}

impl Dash {
    /// The dash of run number `run`, so that runs differ also where colours cannot be seen.
    pub fn of_run(run: usize) -> Self {
        [Self::Solid, Self::Broken, Self::Mixed, Self::Dotted][run % 4]
    }

    /// Lengths of dash and gap in turn; none for a solid line.
    pub fn lengths(self) -> &'static [f32] {
        match self {
            Self::Solid => &[],
            Self::Broken => &[6.0, 3.0],
            Self::Dotted => &[1.5, 2.5],
            Self::Mixed => &[6.0, 2.5, 1.5, 2.5],
        }
    }
}

/// A colour by its role; what it looks like depends on where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Words that matter.
    Text,
    /// Words that help.
    Muted,
    /// Lines behind the marks.
    Grid,
    /// Lines of axes, and references.
    Axis,
    /// The colour of run number so and so.
    Series(usize),
}

/// What a mark tells a reader who points at it.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// Its name, and its values read off the axes.
    Values(String),
    /// As `Values`, and a third value at each point of a line: what that is called, and the values.
    Curve(String, &'static str, Vec<f64>),
    /// These words.
    Words(String),
}
