//! Input files for readers that take a path.
use std::fs;
use std::path::{Path, PathBuf};

/// Runs `read` on a file called `name` that holds `bytes`, alone in a folder: in memory, where the system has such folders.
pub fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = parent.join(format!("visage-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder can be created");
    let path = folder.join(name);
    fs::write(&path, bytes).expect("the file can be written");
    read(&path);
    fs::remove_dir_all(folder).expect("the folder can be removed");
}
