//! Every input that fuzzers found worth keeping is run again, on the Rust that everything else is built with.

use std::{collections::BTreeSet, fs, path::Path};

use fuzz_targets::TARGETS;

#[test]
fn every_kept_input_is_taken_without_a_fault() {
    let corpus = fuzz().join("corpus");
    for target in TARGETS {
        let mut accepted = 0;
        for entry in fs::read_dir(corpus.join(target.name)).expect("a corpus of each target") {
            let file = entry.expect("an entry").path();
            let input = fs::read(&file).expect("an input");
            let verdict = std::panic::catch_unwind(|| (target.run)(&input));
            let verdict = verdict.unwrap_or_else(|_| panic!("the input is {}", file.display()));
            accepted += u32::from(verdict);
        }
        // Else the inputs got stuck at the door, and prove nothing of what is behind it.
        assert!(accepted > 0, "no input of {} is accepted", target.name);
    }
}

#[test]
fn every_target_has_a_fuzzer_and_every_fuzzer_a_target() {
    let targets: BTreeSet<String> = TARGETS.map(|target| target.name.to_owned()).into();
    let fuzzers = fs::read_dir(fuzz().join("fuzz_targets")).expect("the fuzzers");
    let fuzzers: BTreeSet<String> = fuzzers
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(fuzzers, targets);
}

fn fuzz() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
