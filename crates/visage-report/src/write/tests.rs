use super::*;
use crate::Explained;

/// Writes the heat maps of these attributes of a grey image, `width` wide and two pixels high.
fn written(width: usize, heats: &[(&str, Vec<f32>)]) -> (tempfile::TempDir, WrittenExplanation) {
    let explained = |(attribute, heat): &(&str, Vec<f32>)| Explained {
        attribute: (*attribute).to_owned(),
        probability: 0.9,
        present: true,
        heat: heat.clone(),
        on_photograph: None,
    };
    let explanation = Explanation {
        image: "<a>.png".into(),
        made: "made today".into(),
        about: Vec::new(),
        pixels: vec![200; 2 * width * 3],
        width,
        attributes: heats.iter().map(explained).collect(),
    };
    let folder = tempfile::tempdir().unwrap();
    let written = write_explanation(&explanation, folder.path()).unwrap();
    (folder, written)
}

#[test]
fn heat_is_coloured_over_a_grey_image() {
    let heat = [vec![0.0; 160], vec![4.0; 160]].concat();
    let (folder, written) = written(160, &[("A/B", heat), ("C", vec![0.0; 320])]);
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
    let heats = [("Big Nose", 0.0), ("Big/Nose", 0.4), ("big_nose", 0.8)];
    let (_folder, written) = written(1, &heats.map(|(name, heat)| (name, vec![heat, 1.0])));
    let names: Vec<_> = written.pictures.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["Big_Nose.png", "Big_Nose-2.png", "big_nose-3.png"]);
    let [a, b, c] = [0, 1, 2].map(|each: usize| fs::read(&written.pictures[each]).unwrap());
    assert!(a != b && b != c && a != c);
}
