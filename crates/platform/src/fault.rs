//! Our own failures, as opposed to a caller's: they carry their cause for the
//! log and nothing for the caller.

use std::{error::Error, fmt};

/// A failure of ours: the database, the disk, a broken invariant.
///
/// It is logged once, at the edge, with its chain of causes; a caller only
/// learns that something failed. The single type that `?` turns a driver's
/// error into.
pub struct Fault {
    doing: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault without a cause of its own; `what` says what is wrong.
    pub fn new(what: impl Into<String>) -> Fault {
        Fault {
            doing: what.into(),
            cause: None,
        }
    }

    /// A fault while `doing` something, with its cause.
    pub fn while_doing(
        doing: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Fault {
        Fault {
            doing: doing.into(),
            cause: Some(cause.into()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({self})")
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| cause.as_ref() as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_tells_its_whole_chain() {
        let inner = Fault::new("disk is full");
        let outer = Fault::while_doing("committing", inner);
        assert_eq!(outer.to_string(), "committing: disk is full");
    }
}
