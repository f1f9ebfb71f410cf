//! Checking that a registry served what was pinned.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// SHA-256 of a file, in lower-case hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut buffer = vec![0; 1 << 16];
    let mut hasher = Sha256::new();
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Refuses a file that is not the pinned one, before anything in it is unpacked or run.
pub fn verify(path: &Path, expected: &str) -> Result<()> {
    let actual = sha256(path)?;
    if actual != expected {
        bail!("{} is not the pinned file: expected SHA-256 {expected}, got {actual}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, example B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_pinned_file_passes_and_another_is_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("file");
        std::fs::write(&path, "abc").expect("write");
        verify(&path, ABC).expect("matches");

        std::fs::write(&path, "abd").expect("write");
        let error = verify(&path, ABC).expect_err("differs").to_string();
        assert!(error.contains(ABC) && error.contains("got "), "{error}");
    }

    #[test]
    fn files_longer_than_the_buffer_are_read_whole() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("file");
        std::fs::write(&path, vec![b'a'; 1_000_000]).expect("write");
        // FIPS 180-2, example B.3.
        assert_eq!(
            sha256(&path).expect("hash"),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
    }
}
