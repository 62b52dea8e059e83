//! The columns of a Parquet file.

use std::sync::Arc;

use parquet::basic::{ConvertedType, Type as Physical};
use parquet::file::reader::FileReader;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::super::class_names::{self, ClassNames};
use super::file::Reader;

/// The index that pandas writes beside the columns.
const PANDAS_INDEX: &str = "__index_level_";

/// The columns of a file that are read as text.
#[derive(Default)]
pub(super) struct TextColumns {
    /// Their types: all but the image bytes.
    pub(super) types: Vec<Arc<Type>>,
    pub(super) names: Vec<String>,
    /// The index of the one that names the image, where the image's own column holds the name.
    pub(super) image: Option<usize>,
    /// The names of columns left out because their type is not supported.
    pub(super) ignored: Vec<String>,
}

impl TextColumns {
    pub(super) fn of(schema: &Type) -> Self {
        let mut columns = TextColumns::default();
        let fields = schema.get_fields().iter().filter(|field| !field.name().starts_with(PANDAS_INDEX));
        for field in fields {
            match (is_image(field), field.is_group()) {
                (true, true) => columns.add_image_path(field),
                (true, false) => {}
                (false, true) if !is_list(field) => columns.ignored.push(field.name().to_owned()),
                (false, _) => columns.add(field),
            }
        }
        columns
    }

    /// Adds the name within Hugging Face's image, a group of bytes and a path.
    fn add_image_path(&mut self, field: &Arc<Type>) {
        let path = field.get_fields().iter().find(|field| field.name() == "path" && field.is_primitive());
        let group = path.and_then(|path| {
            Type::group_type_builder(field.name())
                .with_repetition(field.get_basic_info().repetition())
                .with_fields(vec![Arc::clone(path)])
                .build()
                .ok()
        });
        if let Some(group) = group {
            self.image = Some(self.names.len());
            self.names.push(field.name().to_owned());
            self.types.push(Arc::new(group));
        }
    }

    fn add(&mut self, field: &Arc<Type>) {
        self.names.push(field.name().to_owned());
        self.types.push(Arc::clone(field));
    }
}

/// Whether a column holds lists of plain values.
fn is_list(field: &Type) -> bool {
    let is_list = field.get_basic_info().converted_type() == ConvertedType::LIST;
    let [repeated] = field.get_fields() else { return false };
    is_list && (repeated.is_primitive() || repeated.get_fields().iter().all(|item| item.is_primitive()))
}

/// Whether a column holds bytes that are not text, alone or in a group beside a name.
fn is_image(field: &Type) -> bool {
    if field.is_group() {
        return field.get_fields().iter().any(|field| field.name() == "bytes" && field.is_primitive());
    }
    let info = field.get_basic_info();
    let is_text = info.converted_type() != ConvertedType::NONE || info.logical_type_ref().is_some();
    field.get_physical_type() == Physical::BYTE_ARRAY && !is_text
}

/// The index of the image bytes among the leaf columns of a file.
pub(super) fn image_leaf(reader: &Reader) -> Option<usize> {
    let metadata = reader.metadata().file_metadata();
    let image = metadata.schema().get_fields().iter().find(|field| is_image(field))?;
    metadata.schema_descr().columns().iter().position(|column| {
        let parts = column.path().parts();
        parts.first().map(String::as_str) == Some(image.name())
            && (image.is_primitive() || parts.get(1).map(String::as_str) == Some("bytes"))
    })
}

/// The values of a row as text.
pub(super) fn texts(row: &Row, classes: &ClassNames) -> Vec<String> {
    row.get_column_iter().map(|(name, field)| text(field, classes.of(name))).collect()
}

/// A value as text, where a class has its name.
fn text(field: &Field, classes: &[String]) -> String {
    let class = |number: i64| class_names::name(classes, number).map_or_else(|| number.to_string(), str::to_owned);
    match field {
        Field::Byte(number) => class((*number).into()),
        Field::Short(number) => class((*number).into()),
        Field::Int(number) => class((*number).into()),
        Field::Long(number) => class(*number),
        Field::Null => String::new(),
        Field::Str(text) => text.trim().to_owned(),
        Field::Bool(value) => value.to_string(),
        Field::Float(value) if value.is_nan() => String::new(),
        Field::Double(value) if value.is_nan() => String::new(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::ListInternal(list) => {
            let items: Vec<serde_json::Value> = list.elements().iter().map(|field| item(field, classes)).collect();
            serde_json::Value::from(items).to_string()
        }
        // An image, of which only the path is read.
        Field::Group(group) => group.get_column_iter().next().map(|(_, field)| text(field, &[])).unwrap_or_default(),
        number => number.to_string(),
    }
}

/// An item of a list: numbers stay numbers.
fn item(field: &Field, classes: &[String]) -> serde_json::Value {
    match field {
        Field::Str(text) => text.trim().into(),
        Field::Null => serde_json::Value::Null,
        other => {
            let text = text(other, classes);
            serde_json::from_str(&text).unwrap_or_else(|_| text.into())
        }
    }
}
