//! The page of an explanation: an image, and a heat map per attribute.

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::frame::{self, Section};
use super::paragraphs;
use crate::explanation::Explanation;
use crate::number::percent;
use crate::svg::escaped;

const REMARK: &str = "A heat map shows where the network found evidence for a prediction, not why, and not whether the prediction is right. It is \
    as coarse as the feature map it was computed from. Each map is scaled to its own maximum: do not compare colours between \
    maps.";

/// The page; `heats` are the heat maps of the attributes, as PNG files.
pub fn html(explanation: &Explanation, picture: &[u8], heats: &[Vec<u8>]) -> String {
    let mut maps = String::from("<div class=\"figures\">\n");
    figure(&mut maps, picture, "The image", "as prepared for the network");
    for (each, heat) in explanation.attributes.iter().zip(heats) {
        let answer = if each.present { "present" } else { "absent" };
        let mut caption = format!("probability {}: {answer}", percent(f64::from(each.probability)));
        if each.heat.iter().all(|&heat| heat == 0.0) {
            caption += "; no evidence for it in the image";
        }
        figure(&mut maps, heat, &each.attribute, &caption);
        if let Some(photograph) = &each.on_photograph {
            figure(&mut maps, photograph, &each.attribute, "laid back over the photograph");
        }
    }
    maps.push_str("</div>\n");
    let about = paragraphs("remark", &[REMARK.to_owned()]) + &paragraphs("lead", &explanation.about);
    let sections = vec![Section::new("maps", "Evidence per attribute", about + &maps)];
    let footer = "Dark: no evidence for the attribute. Light: the most. Each map is also a PNG file beside this page.";
    frame::html(&format!("visage explain: {}", explanation.image), &explanation.made, sections, footer)
}

fn figure(html: &mut String, png: &[u8], heading: &str, caption: &str) {
    let heading = escaped(heading);
    let _ = writeln!(
        html,
        "<figure style=\"--w:320px\"><figcaption>{heading}</figcaption><img style=\"display:block;max-width:100%\" \
         src=\"data:image/png;base64,{}\" alt=\"{heading}: {caption}\"><p>{caption}</p></figure>",
        BASE64_STANDARD.encode(png)
    );
}
