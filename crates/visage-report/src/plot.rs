//! Drawing marks in the coordinates of axes.

use crate::drawing::{Dash, Frame, Ink, Mark, Plot, Point, Shape, Tooltip};
use crate::simplify::simplified;

/// Tolerance of simplified lines, in pixels: invisible.
const TOLERANCE: f64 = 0.3;

/// Weight of the range of a third value in the simplification of a line, in pixels.
const THIRD_VALUE: f64 = 60.0;

impl Plot {
    pub fn at(&self, [x, y]: Point) -> Point {
        let Frame { left, top, right, bottom } = self.frame;
        [left + self.x.position(x) * (right - left), bottom - self.y.position(y) * (bottom - top)]
    }

    pub fn mark(&mut self, shape: Shape, ink: Ink, opacity: f64, tooltip: Tooltip) {
        self.marks.push(Mark { shape, ink, opacity, tooltip });
    }

    /// A line through points in axis values; non-finite points interrupt it.
    pub fn line(&mut self, points: &[Point], ink: Ink, width: f64, dash: Dash, tooltip: Tooltip) {
        for piece in points.split(|point| !point.iter().all(|value| value.is_finite())) {
            let pixels: Vec<Point> = piece.iter().map(|&point| self.at(point)).collect();
            let kept = simplified(&pixels, TOLERANCE);
            if kept.len() > 1 {
                let points = kept.into_iter().map(|at| pixels[at]).collect();
                self.mark(Shape::Line { points, width, dash }, ink, 1.0, tooltip.clone());
            }
        }
    }

    /// A line whose points also have a third value, 0 to 1, called `third`.
    pub fn curve(&mut self, points: &[[f64; 3]], third: &'static str, ink: Ink, dash: Dash, name: &str) {
        let pixels: Vec<[f64; 3]> = points
            .iter()
            .map(|&[x, y, value]| {
                let [x, y] = self.at([x, y]);
                [x, y, value * THIRD_VALUE]
            })
            .collect();
        // The third value is shown to two digits only, so its tolerance is larger.
        let kept = simplified(&pixels, 2.0 * TOLERANCE);
        if kept.len() > 1 {
            let values = kept.iter().map(|&at| points[at][2]).collect();
            let points = kept.into_iter().map(|at| [pixels[at][0], pixels[at][1]]).collect();
            let tooltip = Tooltip::Curve(name.to_owned(), third, values);
            self.mark(Shape::Line { points, width: 1.8, dash }, ink, 1.0, tooltip);
        }
    }

    /// The area between two lines over the same x, as `[x, low, high]`.
    pub fn band(&mut self, points: &[[f64; 3]], ink: Ink, opacity: f64) {
        let upper = points.iter().map(|&[x, _, high]| self.at([x, high]));
        let lower = points.iter().rev().map(|&[x, low, _]| self.at([x, low]));
        let outline: Vec<Point> = upper.chain(lower).collect();
        if points.len() > 1 {
            self.mark(Shape::Area(outline), ink, opacity, Tooltip::Nothing);
        }
    }

    pub fn bar(&mut self, from: Point, to: Point, ink: Ink, opacity: f64, tooltip: Tooltip) {
        let ([x1, y1], [x2, y2]) = (self.at(from), self.at(to));
        let bar = Frame { left: x1.min(x2), top: y1.min(y2), right: x1.max(x2), bottom: y1.max(y2) };
        if bar.right > bar.left && bar.bottom > bar.top {
            self.mark(Shape::Bar(bar), ink, opacity, tooltip);
        }
    }

    pub fn dot(&mut self, at: Point, radius: f64, hollow: bool, ink: Ink, tooltip: Tooltip) {
        if at.iter().all(|value| value.is_finite()) {
            let at = self.at(at);
            self.mark(Shape::Dot { at, radius, hollow }, ink, 1.0, tooltip);
        }
    }

    pub fn reference(&mut self, from: Point, to: Point) {
        let points = vec![self.at(from), self.at(to)];
        self.mark(Shape::Line { points, width: 1.0, dash: Dash::Dashed }, Ink::Axis, 1.0, Tooltip::Nothing);
    }
}
