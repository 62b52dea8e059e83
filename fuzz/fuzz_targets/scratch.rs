// A file of these bytes, in memory where the system has such a folder.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let parent = Path::new("/dev/shm");
    let parent = if parent.is_dir() { parent.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("visage-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
});

/// The path of a file called `name` that holds `bytes`.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(bytes).expect("written");
    path
}
