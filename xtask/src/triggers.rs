//! Packages the triggers for Lambda: one `bootstrap` in one zip each.
//!
//! They are linked statically, so that the same zip runs here, on Amazon Linux
//! 2023 and on any other Linux, whichever C library it has.

use std::{fs::File, io::Write as _, path::Path};

use anyhow::Context as _;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::run::{cargo, heading, run};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const TARGET_DIR: &str = "target/lambda";
const NAMES: [&str; 3] = [
    "define-auth-challenge",
    "create-auth-challenge",
    "verify-auth-challenge",
];

/// Builds the three triggers and puts `NAME.zip` of each into `out_dir`.
pub(crate) fn package(out_dir: &Path) -> anyhow::Result<()> {
    heading("Building the triggers for Lambda");
    run(cargo()
        .args(["build", "--package", "triggers", "--bins"])
        .args(["--profile", "lambda", "--target", TARGET])
        .args(["--target-dir", TARGET_DIR])
        .env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    std::fs::create_dir_all(out_dir)?;
    for name in NAMES {
        let program = Path::new(TARGET_DIR).join(TARGET).join("lambda").join(name);
        let file = out_dir.join(format!("{name}.zip"));
        zip_bootstrap(&program, &file).with_context(|| format!("writing {}", file.display()))?;
        eprintln!("{}", file.display());
    }
    Ok(())
}

/// The same program gives the same bytes, so that `CodeSha256` tells whether anything changed.
fn zip_bootstrap(program: &Path, file: &Path) -> anyhow::Result<()> {
    let mut zip = ZipWriter::new(File::create(file)?);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    zip.start_file("bootstrap", options)?;
    zip.write_all(&std::fs::read(program)?)?;
    zip.finish()?;
    Ok(())
}
