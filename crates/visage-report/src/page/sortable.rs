//! Tables to sort and filter.

use std::fmt::Write;

use crate::svg::escaped;

#[derive(Clone, Copy)]
pub struct Column<'a> {
    /// Its heading; in lower case without spaces it is the column's key in a filter.
    pub name: &'a str,
    pub meaning: &'a str,
    /// Whether it holds words; a column of numbers is sorted in descending order first.
    pub words: bool,
}

impl<'a> Column<'a> {
    pub const fn words(name: &'a str, meaning: &'a str) -> Self {
        Self { name, meaning, words: true }
    }

    pub const fn numbers(name: &'a str, meaning: &'a str) -> Self {
        Self { name, meaning, words: false }
    }
}

pub struct Sortable<'a> {
    columns: &'a [Column<'a>],
    html: String,
}

impl<'a> Sortable<'a> {
    /// A table without rows. `id` is its anchor, `example` an example of a filter, `help` is HTML.
    pub fn new(id: &str, columns: &'a [Column<'a>], example: &str, help: &str) -> Self {
        let mut html = format!(
            "<div class=\"sortable\"><p class=\"tools\"><label>Filter <input type=\"search\" placeholder=\"{}\" autocomplete=\"off\" \
             spellcheck=\"false\"></label> <output class=\"m\"></output><br><span class=\"m\">{help}</span></p>\n\
             <div class=\"scroll tall\"><table id=\"{id}\"><thead><tr>",
            escaped(example)
        );
        for Column { name, meaning, words } in columns {
            let key = name.to_lowercase().replace(' ', "");
            let words = if *words { " class=\"w\"" } else { "" };
            let _ = write!(
                html,
                "<th scope=\"col\" data-k=\"{key}\" title=\"{meaning}\"{words}><button type=\"button\">{name}</button></th>"
            );
        }
        html.push_str("</tr></thead><tbody>\n");
        Self { columns, html }
    }

    /// Adds a row, whose cells are HTML.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.html.push_str("<tr>");
        for (number, (cell, column)) in cells.into_iter().zip(self.columns).enumerate() {
            let _ = match (number, column.words) {
                (0, _) => write!(self.html, "<th scope=\"row\">{cell}</th>"),
                (_, true) => write!(self.html, "<td class=\"w\">{cell}</td>"),
                (_, false) => write!(self.html, "<td>{cell}</td>"),
            };
        }
        self.html.push_str("</tr>\n");
    }

    pub fn finish(self) -> String {
        self.html + "</tbody></table></div></div>\n"
    }
}
