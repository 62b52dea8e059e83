//! The layout of a figure: a legend above, plots below one another.

use crate::axis::Axis;
use crate::drawing::{Anchor, Dash, Drawing, Frame, Ink, Mark, Plot, Point, Shape, Tooltip};
use crate::font;

const TICK: f64 = 11.0;
const LABEL: f64 = 12.0;
const LINE: f64 = 18.0;
const SWATCH: f64 = 22.0;
const GAP: f64 = 5.0;

/// Room for text wider than measured: an SVG file is shown in the reader's font.
const SLACK: f64 = 1.12;

/// The usual width of a figure.
pub const NARROW: f64 = 380.0;
/// The width of large figures.
pub const WIDE: f64 = 460.0;

/// The sample before the text of a legend entry.
#[derive(Clone, Copy, Debug)]
pub enum Swatch {
    Line(Dash),
    Dot,
    Ring,
    /// A filled rectangle of this opacity.
    Fill(f64),
}

#[derive(Clone, Debug)]
pub struct LegendEntry {
    name: String,
    ink: Ink,
    swatch: Swatch,
}

impl LegendEntry {
    pub fn new(name: impl Into<String>, ink: Ink, swatch: Swatch) -> Self {
        Self { name: name.into(), ink, swatch }
    }
}

/// A figure being laid out from the top.
pub struct Sheet {
    width: f64,
    top: f64,
    marks: Vec<Mark>,
    plots: Vec<Plot>,
}

impl Sheet {
    pub fn new(width: f64, legend: &[LegendEntry]) -> Self {
        let mut sheet = Self { width, top: 4.0, marks: Vec::new(), plots: Vec::new() };
        sheet.legend(legend);
        sheet
    }

    fn mark(&mut self, shape: Shape, ink: Ink, opacity: f64) {
        self.marks.push(Mark { shape, ink, opacity, tooltip: Tooltip::Nothing });
    }

    fn text(&mut self, text: &str, at: Point, size: f64, ink: Ink, anchor: Anchor) {
        let shape = Shape::Text { at, text: text.to_owned(), size, anchor, turned: false, bold: false };
        self.mark(shape, ink, 1.0);
    }

    fn legend(&mut self, keys: &[LegendEntry]) {
        if keys.is_empty() {
            return;
        }
        let mut x = 4.0;
        for key in keys {
            let room = self.width - 8.0 - SWATCH - GAP;
            let name = font::fitted(&key.name, LABEL, false, room);
            let whole = SWATCH + GAP + SLACK * font::width(&name, LABEL, false) + 12.0;
            if x > 4.0 && x + whole - 12.0 > self.width {
                (x, self.top) = (4.0, self.top + LINE);
            }
            let middle = self.top + 8.0;
            match key.swatch {
                Swatch::Line(dash) => {
                    let points = vec![[x, middle], [x + SWATCH, middle]];
                    self.mark(Shape::Line { points, width: 2.0, dash }, key.ink, 1.0);
                }
                Swatch::Dot | Swatch::Ring => {
                    let hollow = matches!(key.swatch, Swatch::Ring);
                    self.mark(Shape::Dot { at: [x + SWATCH / 2.0, middle], radius: 4.0, hollow }, key.ink, 1.0);
                }
                Swatch::Fill(opacity) => {
                    let bar = Frame { left: x + 4.0, top: middle - 5.0, right: x + SWATCH - 2.0, bottom: middle + 5.0 };
                    self.mark(Shape::Bar(bar), key.ink, opacity);
                }
            }
            self.text(&name, [x + SWATCH + GAP, middle + 4.0], LABEL, Ink::Text, Anchor::Start);
            x += whole;
        }
        self.top += LINE + 4.0;
    }

    /// Adds a plot below, `height` high without its labels, under a `caption` if that is not empty.
    pub fn plot(&mut self, caption: &str, height: f64, x: Axis, y: Axis) -> &mut Plot {
        if !caption.is_empty() {
            let text = font::fitted(caption, LABEL, true, self.width - 8.0);
            let at = [4.0, self.top + 12.0];
            let shape = Shape::Text { at, text, size: LABEL, anchor: Anchor::Start, turned: false, bold: true };
            self.mark(shape, Ink::Text, 1.0);
            self.top += LINE;
        }
        let (x_ticks, y_ticks) = (x.ticks(), y.ticks());
        let widest = y_ticks.iter().map(|(_, text)| font::width(text, TICK, false)).fold(0.0, f64::max);
        let frame = Frame {
            left: (2.0 * GAP + LABEL + SLACK * widest + 2.0).ceil(),
            top: self.top + 6.0,
            right: self.width - 12.0,
            bottom: self.top + 6.0 + height,
        };
        let line = |points, width, ink| Mark {
            shape: Shape::Line { points, width, dash: Dash::Solid },
            ink,
            opacity: 1.0,
            tooltip: Tooltip::Nothing,
        };
        let plot = Plot { frame, x, y, marks: Vec::new() };
        for (value, text) in &y_ticks {
            let [_, at] = plot.at([plot.x.low, *value]);
            self.marks.push(line(vec![[frame.left, at], [frame.right, at]], 1.0, Ink::Grid));
            self.text(text, [frame.left - GAP, at + 4.0], TICK, Ink::Muted, Anchor::End);
        }
        let mut taken = f64::NEG_INFINITY;
        for (value, text) in &x_ticks {
            let [at, _] = plot.at([*value, plot.y.low]);
            self.marks.push(line(vec![[at, frame.top], [at, frame.bottom]], 1.0, Ink::Grid));
            let half = font::width(text, TICK, false) / 2.0;
            if at - half > taken {
                let at = at.min(self.width - half - 1.0);
                self.text(text, [at, frame.bottom + 14.0], TICK, Ink::Muted, Anchor::Middle);
                taken = at + half + GAP;
            }
        }
        self.marks.push(line(
            vec![[frame.left, frame.top], [frame.left, frame.bottom], [frame.right, frame.bottom]],
            1.0,
            Ink::Axis,
        ));
        let x_label = font::fitted(&plot.x.label, LABEL, false, self.width - 8.0);
        let y_label = font::fitted(&plot.y.label, LABEL, false, height + 24.0);
        // Centred below the axis, but within the figure.
        let half = font::width(&x_label, LABEL, false) / 2.0;
        let middle = ((frame.left + frame.right) / 2.0).min(self.width - 4.0 - half).max(half + 4.0);
        self.text(&x_label, [middle, frame.bottom + 30.0], LABEL, Ink::Muted, Anchor::Middle);
        let at = [LABEL, (frame.top + frame.bottom) / 2.0];
        let shape = Shape::Text { at, text: y_label, size: LABEL, anchor: Anchor::Middle, turned: true, bold: false };
        self.mark(shape, Ink::Muted, 1.0);
        self.top = frame.bottom + 38.0;
        self.add(plot)
    }

    /// Adds a plot laid out by the caller, which ends at `bottom`.
    pub fn add_plot(&mut self, plot: Plot, bottom: f64) -> &mut Plot {
        self.top = bottom;
        self.add(plot)
    }

    fn add(&mut self, plot: Plot) -> &mut Plot {
        let at = self.plots.len();
        self.plots.push(plot);
        &mut self.plots[at]
    }

    pub fn top(&self) -> f64 {
        self.top
    }

    pub fn words(&mut self, text: &str, at: Point, size: f64, anchor: Anchor, turned: bool) {
        let shape = Shape::Text { at, text: text.to_owned(), size, anchor, turned, bold: false };
        self.mark(shape, Ink::Muted, 1.0);
    }

    pub fn finish(self) -> Drawing {
        Drawing { width: self.width, height: self.top.ceil(), marks: self.marks, plots: self.plots }
    }
}
