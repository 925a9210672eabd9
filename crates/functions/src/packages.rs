//! A package: the zip a function was uploaded as. Checked and unpacked once per node into a folder
//! named by its hash, and kept in the database, from where a node that lacks it takes it.
//!
//! Checks (lambda.md §12): no absolute path, no `..`, no link that leaves the package, no special
//! file, at most 100,000 entries, and at most 250 MB, counted while unpacking because the sizes in
//! the zip may lie. Nothing is left behind of a zip that is refused.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Cursor, Read, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest;
use platform::{Db, Fault, Tx, values};
use zip::ZipArchive;

use crate::{Error, Refusal};

const UNPACKED_BYTES_MAX: u64 = 262_144_000;
const ENTRIES_MAX: usize = 100_000;
const ZIP_BYTES_MAX: usize = 50 * 1024 * 1024;
const LINK_BYTES_MAX: u64 = 4096;

const FILE_TYPE: u32 = 0o170_000;
const SYMLINK: u32 = 0o120_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// A checked zip.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// In hexadecimal.
    pub(crate) sha256: String,
    zip: Arc<Vec<u8>>,
}

impl Package {
    pub(crate) fn size_bytes(&self) -> i64 {
        i64::try_from(self.zip.len()).unwrap_or(i64::MAX)
    }

    /// Keeps the zip. Touches the row of a package that is there already, so that it is not
    /// forgotten before the function that is about to use it is committed.
    pub(crate) async fn store(&self, tx: &mut Tx) -> Result<(), Fault> {
        tx.execute(
            "INSERT INTO functions_packages (sha256, zip, size_bytes) VALUES ($1, $2, $3)
             ON CONFLICT (sha256) DO UPDATE SET size_bytes = excluded.size_bytes",
            values![&self.sha256, self.zip.as_slice(), self.size_bytes()],
        )
        .await?;
        Ok(())
    }

    /// Deletes the zip if no function uses it anymore.
    pub(crate) async fn forget_unused(tx: &mut Tx, sha256: &str) -> Result<(), Fault> {
        tx.execute(
            "DELETE FROM functions_packages WHERE sha256 = $1 AND NOT EXISTS (
                SELECT 1 FROM functions_functions WHERE package_sha256 = $1
             )",
            values![sha256],
        )
        .await?;
        Ok(())
    }
}

/// The zip of this hash, if a function uses it.
pub(crate) async fn find_zip(db: &Db, sha256: &str) -> Result<Option<Vec<u8>>, Fault> {
    let sha256 = sha256.to_owned();
    db.read(async move |tx| {
        tx.row(
            "SELECT zip FROM functions_packages WHERE sha256 = $1",
            values![sha256],
        )
        .await?
        .map(|row| row.get("zip"))
        .transpose()
    })
    .await
}

/// The unpacked packages of this node.
#[derive(Debug)]
pub(crate) struct Packages {
    dir: PathBuf,
}

impl Packages {
    /// `dir` must exist and be empty: what an earlier run left may have been cut off by a power
    /// failure, and is unpacked again when it is needed.
    pub(crate) fn new(dir: PathBuf) -> Packages {
        Packages { dir }
    }

    /// Checks the zip by unpacking it, so that it is ready to run.
    pub(crate) async fn unpack(&self, zip: Vec<u8>) -> Result<Package, Error> {
        let dir = self.dir.clone();
        tokio::task::spawn_blocking(move || {
            let package = Package {
                sha256: hex::encode(digest::digest(&digest::SHA256, &zip)),
                zip: Arc::new(zip),
            };
            let target = dir.join(&package.sha256);
            if !target.exists() {
                unpack_to(&dir, &target, &package.zip)?;
            }
            Ok(package)
        })
        .await
        .map_err(|error| Fault::while_doing("unpacking a package", error))?
    }

    /// The folder of an unpacked package.
    pub(crate) async fn task_root(&self, db: &Db, sha256: &str) -> Result<PathBuf, Fault> {
        let target = self.dir.join(sha256);
        if target.exists() {
            return Ok(target);
        }
        let zip = find_zip(db, sha256)
            .await?
            .ok_or_else(|| Fault::new("the package of a function is not stored"))?;
        match self.unpack(zip).await {
            Ok(package) if package.sha256 == sha256 => Ok(target),
            Ok(_) => Err(Fault::new("a stored package is damaged")),
            Err(Error::Refusal(refusal)) => {
                Err(Fault::while_doing("unpacking a stored package", refusal))
            }
            Err(Error::Fault(fault)) => Err(fault),
        }
    }
}

/// Unpacks beside the target and moves the whole into its place: nobody sees half a package.
fn unpack_to(dir: &Path, target: &Path, zip: &[u8]) -> Result<(), Error> {
    let disk = |error| Fault::while_doing("unpacking a package", error);
    let unpacking = tempfile::Builder::new()
        .prefix("unpacking-")
        .tempdir_in(dir)
        .map_err(disk)?;
    unpack_into(unpacking.path(), zip)?;
    // Whoever runs the function reads it; who may look for it is decided by the folder above.
    fs::set_permissions(unpacking.path(), Permissions::from_mode(0o755)).map_err(disk)?;
    match fs::rename(unpacking.path(), target) {
        Ok(()) => {
            // Moved away, so there is nothing to remove.
            let _ = unpacking.keep();
            Ok(())
        }
        // Another upload of the same zip was first.
        Err(_) if target.exists() => Ok(()),
        Err(error) => Err(disk(error).into()),
    }
}

fn unpack_into(root: &Path, zip: &[u8]) -> Result<(), Error> {
    if zip.is_empty() {
        return Err(refused("Uploaded file must be a non-empty zip"));
    }
    if zip.len() > ZIP_BYTES_MAX {
        return Err(refused(&format!(
            "Zipped size must be smaller than {ZIP_BYTES_MAX} bytes"
        )));
    }
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|_| unreadable())?;
    if archive.is_empty() {
        return Err(refused("Uploaded file must be a non-empty zip"));
    }
    if archive.len() > ENTRIES_MAX {
        return Err(refused(&format!(
            "The zip must hold at most {ENTRIES_MAX} files"
        )));
    }
    let mut left_bytes = UNPACKED_BYTES_MAX;
    // Links come last, so that no file is ever written through one.
    let mut links: Vec<(PathBuf, PathBuf)> = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|_| unreadable())?;
        let name = entry.name().map_err(|_| unreadable())?.into_owned();
        let path = inner_path(&name).ok_or_else(|| {
            refused(&format!(
                "The zip holds a path that leaves the package: {name:?}"
            ))
        })?;
        let mode = entry.unix_mode();
        match mode.map_or(0, |mode| mode & FILE_TYPE) {
            _ if entry.is_dir() => create_dir(&root.join(path))?,
            0 | REGULAR => {
                if path.as_os_str().is_empty() {
                    return Err(unreadable());
                }
                let mode = readable_mode(mode, &path);
                let mut file = create_file(&root.join(path), mode)?;
                // One byte more than is left tells an overrun from a perfect fit.
                let copied = copy(&mut (&mut entry).take(left_bytes + 1), &mut file)?;
                left_bytes = left_bytes.checked_sub(copied).ok_or_else(|| {
                    refused(&format!(
                        "Unzipped size must be smaller than {UNPACKED_BYTES_MAX} bytes"
                    ))
                })?;
            }
            SYMLINK => {
                let mut target = String::new();
                (&mut entry)
                    .take(LINK_BYTES_MAX)
                    .read_to_string(&mut target)
                    .map_err(|_| unreadable())?;
                let target = PathBuf::from(target);
                if !stays_inside(&path, &target) {
                    return Err(refused(&format!(
                        "The zip holds a link that leaves the package: {name:?}"
                    )));
                }
                links.push((path, target));
            }
            DIRECTORY => create_dir(&root.join(path))?,
            _ => {
                return Err(refused(&format!(
                    "The zip holds something other than files, folders and links: {name:?}"
                )));
            }
        }
    }
    for (path, target) in links {
        let path = root.join(path);
        create_dir(path.parent().unwrap_or(root))?;
        symlink(target, path).map_err(disk_or_unreadable)?;
    }
    Ok(())
}

/// The entry's path below the package, or nothing when it leaves it. Back slashes are separators:
/// zips are made on Windows too.
fn inner_path(name: &str) -> Option<PathBuf> {
    if name.contains('\0') || name.starts_with(['/', '\\']) {
        return None;
    }
    let mut path = PathBuf::new();
    for part in name.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => return None,
            // A drive letter.
            _ if path.as_os_str().is_empty() && part.ends_with(':') => return None,
            _ => path.push(part),
        }
    }
    Some(path)
}

/// Whether a link at `path` to `target` stays within the package. Only leading `..` are allowed:
/// they start from a real folder, while `..` after a name could follow another link.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    let mut is_below_a_name = false;
    !target.as_os_str().is_empty()
        && target.components().all(|component| match component {
            Component::CurDir => true,
            Component::ParentDir if !is_below_a_name && depth > 0 => {
                depth -= 1;
                true
            }
            Component::Normal(_) => {
                is_below_a_name = true;
                true
            }
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => false,
        })
}

/// The file's mode: readable by all, executable by all if by anybody, writable by none, because an
/// instance may run as another user and its package is read-only. A zip without modes (made on
/// Windows) makes `bootstrap` executable.
fn readable_mode(mode: Option<u32>, path: &Path) -> u32 {
    let is_executable = match mode {
        Some(mode) => mode & 0o111 != 0,
        None => path == Path::new("bootstrap"),
    };
    if is_executable { 0o555 } else { 0o444 }
}

fn create_dir(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(disk_or_unreadable)
}

fn create_file(path: &Path, mode: u32) -> Result<File, Error> {
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(disk_or_unreadable)?;
    // Past the umask of the server.
    file.set_permissions(Permissions::from_mode(mode))
        .map_err(disk_or_unreadable)?;
    Ok(file)
}

fn copy(from: &mut impl Read, to: &mut File) -> Result<u64, Error> {
    let mut buffer = vec![0; 64 * 1024];
    let mut copied = 0;
    loop {
        // Reading fails when the zip is damaged, writing when the disk is.
        let count = from.read(&mut buffer).map_err(|_| unreadable())?;
        if count == 0 {
            return Ok(copied);
        }
        to.write_all(&buffer[..count])
            .map_err(|error| Fault::while_doing("unpacking a package", error))?;
        copied += count as u64;
    }
}

/// A file where a folder should be, twice the same name, a name that is too long: the zip's fault.
fn disk_or_unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::InvalidInput => unreadable(),
        _ => Fault::while_doing("unpacking a package", error).into(),
    }
}

fn unreadable() -> Error {
    refused("Could not unzip uploaded file. Please check your file, then try to upload again.")
}

fn refused(message: &str) -> Error {
    Refusal::InvalidParameter(message.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn zip_of(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        fill(&mut writer);
        writer.finish().unwrap().into_inner()
    }

    fn file(name: &str, mode: u32) -> Vec<u8> {
        zip_of(|zip| {
            let options = SimpleFileOptions::default().unix_permissions(mode);
            zip.start_file(name, options).unwrap();
            zip.write_all(b"content").unwrap();
        })
    }

    fn link(name: &str, target: &str) -> Vec<u8> {
        zip_of(|zip| {
            zip.add_symlink(name, target, SimpleFileOptions::default())
                .unwrap();
        })
    }

    async fn check(zip: Vec<u8>) -> (tempfile::TempDir, Result<PathBuf, String>) {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages::new(dir.path().to_owned());
        let outcome = match packages.unpack(zip).await {
            Ok(package) => Ok(dir.path().join(package.sha256)),
            Err(error) => Err(error.to_string()),
        };
        (dir, outcome)
    }

    #[tokio::test]
    async fn files_are_unpacked_readable_and_never_writable() {
        for (mode, expected) in [
            (0o644, 0o444),
            (0o600, 0o444),
            (0o755, 0o555),
            (0o700, 0o555),
            (0o4777, 0o555),
        ] {
            let (_dir, root) = check(file("a/b.txt", mode)).await;
            let path = root.unwrap().join("a/b.txt");
            assert_eq!(fs::read(&path).unwrap(), b"content");
            let kept = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(kept, expected, "{mode:o}");
        }
    }

    #[tokio::test]
    async fn what_would_leave_the_package_is_refused_and_leaves_nothing() {
        for (name, zip) in [
            ("slip", file("../evil", 0o644)),
            ("slip within", file("a/../../evil", 0o644)),
            ("absolute", file("/etc/evil", 0o644)),
            ("slip by back slash", file("..\\evil", 0o644)),
            ("drive", file("C:\\evil", 0o644)),
            ("absolute link", link("l", "/etc/passwd")),
            ("link above", link("l", "../x")),
            ("link above from below", link("a/l", "../../x")),
            ("link through a name", link("a/l", "b/../x")),
            (
                "file through a link",
                zip_of(|zip| {
                    let options = SimpleFileOptions::default();
                    zip.add_symlink("l", "sub", options).unwrap();
                    zip.start_file("l/evil", options).unwrap();
                }),
            ),
            ("not a zip", b"PK nothing".to_vec()),
            ("empty upload", Vec::new()),
            ("empty zip", zip_of(|_| {})),
            ("cut off", {
                let mut zip = file("a", 0o644);
                zip.truncate(zip.len() / 2);
                zip
            }),
        ] {
            let (dir, outcome) = check(zip).await;
            assert!(outcome.is_err(), "{name}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{name}");
        }
    }

    #[tokio::test]
    async fn a_link_within_the_package_works() {
        let zip = zip_of(|zip| {
            let options = SimpleFileOptions::default();
            zip.add_symlink("bin/tool", "../lib/tool.js", options)
                .unwrap();
            zip.start_file("lib/tool.js", options).unwrap();
            zip.write_all(b"tool").unwrap();
        });
        let (_dir, root) = check(zip).await;
        assert_eq!(fs::read(root.unwrap().join("bin/tool")).unwrap(), b"tool");
    }

    #[tokio::test]
    async fn a_bomb_is_counted_while_it_is_unpacked() {
        let megabyte = vec![0; 1024 * 1024];
        let of_size = |megabytes: usize| {
            zip_of(|zip| {
                zip.start_file("zeros", SimpleFileOptions::default())
                    .unwrap();
                for _ in 0..megabytes {
                    zip.write_all(&megabyte).unwrap();
                }
            })
        };
        let (dir, outcome) = check(of_size(251)).await;
        assert_eq!(
            outcome.unwrap_err(),
            "Unzipped size must be smaller than 262144000 bytes"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let (_dir, outcome) = check(of_size(250)).await;
        assert!(outcome.is_ok());
    }

    #[tokio::test]
    async fn a_damaged_content_is_refused() {
        let mut zip = zip_of(|zip| {
            let stored =
                SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file("a", stored).unwrap();
            zip.write_all(b"content that will be damaged").unwrap();
        });
        let at = zip
            .windows(7)
            .position(|window| window == b"content")
            .unwrap();
        zip[at] ^= 1;
        let (_dir, outcome) = check(zip).await;
        assert!(outcome.unwrap_err().starts_with("Could not unzip"));
    }

    #[tokio::test]
    async fn the_same_zip_at_once_is_unpacked_for_both() {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages::new(dir.path().to_owned());
        let zip = file("a", 0o644);
        let (one, other) = tokio::join!(packages.unpack(zip.clone()), packages.unpack(zip.clone()));
        assert_eq!(one.unwrap().sha256, other.unwrap().sha256);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn no_name_reaches_outside(name in "[./\\\\a:]{0,12}") {
            if let Some(path) = inner_path(&name) {
                proptest::prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
