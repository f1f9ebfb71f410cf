//! The objects of buckets: files below a bucket's directory.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{Code, Refusal};

/// The file of an object.
///
/// # Errors
/// When the key cannot be a path below the bucket.
pub fn file_of(bucket: &Path, key: &str) -> Result<PathBuf, Refusal> {
    let fits = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
    if key.len() <= 1024 && key.split('/').all(fits) {
        return Ok(key.split('/').fold(bucket.to_owned(), |path, part| path.join(part)));
    }
    Err(Refusal::new(Code::Invalid, format!("`{key}` cannot be an object's key"))
        .help("use parts separated by single `/`, none of them `.` or `..`"))
}

/// Writes an object; readers see the old one or the new one.
///
/// # Errors
/// The file system's.
pub fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    std::fs::write(&fresh, content)?;
    std::fs::rename(&fresh, file)
}

/// Removes an object and the folders that it leaves empty. One that is gone already is no error.
///
/// # Errors
/// The file system's.
pub fn remove(bucket: &Path, file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let parents =
        file.ancestors().skip(1).take_while(|parent| *parent != bucket && parent.starts_with(bucket));
    for parent in parents {
        if std::fs::remove_dir(parent).is_err() {
            break;
        }
    }
    Ok(())
}

/// The keys and sizes of the objects whose keys begin with `prefix`, sorted.
pub fn list(bucket: &Path, prefix: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    walk(bucket, String::new(), &mut found);
    found.retain(|(key, _)| key.starts_with(prefix));
    found.sort_unstable();
    found
}

fn walk(dir: &Path, prefix: String, found: &mut Vec<(String, u64)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => walk(&entry.path(), format!("{prefix}{name}/"), found),
            Ok(meta) if !name.ends_with(".new") => found.push((format!("{prefix}{name}"), meta.len())),
            _ => {}
        }
    }
}

/// Whether a bucket holds nothing.
pub fn is_empty(bucket: &Path) -> bool {
    list(bucket, "").is_empty()
}

/// Removes a bucket's directory. What cannot be removed stays, and is seen by the next bucket of that name.
pub fn remove_all(bucket: &Path) {
    if let Err(error) = std::fs::remove_dir_all(bucket)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(bucket = %bucket.display(), %error, "a bucket's directory could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_of(dir.path(), "a/b/c").unwrap();
        write(&file, b"x").unwrap();
        assert_eq!(list(dir.path(), "a/"), [("a/b/c".to_owned(), 1)]);
        remove(dir.path(), &file).unwrap();
        remove(dir.path(), &file).unwrap();
        assert!(is_empty(dir.path()) && !dir.path().join("a").exists() && dir.path().exists());
    }

    #[test]
    fn no_key_leaves_the_bucket() {
        for key in ["", "../x", "a/../x", "/etc", "a//b", "a/.", "a\\b"] {
            assert!(file_of(Path::new("/b"), key).is_err(), "{key}");
        }
    }
}
