//! The values that a parameter of a search can take.

use std::fmt;

use rand::{Rng, RngExt};

/// The values that a parameter can take. Written `LOW:HIGH`, `LOW:HIGH:log` or `a,b,c`.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// The numbers from `low` to `high`, both included.
    Range {
        /// The least number.
        low: f64,
        /// The greatest number, above `low`.
        high: f64,
        /// Whether the logarithm is uniform, rather than the number; then `low` is above 0.
        log: bool,
        /// Whether only whole numbers are meant.
        whole: bool,
    },
    /// One of several values, as they are written after `key=`; at least two, all different.
    Choice(Vec<String>),
}

/// Digits of a drawn number: more would only make recipes hard to read.
const DIGITS: usize = 4;

impl Domain {
    /// Reads a domain. A range is one of all numbers, not of whole ones, until [`Domain::of_whole_numbers`] changes it.
    ///
    /// # Errors
    ///
    /// What is wrong, with the remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let choices = split_choices(text);
        if choices.len() > 1 {
            let twice = choices.iter().enumerate().find(|(at, choice)| choices[..*at].contains(choice));
            return match (twice, choices.iter().any(String::is_empty)) {
                (_, true) => Err("a choice is empty: remove the comma, or write the value".to_owned()),
                (Some((_, choice)), _) => Err(format!("the choice {choice} is there twice: remove one")),
                (None, false) => Ok(Self::Choice(choices)),
            };
        }
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        let (low, high, log) = match parts.as_slice() {
            [low, high] => (low, high, false),
            [low, high, "log"] => (low, high, true),
            _ => return Err("a domain is written LOW:HIGH, LOW:HIGH:log or a,b,c".to_owned()),
        };
        let number = |text: &str| {
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| format!("{text:?} is not a number: a range is written LOW:HIGH, such as 0:3"))
        };
        let (low, high) = (number(low)?, number(high)?);
        if low >= high {
            return Err(format!("{low} is not below {high}: write the lower end of a range first"));
        }
        if log && low <= 0.0 {
            return Err(format!("the range begins at {low}, which has no logarithm: begin above 0, or leave out :log"));
        }
        Ok(Self::Range { low, high, log, whole: false })
    }

    /// The whole numbers of a range; choices stay as they are.
    ///
    /// # Errors
    ///
    /// When an end of the range is not whole.
    pub fn of_whole_numbers(self) -> Result<Self, String> {
        match self {
            Self::Range { low, high, log, .. } => match [low, high].into_iter().find(|end| end.fract() != 0.0) {
                Some(end) => Err(format!("{end} is not a whole number, and the recipe takes only these")),
                None => Ok(Self::Range { low, high, log, whole: true }),
            },
            choice => Ok(choice),
        }
    }

    /// Draws a value, as it is written after `key=`.
    pub fn draw(&self, random: &mut impl Rng) -> String {
        match self {
            Self::Choice(choices) => choices[random.random_range(0..choices.len())].clone(),
            Self::Range { low, high, log, whole } => {
                let share: f64 = random.random();
                // A whole number owns the unit interval around it, so that the ends are as likely as the others.
                let margin = if *whole { 0.5 } else { 0.0 };
                let (from, to) = (low - margin, high + margin);
                let drawn = if *log { from * (to / from).powf(share) } else { from + share * (to - from) };
                let rounded = if *whole { drawn.round() } else { to_digits(drawn) };
                rounded.clamp(*low, *high).to_string()
            }
        }
    }

    /// The values at the borders of the domain: both ends of a range, or every choice.
    #[must_use]
    pub fn borders(&self) -> Vec<String> {
        match self {
            Self::Choice(choices) => choices.clone(),
            Self::Range { low, high, .. } => [low, high].map(f64::to_string).to_vec(),
        }
    }
}

/// As [`Domain::parse`] reads it.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choice(choices) => f.write_str(&choices.join(",")),
            Self::Range { low, high, log, .. } => write!(f, "{low}:{high}{}", if *log { ":log" } else { "" }),
        }
    }
}

/// The parts between commas, but not between those inside of brackets: `[0.5,0.5],[0.4,0.4]` are two choices.
fn split_choices(text: &str) -> Vec<String> {
    let (mut choices, mut depth) = (vec![String::new()], 0_u32);
    for letter in text.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                choices.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(choice) = choices.last_mut() {
            choice.push(letter);
        }
    }
    choices.into_iter().map(|choice| choice.trim().to_owned()).collect()
}

/// The nearest number with [`DIGITS`] significant digits.
fn to_digits(value: f64) -> f64 {
    // What `{:e}` writes is a number.
    format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use visage_data::random::stream;

    use super::*;

    fn range(low: f64, high: f64, log: bool, whole: bool) -> Domain {
        Domain::Range { low, high, log, whole }
    }

    #[test]
    fn domains_are_read_and_written() {
        let choice = |choices: &[&str]| Domain::Choice(choices.iter().map(|&choice| choice.to_owned()).collect());
        for (text, domain, written) in [
            ("0:3", range(0.0, 3.0, false, false), "0:3"),
            ("-1 : 0.5", range(-1.0, 0.5, false, false), "-1:0.5"),
            ("1e-4:1e-2:log", range(1e-4, 1e-2, true, false), "0.0001:0.01:log"),
            ("adam, sgd", choice(&["adam", "sgd"]), "adam,sgd"),
            ("[0.5,0.5],[0.4,0.3]", choice(&["[0.5,0.5]", "[0.4,0.3]"]), "[0.5,0.5],[0.4,0.3]"),
            ("hub:a/b,x.pth", choice(&["hub:a/b", "x.pth"]), "hub:a/b,x.pth"),
        ] {
            let found = Domain::parse(text).unwrap();
            assert_eq!((&found, found.to_string().as_str()), (&domain, written), "{text}");
            assert_eq!(Domain::parse(written).unwrap(), domain);
        }
        for (text, part) in [
            ("3", "LOW:HIGH"),
            ("1:2:3", "LOW:HIGH"),
            ("a:b", "not a number"),
            ("0:inf", "not a number"),
            ("3:3", "lower end"),
            ("0:1:log", "logarithm"),
            ("a,,b", "empty"),
            ("a,b,a", "twice"),
        ] {
            let error = Domain::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(range(0.5, 3.0, false, false).of_whole_numbers().unwrap_err().contains("0.5 is not a whole number"));
    }

    /// The numbers of 3000 draws.
    fn drawn(domain: &Domain) -> Vec<f64> {
        (0..3000).map(|trial| domain.draw(&mut stream(7, "tune", trial, 0)).parse().unwrap()).collect()
    }

    fn share(values: &[f64], counted: impl Fn(f64) -> bool) -> f64 {
        values.iter().filter(|&&value| counted(value)).count() as f64 / values.len() as f64
    }

    /// Within four standard errors of the share 0.5 or less.
    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 0.037
    }

    #[test]
    fn draws_fill_their_domain_evenly() {
        let uniform = drawn(&range(1.0, 3.0, false, false));
        assert!(uniform.iter().all(|value| (1.0..=3.0).contains(value)));
        assert!(near(share(&uniform, |value| value < 1.5), 0.25) && near(share(&uniform, |value| value > 2.0), 0.5));

        let log = drawn(&range(1e-4, 1e-2, true, false));
        assert!(log.iter().all(|value| (1e-4..=1e-2).contains(value)));
        assert!(near(share(&log, |value| value < 1e-3), 0.5), "half of them in each decade");

        let whole = drawn(&range(2.0, 5.0, false, true));
        for number in [2.0, 3.0, 4.0, 5.0] {
            assert!(near(share(&whole, |value| value == number), 0.25), "{number}");
        }
        let whole_log = drawn(&range(1.0, 100.0, true, true));
        assert!(whole_log.iter().all(|value| value.fract() == 0.0 && (1.0..=100.0).contains(value)));
        // The exponents of 0.5 and 10.5 are 57.4 % of those of 0.5 and 100.5.
        assert!(near(share(&whole_log, |value| value <= 10.0), 0.574));

        let choice = Domain::parse("a,b,c").unwrap();
        let draws: Vec<String> = (0..3000).map(|trial| choice.draw(&mut stream(7, "tune", trial, 0))).collect();
        for name in ["a", "b", "c"] {
            let count = draws.iter().filter(|draw| *draw == name).count();
            assert!(near(count as f64 / 3000.0, 1.0 / 3.0), "{name}: {count}");
        }
    }

    #[test]
    fn numbers_have_few_digits() {
        assert_eq!([0.000_316_227_766, 3.712_345_678, 120.049].map(to_digits), [0.000_316_2, 3.712, 120.0]);
    }
}
