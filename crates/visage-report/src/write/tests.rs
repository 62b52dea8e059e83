use super::*;
use crate::Explained;

#[test]
fn heat_is_coloured_over_a_grey_image() {
    let explained =
        |attribute: &str, heat| Explained { attribute: attribute.to_owned(), probability: 0.9, present: true, heat };
    let heat = [vec![0.0; 160], vec![4.0; 160]].concat();
    let explanation = Explanation {
        image: "<a>.png".into(),
        made: "made today".into(),
        about: Vec::new(),
        pixels: vec![200; 2 * 160 * 3],
        width: 160,
        attributes: vec![explained("A/B", heat), explained("C", vec![0.0; 320])],
    };
    let folder = tempfile::tempdir().unwrap();
    let written = write_explanation(&explanation, folder.path()).unwrap();
    let mut decoder =
        png::Decoder::new(std::io::Cursor::new(fs::read(&written.pictures[0]).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
    let info = decoder.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (320, 4), "enlarged by two");
    assert_eq!(pixels[..3], [90, 90, 92], "cold: 45 % of the grey and 55 % of nearly black");
    assert_eq!(pixels[pixels.len() - 3..], [229, 230, 180], "the hottest, whatever its unit");
    let page = fs::read_to_string(&written.page).unwrap();
    assert!(page.contains("&lt;a&gt;.png") && page.matches("data:image/png;base64,").count() == 3);
    assert!(written.pictures[0].parent() == Some(folder.path()), "a slash in a name does not leave the folder");
}

#[test]
fn different_names_have_different_files() {
    let explained = |attribute: &str, heat| Explained {
        attribute: attribute.to_owned(),
        probability: 0.5,
        present: true,
        heat: vec![heat, 1.0],
    };
    let explanation = Explanation {
        image: "a.png".into(),
        made: "made today".into(),
        about: Vec::new(),
        pixels: vec![200; 2 * 3],
        width: 2,
        attributes: vec![explained("Big Nose", 0.0), explained("Big/Nose", 0.4), explained("big_nose", 0.8)],
    };
    let folder = tempfile::tempdir().unwrap();
    let written = write_explanation(&explanation, folder.path()).unwrap();
    let names: Vec<_> = written.pictures.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["Big_Nose.png", "Big_Nose-2.png", "big_nose-3.png"]);
    let [a, b, c] = [0, 1, 2].map(|each: usize| fs::read(&written.pictures[each]).unwrap());
    assert!(a != b && b != c && a != c);
}
