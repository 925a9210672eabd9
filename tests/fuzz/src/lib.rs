//! What is fuzzed: every parser of bytes that strangers send. `fuzz/` wraps each target for libFuzzer and keeps what
//! it found in `fuzz/corpus`; the test of this crate runs all of that again, so that what was cured stays cured.

#![forbid(unsafe_code)]

mod aws;

/// Something that takes any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Asserts what holds of every input, and says whether this one was accepted.
    pub run: fn(&[u8]) -> bool,
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    Target {
        name: "registration",
        run: webauthn::fuzzing::registration,
    },
    Target {
        name: "authentication",
        run: webauthn::fuzzing::authentication,
    },
    Target {
        name: "client_data",
        run: webauthn::fuzzing::client_data,
    },
    Target {
        name: "keys",
        run: webauthn::fuzzing::keys,
    },
    Target {
        name: "queries",
        run: passkeys::fuzzing::queries,
    },
    Target {
        name: "requests",
        run: passkeys::fuzzing::requests,
    },
    Target {
        name: "imports",
        run: passkeys::fuzzing::imports,
    },
    Target {
        name: "aws",
        run: aws::aws,
    },
];

/// Runs the target of this name.
///
/// # Panics
/// When there is none, and when the target finds a fault.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(input);
}
