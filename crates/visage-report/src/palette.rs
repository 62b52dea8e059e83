//! Colours that colour-blind readers can distinguish: Okabe and Ito, "Color Universal Design" (2008).
//!
//! Files are drawn on white. A page in dark mode uses the palette's lighter half first.

use crate::drawing::Ink;

/// Number of colours of runs; further runs repeat them with another dash.
pub const SERIES: usize = 6;

/// A set of colours for a background.
pub struct Palette {
    pub surface: &'static str,
    text: &'static str,
    muted: &'static str,
    grid: &'static str,
    axis: &'static str,
    series: [&'static str; SERIES],
}

pub const LIGHT: Palette = Palette {
    surface: "#ffffff",
    text: "#1b1f24",
    muted: "#525c66",
    grid: "#e4e7ea",
    axis: "#7f8890",
    series: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"],
};

pub const DARK: Palette = Palette {
    surface: "#1b1f24",
    text: "#eceff2",
    muted: "#aeb7c0",
    grid: "#31383f",
    axis: "#7f8890",
    series: ["#56b4e9", "#e69f00", "#2bc493", "#e29cc3", "#f0e442", "#f08a4b"],
};

impl Palette {
    /// The colour of an ink, as `#rrggbb`.
    pub fn colour(&self, ink: Ink) -> &'static str {
        match ink {
            Ink::Text => self.text,
            Ink::Muted => self.muted,
            Ink::Grid => self.grid,
            Ink::Axis => self.axis,
            Ink::Series(run) => self.series[run % SERIES],
        }
    }

    /// The colours as custom properties of a style sheet: `--t`, `--m`, `--g`, `--a`, `--s0` and so on, `--surface`.
    pub fn properties(&self) -> String {
        let inks = [Ink::Text, Ink::Muted, Ink::Grid, Ink::Axis].into_iter().chain((0..SERIES).map(Ink::Series));
        let colours = inks.map(|ink| format!("--{}:{};", class(ink), self.colour(ink)));
        colours.chain([format!("--surface:{};", self.surface)]).collect()
    }
}

/// The short name of an ink in style sheets.
pub fn class(ink: Ink) -> String {
    match ink {
        Ink::Text => "t".to_owned(),
        Ink::Muted => "m".to_owned(),
        Ink::Grid => "g".to_owned(),
        Ink::Axis => "a".to_owned(),
        Ink::Series(run) => format!("s{}", run % SERIES),
    }
}

pub fn rgb(colour: &str) -> [u8; 3] {
    let channel = |at: usize| colour.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    [channel(1), channel(3), channel(5)]
}
