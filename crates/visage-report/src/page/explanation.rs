//! The page of an explanation: an image, and heat over it for each attribute.

use std::fmt::Write;

use super::base64::base64;
use super::frame::{self, Section};
use crate::explanation::Explanation;
use crate::number::percent;
use crate::svg::escaped;

/// What a reader must know of such maps.
const REMARK: &str = "A map says where the network found what speaks for an answer, not why, and not whether it is right. It is as coarse \
    as the feature map it was made of, and its colours run to the most of its own: they are not to be compared between maps.";

/// The page; `heats` are the attributes' pictures.
pub fn html(explanation: &Explanation, picture: &[u8], heats: &[Vec<u8>]) -> String {
    let about: String =
        explanation.about.iter().map(|text| format!("<p class=\"lead\">{}</p>\n", escaped(text))).collect();
    let mut maps = String::from("<div class=\"figures\">\n");
    figure(&mut maps, picture, "The image", "as the network sees it");
    for (each, heat) in explanation.attributes.iter().zip(heats) {
        let answer = if each.present { "present" } else { "absent" };
        let mut told = format!("{} probable: {answer}", percent(f64::from(each.probability)));
        if each.heat.iter().all(|&heat| heat == 0.0) {
            told += "; nothing in the image speaks for it";
        }
        figure(&mut maps, heat, &each.attribute, &told);
    }
    maps.push_str("</div>\n");
    let sections =
        vec![Section::new("maps", "What speaks for it", frame::remarks(&[REMARK.to_owned()]) + &about + &maps)];
    let footer =
        "Dark: nothing there speaks for the attribute. Light: the most. Each map is also a PNG file beside this page.";
    frame::html(&format!("visage explain: {}", explanation.image), &explanation.made, sections, footer)
}

fn figure(html: &mut String, png: &[u8], heading: &str, told: &str) {
    let heading = escaped(heading);
    let _ = writeln!(
        html,
        "<figure style=\"--w:320px\"><figcaption>{heading}</figcaption><img style=\"display:block;max-width:100%\" \
         src=\"data:image/png;base64,{}\" alt=\"{heading}: {told}\"><p>{told}</p></figure>",
        base64(png)
    );
}
