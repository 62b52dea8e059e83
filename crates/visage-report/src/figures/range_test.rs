//! The learning rate range test.

use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::short;
use crate::range_test::RangeTestCurve;
use crate::sheet::{LegendEntry, Sheet, Swatch, WIDE};

pub fn figure(curve: &RangeTestCurve) -> Figure {
    let legend = [
        LegendEntry::new("Loss", Ink::Muted, Swatch::Line(Dash::Solid)),
        LegendEntry::new("Smoothed", Ink::Series(0), Swatch::Line(Dash::Solid)),
        LegendEntry::new("Falls fastest", Ink::Text, Swatch::Ring),
    ];
    let shown = if curve.suggestion.is_some() { &legend[..] } else { &legend[..2] };
    let mut sheet = Sheet::new(WIDE, shown);
    let rates = curve.points.iter().map(|[rate, ..]| *rate);
    let losses = curve.points.iter().flat_map(|[_, loss, smoothed]| [*loss, *smoothed]);
    let x = Axis::ratios("Learning rate", rates);
    let plot = sheet.plot("", 220.0, x, Axis::from_zero("Loss", losses));
    let line = |of: usize| curve.points.iter().map(move |point| [point[0], point[of]]).collect::<Vec<_>>();
    plot.line(&line(1), Ink::Muted, 1.0, Dash::Solid, Tooltip::Nothing);
    plot.line(&line(2), Ink::Series(0), 1.8, Dash::Solid, Tooltip::Nothing);
    let suggested = curve.suggestion.and_then(|rate| curve.points.iter().find(|point| point[0] == rate));
    if let Some([rate, _, smoothed]) = suggested {
        plot.dot([*rate, *smoothed], 6.0, true, Ink::Text, Tooltip::Nothing);
    }
    let reading = match curve.suggestion {
        Some(rate) => format!("The smoothed loss falls fastest at a learning rate of {}.", short(rate)),
        None => "The loss never fell.".to_owned(),
    };
    Figure::new("range-test", "Learning rate range test", reading, sheet)
}
