//! The secret that requests must carry.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::error::ServeError;

/// Characters of a token: fewer could be guessed.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=4096;

/// A bearer token (RFC 6750).
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token, without the blanks and line ends around it.
    ///
    /// # Errors
    ///
    /// [`ServeError::WeakToken`] if it is short, or could not stand in a header.
    pub fn new(text: &str) -> Result<Self, ServeError> {
        let text = text.trim();
        let fits = LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(ServeError::WeakToken) }
    }

    /// Whether the value of an `Authorization` header carries this token. How long it takes says nothing of how much of it
    /// is right.
    #[must_use]
    pub fn is_in(&self, authorization: &[u8]) -> bool {
        let Some((scheme, given)) = authorization.split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(given.ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_right() {
        let token = Token::new("  0123456789abcdef\n").unwrap();
        assert!(token.is_in(b"Bearer 0123456789abcdef") && token.is_in(b"bearer 0123456789abcdef"));
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdeff", "Basic 0123456789abcdef"]
        {
            assert!(!token.is_in(wrong.as_bytes()), "{wrong}");
        }
        assert!(Token::new("short").is_err() && Token::new("with a blank in the middle").is_err());
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
