//! Groups of images.

/// A partition of images into groups: with and without an attribute, or by the values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Name of the attribute or column.
    pub name: String,
    /// Names of the groups.
    pub values: Vec<String>,
    /// The index of each image's group, where known.
    pub members: Vec<Option<usize>>,
}

impl Grouping {
    /// Images with the attribute (`present`) and without it (`absent`).
    pub fn by_attribute(name: &str, labels: impl Iterator<Item = Option<bool>>) -> Self {
        Self {
            name: name.to_owned(),
            values: ["present", "absent"].map(str::to_owned).to_vec(),
            members: labels.map(|label| label.map(|present| usize::from(!present))).collect(),
        }
    }

    /// Images by value; groups in the order of their names.
    pub fn by_value<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Self {
        let of: Vec<Option<&str>> = values.collect();
        let mut names: Vec<&str> = of.iter().copied().flatten().collect();
        names.sort_unstable();
        names.dedup();
        Self {
            name: name.to_owned(),
            members: of.iter().map(|value| names.binary_search(&(*value)?).ok()).collect(),
            values: names.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The pairs to compare: two groups with each other, more than two each with all others.
    pub(super) fn pairs(&self) -> Vec<[Part; 2]> {
        match self.values.len() {
            0 | 1 => Vec::new(),
            2 => vec![[Part::Of(0), Part::Of(1)]],
            several => (0..several).map(|value| [Part::Of(value), Part::NotOf(value)]).collect(),
        }
    }

    /// Whether an image belongs to a part.
    pub(super) fn holds(&self, part: Part, image: usize) -> bool {
        let member = self.members.get(image).copied().flatten();
        match part {
            Part::Of(value) => member == Some(value),
            Part::NotOf(value) => member.is_some_and(|member| member != value),
        }
    }

    pub(super) fn part_name(&self, part: Part) -> String {
        match part {
            Part::Of(value) => self.values[value].clone(),
            Part::NotOf(_) => "the others".to_owned(),
        }
    }
}

/// One group, or all images of the other groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Of(usize),
    NotOf(usize),
}
