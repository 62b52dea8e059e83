//! CVAT's "for images 1.1" (<https://docs.cvat.ai/docs/manual/advanced/xml_format/>): tags, and their attributes.

use std::collections::BTreeSet;

use super::{Export, column, list, sparse_table};

pub(super) fn read(content: &[u8]) -> Result<Export, String> {
    let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
    let images: Vec<_> = document.root_element().children().filter(|node| node.has_tag_name("image")).collect();
    if !images.iter().any(|image| image.children().any(|node| node.has_tag_name("tag"))) {
        return Err("no image has a tag; boxes and outlines are not read".to_owned());
    }
    let mut columns = vec!["image".to_owned(), "split".to_owned(), "tags".to_owned()];
    let mut labels = BTreeSet::new();
    let mut rows = Vec::with_capacity(images.len());
    for image in images {
        let name = image.attribute("name").ok_or("an image has no name")?;
        let mut row = vec![(0, name.to_owned())];
        row.extend(image.attribute("subset").map(|subset| (1, subset.to_owned())));
        let mut own = Vec::new();
        for tag in image.children().filter(|node| node.has_tag_name("tag")) {
            own.extend(tag.attribute("label").map(str::to_owned));
            for attribute in tag.children().filter(|node| node.has_tag_name("attribute")) {
                let name = attribute.attribute("name").ok_or("an attribute has no name")?;
                row.push((column(&mut columns, name), attribute.text().unwrap_or_default().to_owned()));
            }
        }
        labels.extend(own.iter().cloned());
        row.push((2, list(own)));
        rows.push(row);
    }
    // A single tag that only carries attributes is no label of its own.
    if labels.len() == 1 && columns.len() > 3 {
        rows.iter_mut().for_each(|row| row.retain(|(column, _)| *column != 2));
    }
    Ok(Export { form: "CVAT", table: sparse_table(columns, rows), vocabulary: Vec::new() })
}
