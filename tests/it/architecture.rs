//! The house checks itself: which crate may use which, and what must stay out
//! of the pure rooms. The rules are those of ARCHITECTURE.md, "Arrows".

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// For each crate of ours, the crates of ours that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("crates/platform", &[]),
    ("crates/webauthn", &[]),
    ("crates/aws-protocol", &[]),
    ("crates/accounts", &["aws-protocol", "platform"]),
    ("crates/passkeys", &["platform", "webauthn"]),
    (
        "crates/functions",
        &["accounts", "aws-protocol", "platform"],
    ),
    (
        "crates/pools",
        &["accounts", "aws-protocol", "functions", "platform"],
    ),
    (
        "crates/claviger",
        &[
            "accounts",
            "functions",
            "passkeys",
            "platform",
            "pools",
            "triggers",
        ],
    ),
    ("sdks/rust", &[]),
    ("triggers", &["claviger-flex"]),
    ("example/server", &["claviger-flex"]),
    ("benches", &["webauthn"]),
    ("xtask", &[]),
];

/// Crates that bring clock, chance, I/O or a server into a room that must stay pure.
const IMPURE: &[&str] = &[
    "axum",
    "deadpool-postgres",
    "getrandom",
    "rand",
    "reqwest",
    "rusqlite",
    "tokio",
    "tokio-postgres",
    "tower-http",
];

#[test]
fn crates_use_only_those_below_them() {
    let ours: BTreeSet<&str> = ARROWS
        .iter()
        .map(|(folder, _)| match *folder {
            "sdks/rust" => "claviger-flex",
            "example/server" => "example-server",
            folder => folder.rsplit('/').next().unwrap_or(folder),
        })
        .collect();
    for (folder, allowed) in ARROWS {
        for dependency in dependencies(folder, "dependencies") {
            assert!(
                !ours.contains(dependency.as_str()) || allowed.contains(&dependency.as_str()),
                "{folder} may not use {dependency}; see ARCHITECTURE.md, \"Arrows\""
            );
        }
    }
}

#[test]
fn every_crate_has_its_arrows_listed() {
    let root = root();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root.join("crates"))
        .expect("the crates")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.extend(
        [
            "sdks/rust",
            "triggers",
            "example/server",
            "benches",
            "xtask",
        ]
        .map(|path| root.join(path)),
    );
    for folder in folders {
        let name = folder
            .strip_prefix(&root)
            .expect("a folder of the project")
            .display()
            .to_string();
        assert!(
            ARROWS.iter().any(|(listed, _)| *listed == name),
            "{name} is missing from the arrows"
        );
    }
}

#[test]
fn pure_crates_know_no_clock_chance_network_or_database() {
    for folder in ["crates/webauthn", "crates/aws-protocol"] {
        for dependency in dependencies(folder, "dependencies") {
            assert!(
                !IMPURE.contains(&dependency.as_str()),
                "{folder} is pure and may not use {dependency}"
            );
        }
    }
}

#[test]
fn the_web_framework_stays_in_the_http_rooms_and_sql_out_of_them() {
    for product in ["passkeys", "pools", "functions"] {
        let source = root().join("crates").join(product).join("src");
        for file in rust_files(&source) {
            let inside = file.strip_prefix(&source).expect("a source file");
            let is_http = inside.starts_with("http") || inside == Path::new("http.rs");
            let text = std::fs::read_to_string(&file).expect("a source file");
            if is_http {
                assert!(
                    !text.contains("tx.row") && !text.contains("tx.execute"),
                    "{product}/{}: SQL belongs to the noun's own file",
                    inside.display()
                );
            } else {
                assert!(
                    !text.contains("use axum") && !text.contains("axum::"),
                    "{product}/{}: the web framework stays under http",
                    inside.display()
                );
            }
        }
    }
}

#[test]
fn one_crypto_library_in_the_whole_server() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline"])
        .args([
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    let tree = String::from_utf8_lossy(&tree.stdout);
    let names: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.contains("aws-lc-rs"), "{tree}");
    for other in [
        "ring",
        "rsa",
        "openssl-sys",
        "native-tls",
        "p256",
        "ed25519-dalek",
    ] {
        assert!(
            !names.contains(other),
            "{other} came in; aws-lc-rs is the one crypto library"
        );
    }
}

fn dependencies(folder: &str, table: &str) -> Vec<String> {
    let manifest = root().join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    let manifest: toml::Table = text.parse().expect("the manifest parses");
    manifest[table]
        .as_table()
        .expect("a table")
        .keys()
        .cloned()
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the project")
        .to_owned()
}
