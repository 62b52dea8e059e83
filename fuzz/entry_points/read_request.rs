//! Reads any bytes as the body of an inference request: images, or an error. The first two bytes are the length of the JSON
//! part; 0xffff stands for all of the body.
use visage_data::{Preparation, Size};

/// Images in a request, at most.
const MOST: usize = 4;

pub fn run(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_first_chunk::<2>() else { return };
    let json_length = match u16::from_le_bytes(*head) {
        u16::MAX => None,
        length => Some(usize::from(length)),
    };
    if let Ok(images) = visage_serve::read_request(body, json_length, &Preparation::exact(Size::square(2)), MOST) {
        assert!((1..=MOST).contains(&images), "{images} images");
    }
}
