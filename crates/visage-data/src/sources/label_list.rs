//! Several labels in one field.

use std::borrow::Cow;

use crate::error::TableFault;

/// What separates the labels in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListForm {
    /// The field is one label.
    Single,
    /// A list in brackets, as JSON and Python write it.
    Bracketed,
    /// Labels with a separator between them.
    Separated(String),
}

/// Separators that are recognised by themselves. A blank is none of them: labels such as `Pale Skin` hold blanks.
pub(super) const SEPARATORS: [char; 3] = ['|', ';', ','];

/// Which forms the fields of a column may have.
#[derive(Default)]
pub(super) struct FormSearch {
    bracketed: bool,
    found: [bool; SEPARATORS.len()],
    blank: bool,
}

impl FormSearch {
    pub(super) fn observe(&mut self, field: &str) {
        if bracketed(field).is_some() {
            self.bracketed = true;
            return;
        }
        for (found, separator) in self.found.iter_mut().zip(SEPARATORS) {
            *found |= field.contains(separator);
        }
        self.blank |= field.contains(char::is_whitespace);
    }

    /// The form of all fields of the column called `column`.
    ///
    /// # Errors
    ///
    /// When more than one separator is found, or only blanks.
    pub(super) fn form(&self, column: &str) -> Result<ListForm, TableFault> {
        let separators: Vec<char> =
            SEPARATORS.into_iter().zip(self.found).filter(|(_, f)| *f).map(|(s, _)| s).collect();
        match (self.bracketed, separators.as_slice()) {
            (true, []) if !self.blank => Ok(ListForm::Bracketed),
            (false, [separator]) => Ok(ListForm::Separated(separator.to_string())),
            (false, []) if !self.blank => Ok(ListForm::Single),
            _ => {
                let mut found: Vec<String> = separators.iter().map(char::to_string).collect();
                found.extend(self.bracketed.then(|| "brackets".to_owned()));
                found.extend((self.blank && found.is_empty()).then(|| "blanks".to_owned()));
                Err(TableFault::UnclearSeparator { column: column.to_owned(), found: found.join(" and ") })
            }
        }
    }
}

impl ListForm {
    /// The labels in a field; none in an empty one.
    pub(super) fn labels<'a>(&self, field: &'a str) -> Vec<Cow<'a, str>> {
        let labels = match self {
            ListForm::Single => vec![Cow::Borrowed(field)],
            ListForm::Bracketed => {
                bracketed(field).unwrap_or_else(|| vec![field.to_owned()]).into_iter().map(Cow::Owned).collect()
            }
            ListForm::Separated(separator) => {
                field.split(separator.as_str()).map(|l| Cow::Borrowed(l.trim())).collect()
            }
        };
        labels.into_iter().filter(|label| !label.is_empty()).collect()
    }
}

/// The items of a list in brackets: a JSON array, or a list as Python prints it. `None` for anything else.
pub(super) fn bracketed(field: &str) -> Option<Vec<String>> {
    let inner = field.strip_prefix('[')?.strip_suffix(']')?;
    let mut items = Vec::new();
    let mut rest = inner.trim_start();
    while let Some(first) = rest.chars().next() {
        let (item, after) = match first {
            '"' | '\'' => quoted(rest, first)?,
            // NumPy prints no commas between items.
            _ => {
                let (item, after) = rest.split_at(rest.find([',', ' ', '\n']).unwrap_or(rest.len()));
                (item.to_owned(), after)
            }
        };
        items.push(item);
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
        }
    }
    Some(items)
}

/// The text in quotes at the start of `text`, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next()?.1 {
                'n' => item.push('\n'),
                't' => item.push('\t'),
                'u' => {
                    let code: String = (0..4).map_while(|_| characters.next()).map(|(_, digit)| digit).collect();
                    item.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                other => item.push(other),
            },
            _ if character == quote => return Some((item, &text[at + 1..])),
            _ => item.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(fields: &[&str]) -> Result<Vec<Vec<String>>, TableFault> {
        let mut search = FormSearch::default();
        fields.iter().for_each(|field| search.observe(field));
        let form = search.form("tags")?;
        Ok(fields.iter().map(|field| form.labels(field).into_iter().map(Cow::into_owned).collect()).collect())
    }

    #[test]
    fn every_form_of_list_is_read() {
        let expected = vec![vec!["a b".to_owned(), "c".to_owned()], vec!["c".to_owned()]];
        for fields in [
            ["a b|c", "c"],
            ["a b;c", "c"],
            ["a b, c", "c"],
            ["['a b', 'c']", "['c']"],
            [r#"["a b","c"]"#, r#"["c"]"#],
            ["['a b' 'c']", "['c']"],
        ] {
            assert_eq!(labels(&fields).unwrap(), expected, "{fields:?}");
        }
        assert_eq!(labels(&["a", "c"]).unwrap(), [["a"], ["c"]]);
        assert_eq!(bracketed("[]"), Some(Vec::new()));
        assert_eq!(bracketed("[1, 2.5]"), Some(vec!["1".into(), "2.5".into()]));
        assert_eq!(bracketed(r#"["it's", "\u00e9"]"#), Some(vec!["it's".into(), "é".into()]));
        assert_eq!(bracketed("[a"), None);
    }

    #[test]
    fn an_unclear_separator_is_refused() {
        for (fields, found) in
            [(["a|b;c", "c"], "| and ;"), (["a b", "c"], "blanks"), (["a|b", "['c']"], "| and brackets")]
        {
            let fault = TableFault::UnclearSeparator { column: "tags".into(), found: found.into() };
            assert_eq!(labels(&fields).unwrap_err(), fault);
        }
    }
}
