//! CelebA's official layout.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{extension, writing};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::label::Label;
use crate::sample::Sample;
use crate::split::Split;

/// Images are named as in CelebA, by six digits counted from 1 in the order of the table, with the extension of their content.
pub(super) fn write(dataset: &Dataset, folder: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), DataError> {
    let samples = dataset.samples();
    let cannot = |reason: String| DataError::CannotHold { layout: "CelebA's layout", reason };
    if let Some(sample) = samples.iter().find(|sample| sample.labels.contains(&Label::Unknown)) {
        return Err(cannot(format!("labels of {} are unknown; write csv or webdataset", sample.image)));
    }
    if let Some(name) = dataset.attributes().iter().find(|name| name.contains(char::is_whitespace)) {
        return Err(cannot(format!("the attribute `{name}` has a blank in its name; rename it, or write csv")));
    }
    for part in ["Anno", "Eval", "Img/img_align_celeba"] {
        let path = folder.join(part);
        fs::create_dir_all(&path).map_err(writing(&path))?;
    }
    let mut names = Vec::with_capacity(samples.len());
    for index in 0..samples.len() {
        let encoded = dataset.encoded_image(index)?;
        let name = format!("{:06}.{}", index + 1, extension(&encoded));
        let path = folder.join("Img/img_align_celeba").join(&name);
        fs::write(&path, encoded).map_err(writing(&path))?;
        names.push(name);
        progress(index + 1);
    }

    let table = |name: &str, head: String, row: &dyn Fn(&Sample) -> Option<String>| {
        let mut text = head;
        for (sample, name) in samples.iter().zip(&names) {
            // A table must list all images. If one of them has no row, the table is left out.
            let Some(row) = row(sample) else { return Ok(()) };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name} {row}");
        }
        let path = folder.join(name);
        fs::write(&path, text).map_err(writing(&path))
    };
    let labels = |sample: &Sample| {
        let values = sample.labels.iter().map(|label| if *label == Label::Present { " 1" } else { "-1" });
        Some(values.collect::<Vec<_>>().join(" "))
    };
    let numbers = |values: &[f64]| {
        let is_known = values.iter().all(|value| value.is_finite());
        is_known.then(|| values.iter().map(|value| format!("{value:.0}")).collect::<Vec<_>>().join(" "))
    };
    let count = samples.len();
    table("Anno/list_attr_celeba.txt", format!("{count}\n{}\n", dataset.attributes().join(" ")), &labels)?;
    table("Eval/list_eval_partition.txt", String::new(), &|sample| {
        let number = |split| Split::ALL.iter().position(|known| *known == split).unwrap_or_default();
        sample.split.map(|split| number(split).to_string())
    })?;
    table("Anno/identity_CelebA.txt", String::new(), &|sample| {
        sample.identity.clone().filter(|identity| !identity.contains(char::is_whitespace))
    })?;
    let points =
        "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y";
    table("Anno/list_landmarks_align_celeba.txt", format!("{count}\n{points}\n"), &|sample| {
        sample.landmarks.and_then(|points| numbers(points.as_flattened()))
    })?;
    table("Anno/list_bbox_celeba.txt", format!("{count}\nimage_id x_1 y_1 width height\n"), &|sample| {
        sample.face_box.and_then(|values| numbers(&values))
    })
}
