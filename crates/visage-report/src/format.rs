//! Numbers as text, for tables and sentences.

/// A metric between 0 and 1, or a dash if it is undefined.
pub fn score(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// A fraction as a percentage, or a dash if it is undefined.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.2} %", value * 100.0))
}

/// A whole number in groups of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number and a noun, in the plural if needed.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A duration, rounded to the units that matter.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0 => format!("{:.1} s", seconds.max(0.0)),
        1..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "image"), counted(2000, "image")), ("1 image".to_owned(), "2,000 images".to_owned()));
        assert_eq!([0.04, 12.4, 75.0, 7260.0].map(duration), ["0.0 s", "12 s", "1 min 15 s", "2 h 1 min"]);
        assert_eq!((score(Some(0.25)), score(None)), ("0.2500".to_owned(), "-".to_owned()));
        assert_eq!(percent(Some(0.800_394)), "80.04 %");
    }
}
