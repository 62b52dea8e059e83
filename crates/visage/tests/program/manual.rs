//! `visage completions`, `visage man`, and the command-line reference in `docs/cli.md`.

use std::fs;
use std::path::Path;

use crate::fixture::{folder, line};

#[test]
fn every_shell_has_a_completion_script() {
    for (shell, marker) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef visage"),
        ("fish", "complete -c visage"),
        ("powershell", "Register-"),
    ] {
        let script = line(&format!("completions {shell}")).done();
        assert!(script.contains(marker) && script.contains("lr-find") && script.contains("tensorboard"), "{shell}");
    }
    assert!(line("completions csh").failed(2).contains("csh"));
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = folder();
    line(&format!("man {}", folder.path().display())).done();
    for (page, option) in
        [("visage", "verbose"), ("visage-train", "tensorboard"), ("visage-data-synth", "label"), ("visage-man", "DIR")]
    {
        let text = fs::read_to_string(folder.path().join(format!("man1/{page}.1"))).unwrap();
        assert!(text.contains(".TH") && text.contains(option), "{page}");
    }
    assert!(!folder.path().join("man1/visage-markdown-help.1").exists(), "hidden");
}

/// Asserts that a document is what a command prints, with these parts.
fn assert_current(document: &str, command: &str, parts: &[&str]) {
    let current = line(command).done();
    for part in parts {
        assert!(current.contains(part), "{part} in\n{current}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    assert!(
        fs::read_to_string(path).unwrap_or_default() == current,
        "{document} is outdated; renew it: cargo run --release -- {command} > {document}"
    );
}

#[test]
fn the_reference_of_data_is_current() {
    let parts = ["`imageid`", "`validation`, `valid`, `val`, `dev`, `eval`, `1`", "`list_eval_partition`"];
    assert_current("docs/data.md", "data formats", &parts);
}

#[test]
fn the_command_line_reference_is_current() {
    let parts = ["## visage data synth", "`--tensorboard`", "visage evaluate [OPTIONS]"];
    assert_current("docs/cli.md", "markdown-help", &parts);
}
