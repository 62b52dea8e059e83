//! Names and paths of the models to serve.

use std::path::{Path, PathBuf};

/// A model file to serve, and the name that requests use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the model in requests.
    pub name: String,
    /// Path of the model file.
    pub path: PathBuf,
}

impl Source {
    /// Parses `NAME=PATH`, or a path alone, which is named as by [`Source::of`].
    pub fn parse(text: &str) -> Self {
        if let Some((name, path)) = text.split_once('=')
            && !name.contains(['/', '\\'])
            && !Path::new(text).exists()
        {
            return Self { name: name.to_owned(), path: path.into() };
        }
        Self::of(PathBuf::from(text))
    }

    /// Names a path after the folder, or after the file without its extension. `best` and `last`, the names of every run's
    /// checkpoints, are replaced by the name of the run's folder.
    pub fn of(path: PathBuf) -> Self {
        let own = if path.is_dir() {
            path.canonicalize().ok().as_deref().and_then(file_name)
        } else {
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
        };
        let name = match own.as_deref() {
            Some("best" | "last") => path.canonicalize().ok().and_then(|path| file_name(path.parent()?)).or(own),
            _ => own,
        };
        Self { name: name.unwrap_or_default(), path }
    }
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_model_is_named_after_its_file_or_its_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("enhanced");
        fs::create_dir(&run).unwrap();
        let name = |text: &str| Source::parse(text).name;
        let at = |file: &str| run.join(file).display().to_string();
        fs::write(at("best.safetensors"), "").unwrap();
        assert_eq!(name(&run.display().to_string()), "enhanced");
        assert_eq!(name(&at("best.safetensors")), "enhanced");
        assert_eq!(name(&at("other.safetensors")), "other");
        let expected = Source { name: "faces".into(), path: "runs/a".into() };
        assert_eq!(Source::parse("faces=runs/a"), expected);
    }
}
