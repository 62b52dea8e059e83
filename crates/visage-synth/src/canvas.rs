//! A thin layer over tiny-skia: colours, smooth curves and painting operations.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Mask, Paint, Path, PathBuilder, Pixmap, Point,
    RadialGradient, Shader, SpreadMode, Stroke, Transform,
};

/// A point or a vector in the current frame.
pub(crate) type Pt = (f32, f32);

/// A colour, each channel from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour(pub f32, pub f32, pub f32);

impl Colour {
    /// A colour from channels of 0 to 255.
    pub(crate) const fn rgb(r: u8, g: u8, b: u8) -> Self {
        Self(r as f32 / 255.0, g as f32 / 255.0, b as f32 / 255.0)
    }

    /// Colours written as `0xRRGGBB`.
    pub(crate) const fn list<const N: usize>(codes: [u32; N]) -> [Self; N] {
        let mut colours = [BLACK; N];
        let mut index = 0;
        while index < N {
            let [_, r, g, b] = codes[index].to_be_bytes();
            colours[index] = Self::rgb(r, g, b);
            index += 1;
        }
        colours
    }

    /// The point `t` of the way from this colour to `other`.
    pub(crate) fn mix(self, other: Self, t: f32) -> Self {
        let lerp = |a: f32, b: f32| a + (b - a) * t;
        Self(lerp(self.0, other.0), lerp(self.1, other.1), lerp(self.2, other.2))
    }

    /// Every channel multiplied, saturating at white.
    pub(crate) fn scaled(self, factor: f32) -> Self {
        Self((self.0 * factor).min(1.0), (self.1 * factor).min(1.0), (self.2 * factor).min(1.0))
    }

    /// The colour at `at` in [0, 1] along `stops`, evenly spaced.
    pub(crate) fn along(stops: &[Colour], at: f32) -> Self {
        let position = at.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
        let lower = (position as usize).min(stops.len() - 2);
        stops[lower].mix(stops[lower + 1], position - lower as f32)
    }

    /// The colour at `at` in [0, 1) of a list.
    pub(crate) fn pick(colours: &[Colour], at: f32) -> Self {
        colours[((at * colours.len() as f32) as usize).min(colours.len() - 1)]
    }

    pub(crate) fn luma(self) -> f32 {
        0.299 * self.0 + 0.587 * self.1 + 0.114 * self.2
    }

    fn with_alpha(self, alpha: f32) -> Color {
        let unit = |v: f32| v.clamp(0.0, 1.0);
        Color::from_rgba(unit(self.0), unit(self.1), unit(self.2), unit(alpha)).unwrap_or(Color::BLACK)
    }
}

pub(crate) const WHITE: Colour = Colour(1.0, 1.0, 1.0);
pub(crate) const BLACK: Colour = Colour(0.0, 0.0, 0.0);

/// The image being painted. Coordinates are those of the current frame.
pub(crate) struct Canvas {
    pixmap: Pixmap,
    frame: Transform,
}

impl Canvas {
    pub(crate) fn new(width: u32, height: u32) -> Option<Self> {
        Some(Self { pixmap: Pixmap::new(width, height)?, frame: Transform::identity() })
    }

    /// Sets the transform from coordinates to pixels for what is painted next.
    pub(crate) fn set_frame(&mut self, frame: Transform) {
        self.frame = frame;
    }

    pub(crate) fn rgba(&self) -> &[u8] {
        self.pixmap.data()
    }

    pub(crate) fn fill(&mut self, path: &Path, colour: Colour, alpha: f32, mask: Option<&Mask>) {
        self.fill_shader(path, Shader::SolidColor(colour.with_alpha(alpha)), mask);
    }

    /// Fills the image with a linear gradient between two different points, which are fractions of the image's size,
    /// independent of the frame.
    pub(crate) fn fill_all(&mut self, from: (Pt, Colour), to: (Pt, Colour)) {
        const SHADES: usize = 512;
        let shades: [[u8; 4]; SHADES] = std::array::from_fn(|i| {
            let Colour(r, g, b) = from.1.mix(to.1, i as f32 / (SHADES - 1) as f32);
            [(r * 255.0) as u8, (g * 255.0) as u8, (b * 255.0) as u8, 255]
        });
        let (width, height) = (self.pixmap.width() as usize, self.pixmap.height() as usize);
        let (dx, dy) = (to.0.0 - from.0.0, to.0.1 - from.0.1);
        let scale = (SHADES - 1) as f32 / (dx * dx + dy * dy);
        for (i, row) in self.pixmap.data_mut().chunks_exact_mut(4 * width).enumerate() {
            let down = (i as f32 / height as f32 - from.0.1) * dy * scale;
            let (start, step) = (down - from.0.0 * dx * scale, dx * scale / width as f32);
            for (j, pixel) in row.chunks_exact_mut(4).enumerate() {
                // The gradient is constant beyond its end points: the cast saturates at 0.
                let shade = (start + step * j as f32) as usize;
                pixel.copy_from_slice(&shades[shade.min(SHADES - 1)]);
            }
        }
    }

    /// Fills `path` with a linear gradient between two points.
    pub(crate) fn fill_linear(&mut self, path: &Path, from: (Pt, Colour), to: (Pt, Colour)) {
        let stops = vec![GradientStop::new(0.0, from.1.with_alpha(1.0)), GradientStop::new(1.0, to.1.with_alpha(1.0))];
        let (a, b) = (Point::from_xy(from.0.0, from.0.1), Point::from_xy(to.0.0, to.0.1));
        if let Some(shader) = LinearGradient::new(a, b, stops, SpreadMode::Pad, Transform::identity()) {
            self.fill_shader(path, shader, None);
        }
    }

    pub(crate) fn stroke(&mut self, path: &Path, width: f32, colour: Colour, alpha: f32, mask: Option<&Mask>) {
        let paint = Paint { shader: Shader::SolidColor(colour.with_alpha(alpha)), ..Paint::default() };
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        self.pixmap.stroke_path(path, &paint, &stroke, self.frame, mask);
    }

    /// A soft ellipse: `alpha` in the centre, transparent at the rim. `angle` is in degrees, clockwise.
    pub(crate) fn glow(&mut self, centre: Pt, radii: Pt, angle: f32, colour: Colour, alpha: f32, mask: Option<&Mask>) {
        let place = Transform::from_row(radii.0, 0.0, 0.0, radii.1, 0.0, 0.0)
            .post_concat(Transform::from_rotate(angle))
            .post_translate(centre.0, centre.1);
        let stops = vec![
            GradientStop::new(0.0, colour.with_alpha(alpha)),
            GradientStop::new(0.35, colour.with_alpha(alpha * 0.8)),
            GradientStop::new(1.0, colour.with_alpha(0.0)),
        ];
        let origin = Point::from_xy(0.0, 0.0);
        let shader = RadialGradient::new(origin, 0.0, origin, 1.0, stops, SpreadMode::Pad, place);
        if let (Some(shader), Some(path)) =
            (shader, PathBuilder::from_circle(0.0, 0.0, 1.0).and_then(|p| p.transform(place)))
        {
            self.fill_shader(&path, shader, mask);
        }
    }

    pub(crate) fn mask(&self, path: &Path) -> Option<Mask> {
        let mut mask = Mask::new(self.pixmap.width(), self.pixmap.height())?;
        mask.fill_path(path, FillRule::Winding, true, self.frame);
        Some(mask)
    }

    fn fill_shader(&mut self, path: &Path, shader: Shader<'_>, mask: Option<&Mask>) {
        let paint = Paint { shader, ..Paint::default() };
        self.pixmap.fill_path(path, &paint, FillRule::Winding, self.frame, mask);
    }
}

/// A smooth closed curve through `points` (Catmull-Rom).
pub(crate) fn blob(points: &[Pt]) -> Path {
    let mut builder = PathBuilder::new();
    push_curve(&mut builder, points, true);
    finish(builder)
}

/// A smooth open curve through `points` (Catmull-Rom).
pub(crate) fn curve(points: &[Pt]) -> Path {
    curves(&[points])
}

pub(crate) fn curves<P: AsRef<[Pt]>>(lines: &[P]) -> Path {
    let mut builder = PathBuilder::new();
    for points in lines {
        push_curve(&mut builder, points.as_ref(), false);
    }
    finish(builder)
}

/// Tapered lines through the points of each of `lines`, `width` wide at the start and ending in a point: one path, and much
/// cheaper to paint than stroked lines.
pub(crate) fn ribbons<P: AsRef<[Pt]>>(lines: &[P], width: f32) -> Path {
    let mut builder = PathBuilder::new();
    for points in lines {
        let points = points.as_ref();
        let Some(last) = points.len().checked_sub(1).filter(|&last| last > 0) else { continue };
        let edge = |i: usize, side: f32| -> Pt {
            let (before, after) = (points[i.saturating_sub(1)], points[(i + 1).min(last)]);
            let (dx, dy) = (after.0 - before.0, after.1 - before.1);
            let half = side * width * 0.5 * (1.0 - i as f32 / last as f32).sqrt() / dx.hypot(dy).max(1e-6);
            (points[i].0 - dy * half, points[i].1 + dx * half)
        };
        let (x, y) = edge(0, -1.0);
        builder.move_to(x, y);
        (0..last).map(|i| edge(i, 1.0)).for_each(|(x, y)| builder.line_to(x, y));
        builder.line_to(points[last].0, points[last].1);
        (1..last).rev().map(|i| edge(i, -1.0)).for_each(|(x, y)| builder.line_to(x, y));
        builder.close();
    }
    finish(builder)
}

pub(crate) fn polygon(points: &[Pt]) -> Path {
    let mut builder = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    builder.close();
    finish(builder)
}

pub(crate) fn ellipse((x, y): Pt, (rx, ry): Pt) -> Path {
    let mut builder = PathBuilder::new();
    if let Some(rect) = tiny_skia::Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry) {
        builder.push_oval(rect);
    }
    finish(builder)
}

pub(crate) fn discs(discs: impl IntoIterator<Item = (Pt, f32)>) -> Path {
    let mut builder = PathBuilder::new();
    discs.into_iter().for_each(|((x, y), radius)| builder.push_circle(x, y, radius));
    finish(builder)
}

/// Many small diamonds, `(centre, radius)`, as one path. At a size of a pixel or two they look like discs, which
/// take longer.
pub(crate) fn specks(specks: impl IntoIterator<Item = (Pt, f32)>) -> Path {
    let mut builder = PathBuilder::new();
    for ((x, y), radius) in specks {
        builder.move_to(x - radius, y);
        builder.line_to(x, y - radius);
        builder.line_to(x + radius, y);
        builder.line_to(x, y + radius);
        builder.close();
    }
    finish(builder)
}

fn push_curve(builder: &mut PathBuilder, points: &[Pt], closed: bool) {
    let n = points.len();
    if n < 2 {
        return;
    }
    let at = |i: isize| -> Pt {
        let last = n as isize - 1;
        points[if closed { i.rem_euclid(n as isize) } else { i.clamp(0, last) } as usize]
    };
    builder.move_to(points[0].0, points[0].1);
    let segments = if closed { n } else { n - 1 } as isize;
    for i in 0..segments {
        let (p0, p1, p2, p3) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        builder.cubic_to(
            p1.0 + (p2.0 - p0.0) / 6.0,
            p1.1 + (p2.1 - p0.1) / 6.0,
            p2.0 - (p3.0 - p1.0) / 6.0,
            p2.1 - (p3.1 - p1.1) / 6.0,
            p2.0,
            p2.1,
        );
    }
    if closed {
        builder.close();
    }
}

/// Builds the path. An empty one becomes a speck outside any image, so that callers need no special case.
fn finish(builder: PathBuilder) -> Path {
    const NOWHERE: f32 = -1.0e4;
    builder.finish().unwrap_or_else(|| {
        let mut speck = PathBuilder::new();
        speck.move_to(NOWHERE, NOWHERE);
        speck.line_to(NOWHERE + 1.0, NOWHERE);
        speck.line_to(NOWHERE, NOWHERE + 1.0);
        speck.close();
        speck.finish().expect("three points make a path")
    })
}

/// `count` points spread evenly by length along the polyline through `points`.
pub(crate) fn resample(points: &[Pt], count: usize) -> Vec<Pt> {
    let lengths: Vec<f32> = points.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).collect();
    let total: f32 = lengths.iter().sum();
    let mut out = Vec::with_capacity(count);
    let (mut segment, mut before) = (0, 0.0);
    for i in 0..count {
        let target = total * i as f32 / (count - 1) as f32;
        while segment + 1 < lengths.len() && before + lengths[segment] < target {
            before += lengths[segment];
            segment += 1;
        }
        let t = ((target - before) / lengths[segment].max(1e-6)).clamp(0.0, 1.0);
        out.push(lerp(points[segment], points[segment + 1], t));
    }
    out
}

/// The point `t` of the way from `a` to `b`.
pub(crate) fn lerp(a: Pt, b: Pt, t: f32) -> Pt {
    (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t)
}
