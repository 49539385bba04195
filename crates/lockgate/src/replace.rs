//! Replaces a file at once: whoever reads it, also after a crash, finds what was there or all of what is new.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown},
    path::Path,
};

/// Puts a file where one may be. It belongs to who `like` belongs to, with the same mode; without, its owner alone may read it.
///
/// A link is replaced itself. What is written meanwhile has a name that nobody can foresee, so that no link and no file of another can be in its place.
pub(crate) fn file(path: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut partial = tempfile::Builder::new()
        .prefix(".lockgate-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    partial.write_all(text.as_bytes())?;
    if let Some(like) = like {
        let made = partial.as_file().metadata()?;
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            fchown(partial.as_file(), Some(like.uid()), Some(like.gid()))?;
        }
        // Behind the change of the owner, which may take bits away.
        partial.as_file().set_permissions(like.permissions())?;
    }
    partial.as_file().sync_all()?;
    partial.persist(path)?;
    File::open(directory)?.sync_all()
}

/// Puts another text into a file that is there. It is replaced, unless only its bytes can be written: it is mounted by itself,
/// belongs to another user, or its directory may not be written to.
pub(crate) fn text(path: &Path, text: &str) -> io::Result<()> {
    // What a link leads to, not the link.
    let path = &fs::canonicalize(path)?;
    let about = fs::metadata(path)?;
    match file(path, text, Some(&about)) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ResourceBusy
                    | io::ErrorKind::CrossesDevices
            ) =>
        {
            fs::write(path, text)
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("there").permissions().mode() & 0o777
    }

    /// What is in a directory, by name.
    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("readable");
        let mut names: Vec<_> = entries
            .map(|entry| {
                let name = entry.expect("readable").file_name();
                name.to_string_lossy().into_owned()
            })
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_new_file_is_its_owners_alone_whatever_lies_beside_it() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("out");
        let beside = directory.path().join("out.partial");
        fs::write(&beside, "another's").expect("written");
        fs::write(&path, "open to all").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("changed");
        file(&path, "secret", None).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "secret");
        assert_eq!(fs::read_to_string(&beside).expect("there"), "another's");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(directory.path()), ["out", "out.partial"]);
    }

    #[test]
    fn another_text_keeps_the_mode_and_the_link() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("config.yaml");
        let link = directory.path().join("link");
        fs::write(&path, "old").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("changed");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        let before = path.metadata().expect("there").ino();
        text(&link, "new").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "new");
        assert_eq!(mode(&path), 0o640);
        assert!(link.is_symlink());
        assert_ne!(path.metadata().expect("there").ino(), before, "replaced");
        assert_eq!(names(directory.path()), ["config.yaml", "link"]);
    }

    #[test]
    fn a_file_that_is_not_there_has_no_text_to_replace() {
        let directory = tempfile::tempdir().expect("directory");
        text(&directory.path().join("none"), "new").expect_err("not there");
        assert!(names(directory.path()).is_empty());
    }
}
