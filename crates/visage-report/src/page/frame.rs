//! The frame of every page: style, script, fonts, and sections with links to them.

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::font;
use crate::palette::{DARK, LIGHT};
use crate::svg::escaped;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

pub struct Section {
    pub id: &'static str,
    pub heading: &'static str,
    /// Its content, as HTML; an empty section is left out.
    pub body: String,
}

impl Section {
    pub fn new(id: &'static str, heading: &'static str, body: String) -> Self {
        Self { id, heading, body }
    }
}

/// A page as one file that loads no other. `footer` is HTML, `title` and `made` are text.
pub fn html(title: &str, made: &str, sections: Vec<Section>, footer: &str) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"generator\" content=\"visage\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:; font-src data:\">\
         <title>{title}</title>\n<style>{}:root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n\
         {STYLE}</style></head>\n<body>\n",
        font_faces(),
        LIGHT.properties(),
        DARK.properties(),
    );
    let sections: Vec<Section> = sections.into_iter().filter(|section| !section.body.is_empty()).collect();
    let _ = write!(page, "<header><h1>{title}</h1><p class=\"m\">{}</p><nav>", escaped(made));
    for Section { id, heading, .. } in &sections {
        let _ = write!(page, "<a href=\"#{id}\">{heading}</a> ");
    }
    page.push_str("</nav></header>\n<main>\n");
    for Section { id, heading, body } in &sections {
        let _ = write!(page, "<section id=\"{id}\"><h2>{heading}</h2>\n{body}</section>\n");
    }
    let _ = write!(
        page,
        "</main>\n<footer class=\"m\">{footer}</footer>\n\
         <div id=\"tip\" role=\"status\" hidden></div>\n<script>{SCRIPT}</script>\n</body></html>\n"
    );
    page
}

/// The fonts of the figures, embedded so that text has the measured width on any machine.
fn font_faces() -> String {
    let face = |weight: u32, file: &[u8]| {
        format!(
            "@font-face{{font-family:Figures;font-weight:{weight};src:url(data:font/ttf;base64,{}) format('truetype')}}\n",
            BASE64_STANDARD.encode(file)
        )
    };
    face(400, font::REGULAR_FILE) + &face(500, font::MEDIUM_FILE)
}
