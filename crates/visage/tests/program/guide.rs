//! The documents: every command of `docs/guide.md` works as written, and `docs/troubleshooting.md` is headed by messages that the
//! program has.

use std::fs;
use std::path::Path;

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md"));
const TROUBLESHOOTING: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/troubleshooting.md"));

#[cfg(unix)]
mod commands {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::{env, fs, mem};

    use super::GUIDE;
    use crate::fixture::{PROGRAM, folder};

    /// What a fenced block of the guide stands for.
    enum Step {
        /// A command of an `sh` block, and the line it begins on.
        Run(usize, String),
        /// A block that names a file after its language, such as `csv photos/labels.csv`: the path and the content.
        Write(String, String),
    }

    fn steps() -> Vec<Step> {
        let mut steps = Vec::new();
        let mut lines = GUIDE.lines().zip(1..);
        while let Some((line, _)) = lines.next() {
            let Some(info) = line.strip_prefix("```") else { continue };
            let block = lines.by_ref().take_while(|(line, _)| *line != "```");
            if let Some((_, path)) = info.split_once(' ') {
                steps.push(Step::Write(path.to_owned(), block.map(|(line, _)| format!("{line}\n")).collect()));
                continue;
            }
            let (mut first, mut command) = (0, String::new());
            for (line, number) in block.filter(|_| info == "sh") {
                first = if command.is_empty() { number } else { first };
                command += line;
                if line.ends_with('\\') {
                    command += "\n";
                } else {
                    steps.push(Step::Run(first, mem::take(&mut command)));
                }
            }
        }
        steps
    }

    /// A process that is killed when this is dropped.
    struct Server(Child);

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn every_command_of_the_guide_works_as_written() {
        let folder = folder();
        let programs = Path::new(PROGRAM).parent().unwrap().to_owned();
        let inherited = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([programs].into_iter().chain(env::split_paths(&inherited))).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shell = |command: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).current_dir(folder.path()).env("PATH", &path).env("PORT", port.to_string());
            shell
        };

        let mut server = None;
        for step in steps() {
            match step {
                Step::Write(path, content) => {
                    let path = folder.path().join(path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content).unwrap();
                }
                // A server does not end by itself: it stays in the background, for the commands that follow.
                Step::Run(line, command) if command.starts_with("visage serve") => {
                    let mut serve = shell(&format!("exec {command}"));
                    let mut process = serve.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
                    let mut first = String::new();
                    BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
                    server = Some(Server(process));
                    assert!(first.contains("http://"), "docs/guide.md, line {line}: {command}\nprinted {first:?}");
                }
                Step::Run(line, command) => {
                    let output = shell(&command).output().unwrap();
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    assert!(
                        output.status.success(),
                        "docs/guide.md, line {line}: {command}\n{}{}",
                        text(&output.stdout),
                        text(&output.stderr)
                    );
                }
            }
        }
        assert!(server.is_some(), "the guide serves a model");
        for file in ["report/report.html", "model.int8.onnx", "heat.png"] {
            assert!(folder.path().join(file).is_file(), "{file}");
        }
    }
}

/// The sources of all crates, with string literals that continue on the next line in one piece.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            text += &sources(&entry);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(entry).unwrap();
            let mut lines = source.split("\\\n");
            text += lines.next().unwrap_or_default();
            lines.for_each(|line| text += line.trim_start());
        }
    }
    text
}

#[test]
fn the_headings_of_troubleshooting_are_messages_of_the_program() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let headings = TROUBLESHOOTING.lines().filter_map(|line| line.strip_prefix("### "));
    // A heading in words alone is a symptom without a message.
    let messages: Vec<&str> = headings.flat_map(|heading| heading.split('`').skip(1).step_by(2)).collect();
    assert!(messages.len() > 50, "{messages:?}");
    for message in messages {
        // Three dots stand for what differs each time.
        for part in message.split("...").map(str::trim) {
            assert!(sources.contains(part), "no message has {part:?}, of the heading {message:?}");
        }
    }
}
