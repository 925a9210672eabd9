//! What fuzzers feed (feature `fuzz`): for each parser of a stranger's bytes one
//! function that takes any bytes, asserts what must hold of every input, and says
//! whether the input was accepted. The functions stand beside their parsers.

pub use crate::{
    http::fuzzing::{queries, requests},
    import::fuzzing::imports,
};
