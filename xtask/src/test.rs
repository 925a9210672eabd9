//! Every check there is, in one command, cheapest first.

use std::process::Command;

use crate::{
    openapi,
    run::{cargo, heading, run},
    services::{self, Postgres},
    triggers,
};

/// What to leave out.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Leave out the browser test
    #[arg(long)]
    no_browser: bool,
}

pub(crate) fn run_all(test: &Test) -> anyhow::Result<()> {
    let npm = |arguments: &[&str]| run(Command::new("npm").args(arguments));

    heading("Format");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    services::node_packages()?;
    services::openssl()?;
    npm(&["run", "--silent", "format:check"])?;

    heading("Lints");
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ]))?;

    heading("Browser SDK and example web app");
    npm(&["run", "--silent", "build", "--workspaces", "--if-present"])?;
    npm(&["test", "--silent", "--workspaces", "--if-present"])?;
    // What Claviger serves is committed, so that its build needs no Node.
    npm(&[
        "run",
        "--silent",
        "bundle:check",
        "--workspace",
        "sdks/browser",
    ])?;

    let postgres = Postgres::start()?;
    let aws = services::aws_cli()?;
    triggers::package("target/triggers".as_ref())?;

    heading("Unit and integration tests");
    // Programs that tests start as processes of their own.
    run(cargo().args(["build", "--workspace", "--bins"]))?;
    run(cargo()
        .args([
            "test",
            "--workspace",
            "--exclude",
            "acceptance",
            "--all-features",
        ])
        .env("CLAVIGER_TEST_POSTGRES", postgres.url()))?;

    for (name, url) in [
        ("SQLite", "sqlite".to_owned()),
        ("PostgreSQL", postgres.url()),
    ] {
        heading(&format!("Acceptance tests on {name}"));
        run(cargo()
            .args(["test", "--package", "acceptance"])
            .env("CLAVIGER_TEST_DATABASE", url)
            .env("CLAVIGER_TEST_AWS_CLI", &aws)
            .env("CLAVIGER_TEST_TRIGGERS", "target/triggers"))?;
    }

    openapi::check()?;

    if !test.no_browser {
        let chromium = services::chromium()?;
        for (script, subject) in [
            ("walk", "The guide in a real browser"),
            ("sdk", "The served browser SDK in a real browser"),
            ("published", "Passage's published client in a real browser"),
        ] {
            heading(subject);
            run(Command::new("npm")
                .args(["run", "--silent", script, "--workspace", "tests/browser"])
                .env("CHROMIUM", &chromium))?;
        }
    }
    heading("All checks passed");
    Ok(())
}
