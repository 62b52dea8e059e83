//! The bearer token that requests must carry.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::error::ServeError;

/// Allowed lengths in characters. A shorter token could be guessed.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=4096;

/// A bearer token (RFC 6750). Its `Debug` output hides it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Creates a token from text; surrounding whitespace is removed.
    ///
    /// # Errors
    ///
    /// [`ServeError::WeakToken`] if the text is too short or too long, or has characters other than visible ASCII.
    pub fn new(text: &str) -> Result<Self, ServeError> {
        let text = text.trim();
        let fits = LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(ServeError::WeakToken) }
    }

    /// Whether the value of an `Authorization` header carries this token. Compares in constant time.
    pub(crate) fn matches(&self, authorization: &[u8]) -> bool {
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
    fn only_the_complete_token_matches() {
        let token = Token::new("  0123456789abcdef\n").unwrap();
        assert!(token.matches(b"Bearer 0123456789abcdef") && token.matches(b"bearer 0123456789abcdef"));
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdeff", "Basic 0123456789abcdef"]
        {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
        assert!(Token::new("short").is_err() && Token::new("with a blank in the middle").is_err());
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
