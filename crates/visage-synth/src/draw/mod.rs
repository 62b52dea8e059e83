//! Drawing a face, back to front, with one file for each part.

mod background;
mod beard;
mod body;
mod camera;
mod eyes;
mod hair;
mod hat;
mod jewellery;
mod mouth;
mod nose;
mod palette;
mod scene;
mod skin;
mod spectacles;

use crate::canvas::Canvas;
use crate::face::Face;
use crate::geometry::Geometry;
use image::RgbImage;
use palette::Palette;
use scene::Scene;

/// Draws `face` as an image of `width` by `height` pixels. The same face always gives the same pixels.
///
/// The drawing scales with the image; other proportions than 178 by 218 stretch the face. If the size is zero or too large for
/// memory, the image is empty.
pub fn draw(face: &Face, width: u32, height: u32) -> RgbImage {
    let Some(mut canvas) = Canvas::new(width, height) else { return RgbImage::default() };
    let geometry = Geometry::of(face);
    let palette = Palette::of(face);
    let outline = crate::canvas::blob(&geometry.outline);
    let mut scene = Scene { face, geometry: &geometry, palette: &palette, mask: None };

    background::paint(&mut canvas, &scene, width, height);

    canvas.set_frame(geometry.head_frame(width, height));
    hair::paint_back(&mut canvas, &scene);

    canvas.set_frame(geometry.body_frame(width, height));
    body::paint(&mut canvas, &scene);

    canvas.set_frame(geometry.head_frame(width, height));
    skin::paint_ears(&mut canvas, &scene);
    let mask = canvas.mask(&outline);
    scene.mask = mask.as_ref();
    skin::paint_face(&mut canvas, &scene, &outline);
    beard::paint(&mut canvas, &scene);
    nose::paint(&mut canvas, &scene);
    mouth::paint(&mut canvas, &scene);
    beard::paint_mustache(&mut canvas, &scene);
    skin::paint_lines(&mut canvas, &scene);
    eyes::paint(&mut canvas, &scene);
    hair::paint_front(&mut canvas, &scene);
    eyes::paint_brows(&mut canvas, &scene);
    spectacles::paint(&mut canvas, &scene);
    hat::paint(&mut canvas, &scene);
    jewellery::paint_earrings(&mut canvas, &scene);

    canvas.set_frame(geometry.body_frame(width, height));
    jewellery::paint_necklace(&mut canvas, &scene);

    camera::expose(canvas, face, width, height)
}
