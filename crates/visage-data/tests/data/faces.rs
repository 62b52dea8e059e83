//! Where the faces are in the images of datasets, and aligning them.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use visage_data::{Alignment, Dataset, Preparation, Similarity, Size, TableOptions, align, pack};

use crate::fixtures::{Entry, celeba_images, celeba_tables, folder, text};

/// A picture of this size as a PNG file.
fn png(width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A table, and a picture of each size for `0.png`, `1.png`, ...
fn with_pictures(table: &str, sizes: &[(u32, u32)]) -> Vec<Entry> {
    let pictures = sizes.iter().enumerate().map(|(number, &(w, h))| (format!("{number}.png"), png(w, h)));
    std::iter::once(text("labels.csv", table)).chain(pictures).collect()
}

fn points(header: &str, value: impl Fn(usize) -> usize) -> Entry {
    let names =
        "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y";
    let mut table = format!("5\n{names}\n");
    for image in 1..=5 {
        table += &format!("{image:06}.jpg");
        (0..10).for_each(|number| table += &format!(" {}", value(number)));
        table += "\n";
    }
    text(header, &table)
}

#[test]
fn original_photographs_have_landmarks_of_their_own() {
    let boxes = (1..=5).map(|image| format!("{image:06}.jpg 95 71 226 313\n")).collect::<String>();
    let companions = vec![
        points("Anno/list_landmarks_align_celeba.txt", |number| number),
        points("Anno/list_landmarks_celeba.txt", |number| 100 + number),
        text("Anno/list_bbox_celeba.txt", &format!("5\nimage_id x_1 y_1 width height\n{boxes}")),
    ];
    for (images, form, first) in
        [("Img/img_align_celeba/", "CelebA", 0.0), ("Img/img_celeba/", "CelebA, original photographs", 100.0)]
    {
        let (_home, path) = folder(&[celeba_tables(), companions.clone(), celeba_images(images)].concat());
        let dataset = Dataset::open(&path).unwrap();
        assert_eq!(dataset.form(), form);
        let sample = &dataset.samples()[2];
        assert_eq!(sample.landmarks.unwrap()[0], [first, first + 1.0], "{form}");
        assert_eq!(sample.face_box, Some([95.0, 71.0, 226.0, 313.0]));
        // A point is the centre of a pixel.
        assert_eq!(sample.eyes_and_mouth().unwrap().right_mouth, [first + 8.5, first + 9.5]);
    }
}

#[test]
fn columns_of_a_table_hold_landmarks_and_boxes() {
    let names = "left_eye_x,left_eye_y,right_eye_x,right_eye_y,left_mouth_x,left_mouth_y,right_mouth_x,right_mouth_y";
    let header = format!("image,S,{names},box_x,box_y,box_width,box_height\n");
    let rows = "0.png,1,10.5,20,30,20,12,40,28,40,5,6,70,80\n1.png,0,,,,,,,,,,,,\n";
    let (_home, path) = folder(&with_pictures(&(header.clone() + rows), &[(90, 90), (90, 90)]));
    let dataset = Dataset::open(&path).unwrap();
    assert_eq!(dataset.attributes(), ["S"]);
    assert!(dataset.understood().contains("columns hold landmarks and boxes of faces"), "{}", dataset.understood());
    let [known, blank] = dataset.samples() else { panic!("two rows") };
    assert_eq!(known.eyes_and_mouth().unwrap().left_eye, [11.0, 20.5]);
    assert!(known.landmarks.unwrap()[2][0].is_nan(), "the table has no nose");
    assert_eq!(known.face_box, Some([5.0, 6.0, 70.0, 80.0]));
    assert_eq!((blank.landmarks, blank.face_box), (None, None));

    let (_home, path) = folder(&with_pictures(&(header + "0.png,1,left,20,30,20,12,40,28,40,5,6,70,80\n"), &[(9, 9)]));
    let fault = Dataset::open(&path).unwrap_err().to_string();
    assert!(fault.contains("labels.csv, line 2") && fault.contains("`left` is not a number of pixels"), "{fault}");
    // An attribute that happens to have such a name stays one.
    let (_home, path) = folder(&with_pictures("image,width,height\n0.png,1,0\n1.png,0,1\n", &[(9, 9), (9, 9)]));
    assert_eq!(Dataset::open(&path).unwrap().attributes(), ["width", "height"]);
}

#[test]
fn alignment_is_guessed_by_shape_size_and_landmarks() {
    let table = "image,S\n0.png,1\n1.png,0\n";
    let guess = |table: &str, sizes: &[(u32, u32)]| {
        let (_home, path) = folder(&with_pictures(table, sizes));
        Dataset::open(&path).unwrap().alignment()
    };
    assert_eq!(guess(table, &[(178, 218), (178, 218)]), Some(Alignment::Celeba));
    assert_eq!(guess(table, &[(89, 109), (89, 109)]), Some(Alignment::Celeba), "half the size");
    assert_eq!(guess(table, &[(128, 128), (128, 128)]), None, "nobody knows");
    assert_eq!(guess(table, &[(178, 218), (640, 480)]), Some(Alignment::None), "sizes differ");
    assert_eq!(guess(table, &[(640, 480), (178, 218)]), Some(Alignment::None), "sizes differ");
    let names = "lefteye_x,lefteye_y,righteye_x,righteye_y,leftmouth_x,leftmouth_y,rightmouth_x,rightmouth_y";
    let with = |points: &str| format!("image,S,{names}\n0.png,1,{points}\n1.png,0,{points}\n");
    assert_eq!(guess(&with("69,111,108,111,72,152,106,152"), &[(178, 218); 2]), Some(Alignment::Celeba));
    assert_eq!(guess(&with("30,50,60,50,35,80,55,80"), &[(178, 218); 2]), None, "the eyes are elsewhere");
}

#[test]
fn faces_are_aligned_as_they_are_read_and_a_pack_remembers_it() {
    let (home, path) = folder(&with_pictures("image,S\n0.png,1\n1.png,0\n", &[(300, 260), (320, 200)]));
    let mut dataset = Dataset::open(&path).unwrap();
    assert_eq!(dataset.alignment(), Some(Alignment::None));
    let landmarks = visage_data::Landmarks {
        left_eye: [120.5, 96.25],
        right_eye: [176.0, 104.75],
        left_mouth: [118.0, 158.5],
        right_mouth: [160.25, 166.0],
    };
    dataset.align(vec![Similarity::aligning(&landmarks), None]);
    assert_eq!(dataset.alignment(), Some(Alignment::Celeba));
    let preparation =
        Preparation { alignment: Some(Alignment::Celeba), ..Preparation::exact(Size { height: 109, width: 89 }) };
    let photograph = image::load_from_memory(&png(300, 260)).unwrap().into_rgb8();
    let aligned = preparation.image(align(&photograph, &landmarks).unwrap()).unwrap();
    assert_eq!(dataset.pixels(0, &preparation).unwrap(), aligned);
    dataset.leave_out(&[1]);

    let file = home.path().join("faces.pack");
    let mut bytes = Vec::new();
    pack::write(&dataset, &preparation, &mut bytes, |_| {}).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let packed = Dataset::open_with(&file, &TableOptions::default()).unwrap();
    assert_eq!(packed.alignment(), Some(Alignment::Celeba));
    assert_eq!(packed.pixels(0, &preparation).unwrap(), aligned);
}
