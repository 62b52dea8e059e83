//! A drawing as SVG: a file of its own, or a part of a page.

use std::fmt::Write;

use crate::axis::Axis;
use crate::drawing::{Anchor, Dash, Drawing, Ink, Mark, Plot, Point, Shape, Tooltip};
use crate::figure::Figure;
use crate::palette::{LIGHT, class};
use crate::sheet::WIDE;

pub const TITLE: f64 = 26.0;
pub const TITLE_SIZE: f64 = 14.0;
/// The fonts, preferably that of the PNG files.
const FONTS: &str = "Roboto,system-ui,-apple-system,'Segoe UI',sans-serif";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    /// Values for a white background.
    White,
    /// CSS classes, which the page defines.
    Classes,
}

/// The figure as a file: with its title, on white, and the reading as its description.
pub fn file(figure: &Figure) -> String {
    let Figure { title, drawing, .. } = figure;
    let (width, height) = (drawing.width, drawing.height + TITLE);
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" font-family=\"{FONTS}\"><title>{}</title><desc>{}</desc>\
         <rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\
         <text x=\"4\" y=\"17\" font-size=\"{TITLE_SIZE}\" font-weight=\"500\" fill=\"{}\">{}</text>\
         <g transform=\"translate(0 {TITLE})\">",
        escaped(title),
        escaped(&figure.alt()),
        LIGHT.surface,
        LIGHT.colour(Ink::Text),
        escaped(title)
    );
    body(&mut svg, drawing, Colours::White);
    svg + "</g></svg>\n"
}

/// The figure inline in a page, which has its colours and title.
pub fn inline(figure: &Figure) -> String {
    let Drawing { width, height, .. } = figure.drawing;
    let mut svg = String::new();
    let large = if width > WIDE { " class=\"large\"" } else { "" };
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\"{large} role=\"img\" aria-label=\"{}\">",
        escaped(&figure.alt())
    );
    body(&mut svg, &figure.drawing, Colours::Classes);
    svg + "</svg>"
}

/// `text` escaped for use between tags and in attributes.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML allows no control characters.
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

fn body(svg: &mut String, drawing: &Drawing, colours: Colours) {
    for each in &drawing.marks {
        mark(svg, each, colours);
    }
    for plot in &drawing.plots {
        match colours {
            Colours::White => svg.push_str("<g>"),
            Colours::Classes => opened(svg, plot),
        }
        for each in &plot.marks {
            mark(svg, each, colours);
        }
        svg.push_str("</g>");
    }
}

/// Opens the group of a plot, with the data from which the script converts positions to values.
fn opened(svg: &mut String, plot: &Plot) {
    let axis = |axis: &Axis, from: f64, to: f64| {
        format!("{from:.1},{to:.1},{},{},{}", axis.low, axis.high, u8::from(axis.log))
    };
    let name = |axis: &Axis| escaped(axis.label.split(" (").next().unwrap_or_default());
    let frame = plot.frame;
    let _ = write!(
        svg,
        "<g data-x=\"{}\" data-y=\"{}\" data-xn=\"{}\" data-yn=\"{}\">",
        axis(&plot.x, frame.left, frame.right),
        axis(&plot.y, frame.bottom, frame.top),
        name(&plot.x),
        name(&plot.y)
    );
}

fn mark(svg: &mut String, mark: &Mark, colours: Colours) {
    let Mark { shape, ink, opacity, tooltip } = mark;
    let tooltip = tooltip_attributes(tooltip, colours);
    let faint = if *opacity < 1.0 { format!(" opacity=\"{}\"", number2(*opacity)) } else { String::new() };
    let filled = match colours {
        Colours::White => format!("fill=\"{}\"{faint}", LIGHT.colour(*ink)),
        Colours::Classes => format!("class=\"f {}\"{faint}", class(*ink)),
    };
    let stroked = |width: f64| match colours {
        Colours::White => {
            format!(
                "fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{faint}",
                LIGHT.colour(*ink)
            )
        }
        Colours::Classes if width == 1.0 => format!("class=\"k {}\"{faint}", class(*ink)),
        Colours::Classes => format!("class=\"k {}\" stroke-width=\"{width}\"{faint}", class(*ink)),
    };
    let _ = match shape {
        Shape::Line { points, width, dash } => {
            write!(svg, "<path d=\"{}\" {}{}{tooltip}/>", path(points), stroked(*width), dashes(*dash))
        }
        Shape::Area(points) => write!(svg, "<path d=\"{}Z\" {filled}{tooltip}/>", path(points)),
        Shape::Bar(bar) => write!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" {filled}{tooltip}/>",
            number(bar.left),
            number(bar.top),
            number(bar.right - bar.left),
            number(bar.bottom - bar.top)
        ),
        Shape::Dot { at: [x, y], radius, hollow } => {
            let look = if *hollow { stroked(2.0) } else { filled };
            write!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\" {look}{tooltip}/>", number(*x), number(*y))
        }
        Shape::Text { at: [x, y], text, size, anchor, turned, bold } => {
            let (x, y) = (number(*x), number(*y));
            let place = if *turned {
                format!("transform=\"translate({x} {y}) rotate(-90)\"")
            } else {
                format!("x=\"{x}\" y=\"{y}\"")
            };
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let weight = if *bold { " font-weight=\"500\"" } else { "" };
            write!(svg, "<text {place} font-size=\"{size}\"{anchor}{weight} {filled}>{}</text>", escaped(text))
        }
    };
}

fn tooltip_attributes(tooltip: &Tooltip, colours: Colours) -> String {
    match tooltip {
        // A file has no script that shows tooltips.
        _ if colours == Colours::White => String::new(),
        Tooltip::Nothing => String::new(),
        Tooltip::Values(name) => format!(" data-n=\"{}\"", escaped(name)),
        Tooltip::Curve(name, third, values) => {
            let values: Vec<String> = values.iter().map(|value| number2(*value)).collect();
            format!(" data-n=\"{}\" data-zn=\"{third}\" data-z=\"{}\"", escaped(name), values.join(" "))
        }
        Tooltip::Text(words) => format!(" data-t=\"{}\"", escaped(words)),
    }
}

fn dashes(dash: Dash) -> String {
    let lengths: Vec<String> = dash.lengths().iter().map(ToString::to_string).collect();
    if lengths.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", lengths.join(" ")) }
}

fn path(points: &[Point]) -> String {
    let pairs: Vec<String> = points.iter().map(|&[x, y]| format!("{},{}", number(x), number(y))).collect();
    format!("M{}", pairs.join(" "))
}

fn number(value: f64) -> String {
    trimmed(format!("{value:.1}"))
}

fn number2(value: f64) -> String {
    trimmed(format!("{value:.3}"))
}

fn trimmed(text: String) -> String {
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short.is_empty() || short == "-0" { "0".to_owned() } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b>&\"c\"\u{1}"), "a&lt;b&gt;&amp;&quot;c&quot; ");
        assert_eq!([10.0, 0.04, -0.04, 2.55].map(number), ["10", "0", "0", "2.5"]);
    }
}
