//! COCO (<https://cocodataset.org/#format-data>): an image has the labels of all its annotations.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::{Export, list};
use crate::sources::rows::MemoryTable;

#[derive(Deserialize)]
struct Coco {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

pub(super) fn read(content: &[u8]) -> Result<Export, String> {
    let Coco { images, annotations, categories } =
        serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let indices: HashMap<u64, usize> = (0..).zip(&categories).map(|(index, category)| (category.id, index)).collect();
    let rows: HashMap<u64, usize> = (0..).zip(&images).map(|(row, image)| (image.id, row)).collect();
    let mut labels: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); images.len()];
    for Annotation { image_id, category_id } in annotations {
        let row =
            rows.get(&image_id).ok_or_else(|| format!("an annotation is of image {image_id}, which is not listed"))?;
        let category = indices
            .get(&category_id)
            .ok_or_else(|| format!("an annotation has category {category_id}, which is not listed"))?;
        labels[*row].insert(*category);
    }
    let mut table = MemoryTable::new(vec!["image".to_owned(), "categories".to_owned()]);
    for (image, labels) in images.iter().zip(labels) {
        table.push([image.file_name.clone(), list(labels.into_iter().map(|category| &categories[category].name))]);
    }
    Ok(Export { form: "COCO", table, vocabulary: categories.into_iter().map(|category| category.name).collect() })
}
