//! Any bytes as the body of an inference request: images, or an error. The first two say how many of them are JSON; 0xffff: all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visage_data::{Preparation, Size};

/// Images that a request may bring.
const MOST: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, body)) = bytes.split_first_chunk::<2>() else { return };
    let json_length = match u16::from_le_bytes(*head) {
        u16::MAX => None,
        length => Some(usize::from(length)),
    };
    if let Ok(images) = visage_serve::read_request(body, json_length, &Preparation::exact(Size::square(2)), MOST) {
        assert!((1..=MOST).contains(&images), "{images} images");
    }
});
