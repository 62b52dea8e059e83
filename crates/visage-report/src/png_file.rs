//! A drawing as a PNG file, text included.

use tiny_skia::{Color, FillRule, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform};

use crate::drawing::{Anchor, Ink, Mark, Point, Shape, Tooltip};
use crate::figure::Figure;
use crate::font;
use crate::palette::{LIGHT, rgb};
use crate::svg::{TITLE, TITLE_SIZE};

/// Scale of the file: sharp on paper and on high-density screens.
const SCALE: f32 = 2.0;

/// The figure as the bytes of a PNG file: its title above it, on white.
pub fn file(figure: &Figure) -> Vec<u8> {
    let (width, height) = (figure.drawing.width as f32 * SCALE, (figure.drawing.height + TITLE) as f32 * SCALE);
    // A drawing is never empty, so the pixmap is never refused.
    let Some(mut pixmap) = Pixmap::new((width.ceil() as u32).max(1), (height.ceil() as u32).max(1)) else {
        return Vec::new();
    };
    pixmap.fill(Color::WHITE);
    let drawing = &figure.drawing;
    let text = font::fitted(&figure.title, TITLE_SIZE, true, drawing.width - 8.0);
    let at = [4.0, 17.0];
    let title = Shape::Text { at, text, size: TITLE_SIZE, anchor: Anchor::Start, turned: false, bold: true };
    let title = Mark { shape: title, ink: Ink::Text, opacity: 1.0, tooltip: Tooltip::Nothing };
    draw(&mut pixmap, &title, Transform::from_scale(SCALE, SCALE));
    let below = Transform::from_translate(0.0, TITLE as f32).post_scale(SCALE, SCALE);
    for mark in drawing.marks.iter().chain(drawing.plots.iter().flat_map(|plot| &plot.marks)) {
        draw(&mut pixmap, mark, below);
    }
    encoded(&pixmap)
}

fn draw(pixmap: &mut Pixmap, mark: &Mark, place: Transform) {
    let [red, green, blue] = rgb(LIGHT.colour(mark.ink));
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (mark.opacity.clamp(0.0, 1.0) * 255.0).round() as u8);
    paint.anti_alias = true;
    let mut fill = |path: Option<Path>, place: Transform| {
        if let Some(path) = path {
            pixmap.fill_path(&path, &paint, FillRule::Winding, place, None);
        }
    };
    match &mark.shape {
        Shape::Area(points) => fill(polygon(points, true), place),
        Shape::Bar(bar) => {
            let rect = Rect::from_ltrb(bar.left as f32, bar.top as f32, bar.right as f32, bar.bottom as f32);
            fill(rect.map(PathBuilder::from_rect), place);
        }
        Shape::Text { at: [x, y], text, size, anchor, turned, bold } => {
            let width = font::width(text, *size, *bold) as f32;
            let back = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => width / 2.0,
                Anchor::End => width,
            };
            let turn = if *turned { -90.0 } else { 0.0 };
            let place = place.pre_translate(*x as f32, *y as f32).pre_rotate(turn).pre_translate(-back, 0.0);
            fill(font::outline(text, *size, *bold), place);
        }
        Shape::Dot { at: [x, y], radius, hollow } => {
            let circle = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
            match circle {
                Some(circle) if *hollow => {
                    pixmap.stroke_path(&circle, &paint, &Stroke { width: 2.0, ..Stroke::default() }, place, None);
                }
                circle => fill(circle, place),
            }
        }
        Shape::Line { points, width, dash } => {
            if let Some(path) = polygon(points, false) {
                let dash = StrokeDash::new(dash.lengths().to_vec(), 0.0);
                let stroke =
                    Stroke { width: *width as f32, dash, line_join: tiny_skia::LineJoin::Round, ..Stroke::default() };
                pixmap.stroke_path(&path, &paint, &stroke, place, None);
            }
        }
    }
}

fn polygon(points: &[Point], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    path.move_to(first[0] as f32, first[1] as f32);
    rest.iter().for_each(|point| path.line_to(point[0] as f32, point[1] as f32));
    if closed {
        path.close();
    }
    path.finish()
}

fn encoded(pixmap: &Pixmap) -> Vec<u8> {
    let pixels: Vec<u8> = pixmap.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    of_pixels(&pixels, pixmap.width() as usize, pixmap.height() as usize)
}

/// Pixels, three bytes each and row by row, as the bytes of a PNG file.
pub fn of_pixels(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    of_colours(pixels, width, height, png::ColorType::Rgb)
}

/// Pixels of red, green, blue and opacity, row by row, as the bytes of a PNG file.
pub fn with_transparency(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    of_colours(pixels, width, height, png::ColorType::Rgba)
}

fn of_colours(pixels: &[u8], width: usize, height: usize, colours: png::ColorType) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(colours);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    // Writing to memory does not fail, and the sizes agree.
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    debug_assert!(written.is_ok());
    file
}
