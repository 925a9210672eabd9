//! The Lambda-compatible function runner: functions are created, updated and invoked over Lambda's
//! own API, and run as processes of this host (lambda.md).
//!
//! [`Functions`] is the handle every door uses. The map:
//!
//! - `functions`, `packages`, `permissions`, `queue`, `logs`: nouns with their operations and SQL.
//! - `invocations`: one invocation, and the way from a caller to an instance.
//! - `fleet`, `runner`, `sandbox`: all instances, the life of one, its process.
//! - `exchange`: where a runtime and the server meet; `http/runtime_api` is the HTTP before it.
//! - `instances`, `names`, `runtimes`: pure decisions, names and variables.
//! - `http`: Lambda's API. `refusal`: every way this product says no.
//!
//! What deliberately is not here: user pools and their triggers, which only use the handle.

#![forbid(unsafe_code)]

mod exchange;
mod fleet;
mod functions;
mod http;
mod instances;
mod invocations;
mod logs;
mod names;
mod packages;
mod permissions;
mod queue;
mod refusal;
mod runner;
mod runtimes;
mod sandbox;

use std::{fmt, path::PathBuf, sync::Arc};

use accounts::Accounts;
use platform::{Fault, Platform};
use tokio::sync::Notify;

pub use functions::{CodeUpdate, ConfigurationUpdate, Function, NewFunction};
pub use invocations::Answer;
pub use logs::{LogCursor, LogEntry};
pub use permissions::Permission;
pub use refusal::{Error, InvokeError, Refusal};
pub use runtimes::Environment;

/// What an operator decides about functions. Not `Debug`: a variable may be a secret.
#[derive(Clone)]
pub struct Settings {
    /// `http://host:port` of this server as functions reach it.
    pub public_url: String,
    /// In ARNs and in the functions' environment, such as `us-east-1`.
    pub region: String,
    /// Variables of every function whose own configuration does not set them.
    pub environment: Vec<(String, String)>,
    /// Programs that functions start by those variables. Instances get users of their own only if
    /// such a user can reach them.
    pub programs: Vec<PathBuf>,
    /// For unpacked packages and temporary files; emptied at the start, held against other servers.
    pub work_dir: PathBuf,
    /// Node.js, when it is not `node` on the server's `PATH`.
    pub node: Option<PathBuf>,
    /// How many instances may run at once on this node, of all functions together.
    pub instances_max: usize,
}

/// The handle on functions. Cheap to clone.
#[derive(Clone)]
pub struct Functions {
    inner: Arc<Inner>,
}

struct Inner {
    platform: Platform,
    accounts: Accounts,
    settings: Settings,
    packages: packages::Packages,
    sandbox: sandbox::Sandbox,
    fleet: Arc<fleet::Fleet>,
    logs: logs::LogWriter,
    queue_changed: Notify,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Functions")
    }
}

impl Functions {
    /// Prepares the working directory, ends instances that an earlier server left in it, and starts
    /// to work off asynchronous invocations. Within a tokio runtime.
    pub fn new(
        platform: Platform,
        accounts: Accounts,
        settings: Settings,
    ) -> Result<Functions, Fault> {
        let sandbox = sandbox::Sandbox::new(
            &settings.work_dir,
            settings.node.clone(),
            settings.programs.clone(),
        )?;
        let functions = Functions {
            inner: Arc::new(Inner {
                packages: packages::Packages::new(sandbox.packages_dir()),
                fleet: fleet::Fleet::new(settings.instances_max),
                logs: logs::LogWriter::start(platform.clone()),
                queue_changed: Notify::new(),
                platform,
                accounts,
                settings,
                sandbox,
            }),
        };
        tokio::spawn(functions.clone().work_off_queue());
        // Found out now, so that the first invocation does not wait for it.
        let asking = functions.clone();
        tokio::spawn(async move {
            asking.inner.sandbox.facts().await;
        });
        Ok(functions)
    }

    /// Kills every instance, writes the last logs and lets go of the working directory. What was
    /// running is answered with a refusal; asynchronous invocations stay in the queue.
    pub async fn shutdown(&self) {
        self.inner.fleet.close().await;
        self.inner.logs.flush().await;
        self.inner.sandbox.unlock();
    }
}

/// `YYYY-MM-DDThh:mm:ss.mmmZ`.
fn iso_time(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}
