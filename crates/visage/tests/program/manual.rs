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

#[test]
fn the_reference_of_data_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data.md");
    let current = line("data formats").done();
    for part in ["`imageid`", "`validation`, `valid`, `val`, `dev`, `eval`, `1`", "`list_eval_partition`"] {
        assert!(current.contains(part), "{part} in\n{current}");
    }
    assert!(
        fs::read_to_string(path).unwrap_or_default() == current,
        "docs/data.md is outdated; renew it: cargo run --release -- data formats > docs/data.md"
    );
}

#[test]
fn the_command_line_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let current = line("markdown-help").done();
    for part in ["## visage data synth", "`--tensorboard`", "visage evaluate [OPTIONS]"] {
        assert!(current.contains(part), "{part} in\n{current}");
    }
    assert!(
        fs::read_to_string(path).unwrap_or_default() == current,
        "docs/cli.md is outdated; renew it: cargo run --release -- markdown-help > docs/cli.md"
    );
}
