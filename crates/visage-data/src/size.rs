//! Image sizes.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Height and width in pixels, written `HxW` (CelebA's images are `218x178`). Read from the same form or, for a square, from
/// one number.
///
/// Serialised as text in the same form; a square may also be an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Size {
    /// The longest side a setting may have, so that a typing error or a forged model file cannot request a terabyte.
    pub const MAX_SIDE: usize = 8192;

    /// A square with sides of `side` pixels.
    #[must_use]
    pub const fn square(side: usize) -> Self {
        Size { height: side, width: side }
    }

    /// Height times width.
    #[must_use]
    pub const fn pixels(self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}x{}", self.height, self.width))
    }
}

/// A text that is not an image size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an image size: write HEIGHTxWIDTH such as 218x178, or one number such as 128 for a square, each from 1 to {max}", max = Size::MAX_SIDE)]
pub struct InvalidSize(pub String);

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |digits: &str| match digits.trim().parse() {
            Ok(side) if (1..=Size::MAX_SIDE).contains(&side) => Ok(side),
            _ => Err(InvalidSize(text.to_owned())),
        };
        match text.split_once(['x', 'X']) {
            Some((height, width)) => Ok(Size { height: side(height)?, width: side(width)? }),
            None => side(text).map(Size::square),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Size;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an image size such as \"218x178\" (height x width) or 128")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, side: u64) -> Result<Size, E> {
                self.visit_str(&side.to_string())
            }

            fn visit_i64<E: Error>(self, side: i64) -> Result<Size, E> {
                self.visit_str(&side.to_string())
            }
        }

        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_height_by_width() {
        let portrait = Size { height: 218, width: 178 };
        assert_eq!("218x178".parse(), Ok(portrait));
        assert_eq!(portrait.to_string(), "218x178");
        assert_eq!("128".parse(), Ok(Size::square(128)));
        assert_eq!(serde_json::to_string(&portrait).unwrap(), "\"218x178\"");
        assert_eq!(serde_json::from_str::<Size>("64").unwrap(), Size::square(64));
        assert_eq!(serde_json::from_str::<Size>("\"218x178\"").unwrap(), portrait);
        for wrong in ["", "0", "0x5", "5x", "-3", "12x12x12", "8193", "99999999999999999999", "wide"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Size>("-1").unwrap_err().to_string().contains("`-1` is not an image size"));
    }
}
