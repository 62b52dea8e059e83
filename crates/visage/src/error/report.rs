//! How an error is shown: its message, its causes, and help.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal};

use miette::{Diagnostic, MietteHandlerOpts};

use crate::output;
use crate::visible::visible;

/// Prints an error to standard error: drawn on a terminal and where colours are forced, as plain lines elsewhere.
pub fn print(error: &dyn Diagnostic) {
    let report = Report::new(error);
    let coloured = output::is_coloured();
    let text = if io::stderr().is_terminal() || coloured {
        // It fails only if a hook was set before.
        let _ = miette::set_hook(Box::new(move |_| Box::new(MietteHandlerOpts::new().color(coloured).build())));
        format!("{:?}\n", miette::Report::new(report))
    } else {
        format!("{report:#}")
    };
    output::standard_error(&text);
}

/// An error as it is shown.
#[derive(Debug)]
struct Report {
    message: String,
    cause: Option<Box<Report>>,
    help: Option<String>,
}

impl Report {
    fn new(error: &dyn Diagnostic) -> Self {
        let help = error.help().map(|help| shown(&help.to_string()));
        Self { help, ..Self::chain(error.to_string(), error.source()) }
    }

    /// A message and its causes, without those that the message above already quotes.
    fn chain(message: String, mut source: Option<&(dyn Error + 'static)>) -> Self {
        while let Some(cause) = source
            && message.contains(&cause.to_string())
        {
            source = cause.source();
        }
        let cause = source.map(|cause| Box::new(Self::chain(cause.to_string(), cause.source())));
        Self { message: shown(&message), cause, help: None }
    }
}

/// A message as it is shown: [`visible`], and without what goes on for pages, such as the names of ten thousand columns.
fn shown(message: &str) -> String {
    const LONGEST: usize = 4000;
    let Some((cut, _)) = message.char_indices().nth(LONGEST) else { return visible(message).into_owned() };
    let more = message[cut..].chars().count();
    format!("{} ... ({more} more characters)", visible(&message[..cut]))
}

impl fmt::Display for Report {
    /// The message; with `#`, everything as plain lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return f.write_str(&self.message);
        }
        writeln!(f, "error: {}", self.message)?;
        let mut cause = &self.cause;
        while let Some(below) = cause {
            writeln!(f, "  cause: {}", below.message)?;
            cause = &below.cause;
        }
        self.help.iter().flat_map(|help| help.lines()).try_for_each(|line| writeln!(f, "  help: {line}"))
    }
}

impl Error for Report {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &dyn Error)
    }
}

impl Diagnostic for Report {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CommandError;
    use visage_run::comparison::CompareError;

    #[test]
    fn causes_are_shown_once_and_help_last() {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        let text = |error: CommandError| format!("{:#}", Report::new(&error));
        let error = CommandError::read("a b")(missing());
        assert_eq!(text(error), "error: cannot read a b\n  cause: no such file\n");
        assert_eq!(text(CommandError::usage(missing())), "error: no such file\n");
        let error = CompareError::NotEvaluated {
            runs: vec!["runs/a b".into()],
            wanted: String::new(),
            commands: vec!["visage evaluate 'runs/a b' --data d".to_owned()],
        };
        assert_eq!(
            text(error.into()),
            "error: not evaluated yet: runs/a b has no metrics\n  help: visage evaluate 'runs/a b' --data d\n"
        );
    }

    #[test]
    fn a_message_of_many_pages_is_shortened() {
        assert_eq!(shown("a\u{1b}b"), "a\\u001Bb");
        let shortened = shown(&"ä".repeat(5_000));
        assert_eq!(shortened, format!("{} ... (1000 more characters)", "ä".repeat(4_000)));
    }
}
