//! The parts of a figure, before it is written to a file: marks in pixels, y pointing down.

use crate::axis::Axis;

/// A point: x, y.
pub type Point = [f64; 2];

/// A drawing, in pixels.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub width: f64,
    pub height: f64,
    /// Text and lines around the plots.
    pub marks: Vec<Mark>,
    pub plots: Vec<Plot>,
}

#[derive(Clone, Debug)]
pub struct Plot {
    pub frame: Frame,
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

#[derive(Clone, Debug)]
pub struct Mark {
    pub shape: Shape,
    pub ink: Ink,
    /// Its opacity, 0 to 1.
    pub opacity: f64,
    /// Its tooltip on a page.
    pub tooltip: Tooltip,
}

#[derive(Clone, Debug)]
pub enum Shape {
    Line {
        points: Vec<Point>,
        width: f64,
        dash: Dash,
    },
    Area(Vec<Point>),
    Bar(Frame),
    /// A disc, or a ring.
    Dot {
        at: Point,
        radius: f64,
        hollow: bool,
    },
    /// `at` is the anchor point, on the baseline; a turned text reads upwards.
    Text {
        at: Point,
        text: String,
        size: f64,
        anchor: Anchor,
        turned: bool,
        bold: bool,
    },
}

/// Which part of a text an anchor point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// The dashes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    Solid,
    Dashed,
    Dotted,
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
    Nothing,
    /// Its name, and its values read off the axes.
    Values(String),
    /// As `Values`, and a third value at each point of a line: what that is called, and the values.
    Curve(String, &'static str, Vec<f64>),
    Text(String),
}
