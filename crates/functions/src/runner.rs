//! The life of one instance: a process with a Runtime API of its own, one invocation at a time,
//! until it is retired (lambda.md §7.1).
//!
//! Nothing is polled: the runtime's calls, the process's output and end, the next job and the
//! deadlines are all waited for at once.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use platform::Fault;
use secrecy::ExposeSecret as _;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    Error, Functions, Refusal,
    exchange::{Dispatch, Exchange, Signal},
    fleet::Fleet,
    functions::{Credentials, Function},
    http::runtime_api::{self, Owner},
    instances,
    invocations::{Answer, Failure, Invocation, Job},
    logs::{InvocationLog, NewLogEntry, Report},
    names,
    runtimes::{self, InstanceFacts, Runtime},
    sandbox::{Plan, Process},
};

/// How long a process may take until it asks for its first invocation.
const INIT_MAX: Duration = Duration::from_secs(10);

/// All that is needed to start instances of one revision of a function.
pub(crate) struct Deployment {
    functions: Functions,
    function: Function,
    runtime: Runtime,
    program: PathBuf,
    arguments: Vec<OsString>,
    task_root: PathBuf,
    credentials: Credentials,
}

impl Functions {
    /// Gets a function ready to be started on this node.
    pub(crate) async fn deployment(&self, function: &Function) -> Result<Deployment, Error> {
        let inner = &self.inner;
        let runtime = Runtime::parse(&function.runtime)?;
        let task_root = inner
            .packages
            .task_root(&inner.platform.db, &function.package_sha256)
            .await?;
        let (program, arguments) = match runtime {
            Runtime::Provided => (task_root.join("bootstrap"), Vec::new()),
            Runtime::Node(wanted_major) => {
                let node = inner.sandbox.facts().await.node.as_ref().ok_or_else(|| {
                    Refusal::RuntimeUnavailable(format!(
                        "The runtime {} needs Node.js on this server. Install Node.js \
                         {wanted_major} so that `node` is on the server's PATH, or name its path \
                         in the server's configuration, and start the server again.",
                        function.runtime
                    ))
                })?;
                if node.major != wanted_major {
                    tracing::warn!(
                        function = %function.name,
                        runtime = %function.runtime,
                        node_major = node.major,
                        "the host's Node.js has another major version than the runtime"
                    );
                }
                // The heap's own limit gives a readable end before the process's limit does.
                let heap = format!("--max-old-space-size={}", function.memory_mb);
                (
                    node.path.clone(),
                    vec![heap.into(), inner.sandbox.bootstrap_path().into()],
                )
            }
        };
        Ok(Deployment {
            functions: self.clone(),
            function: function.clone(),
            runtime,
            program,
            arguments,
            task_root,
            credentials: self.credentials(function).await?,
        })
    }
}

/// Lives until it is idle for too long, its jobs' sender is gone, or the server closes.
pub(crate) async fn live(
    id: u64,
    fleet: Arc<Fleet>,
    deployment: Deployment,
    mut jobs: mpsc::Receiver<Job>,
    is_closing: watch::Receiver<bool>,
) {
    // Also when this life ends by a panic, no place may stay taken.
    let _place = Place {
        id,
        fleet: fleet.clone(),
    };
    let clock = deployment.functions.inner.platform.clock.clone();
    let mut instance = RunningInstance::new(id, deployment, is_closing);
    loop {
        let job = match instance.wait_for_job(&mut jobs).await {
            Idle::Job(job) => job,
            Idle::NoJobs => break,
            Idle::TooLong | Idle::Exited => {
                if fleet.remove_if_idle(id) {
                    break;
                }
                continue;
            }
        };
        let answer = instance.serve(&job.invocation).await;
        // Free before the caller knows, who may come again at once.
        let goes_on = fleet.release(id, clock.now_ms());
        // The caller may have gone away.
        let _ = job.reply.send(answer);
        if !goes_on {
            break;
        }
    }
    instance.end_process().await;
}

struct Place {
    id: u64,
    fleet: Arc<Fleet>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.fleet.remove(self.id);
    }
}

enum Idle {
    Job(Job),
    /// Nobody can send jobs anymore.
    NoJobs,
    TooLong,
    /// The process ended by itself.
    Exited,
}

struct RunningInstance {
    id: u64,
    deployment: Deployment,
    log: InvocationLog,
    log_stream: Arc<str>,
    function_id: Arc<str>,
    running: Option<Running>,
    is_closing: watch::Receiver<bool>,
}

/// A started process with what belongs to it.
struct Running {
    process: Process,
    exchange: Arc<Exchange>,
    signals: mpsc::UnboundedReceiver<Signal>,
    runtime_api: JoinHandle<()>,
    started_at: Instant,
    /// It has been given an invocation before.
    is_warm: bool,
    _temporary_dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runtime_api.abort();
    }
}

/// What happens while an instance is waited for.
enum Happening {
    Signal(Signal),
    Exited(ExitStatus),
    TimeIsUp,
    Closing,
}

/// How an invocation ended: `Err` is not the function's doing.
type Outcome = Result<Result<bytes::Bytes, Failure>, Error>;

impl RunningInstance {
    fn new(id: u64, deployment: Deployment, is_closing: watch::Receiver<bool>) -> RunningInstance {
        let platform = &deployment.functions.inner.platform;
        RunningInstance {
            id,
            log: InvocationLog::new(&deployment.function.name),
            log_stream: log_stream(
                platform.clock.now_ms(),
                &hex::encode(platform.entropy.bytes::<16>()),
            )
            .into(),
            function_id: deployment.function.id.as_str().into(),
            running: None,
            is_closing,
            deployment,
        }
    }

    async fn wait_for_job(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Idle {
        let too_long = Instant::now() + instances::IDLE_MAX;
        loop {
            let Some(running) = &mut self.running else {
                return match jobs.recv().await {
                    Some(job) => Idle::Job(job),
                    None => Idle::NoJobs,
                };
            };
            tokio::select! {
                biased;
                job = jobs.recv() => return job.map_or(Idle::NoJobs, Idle::Job),
                () = tokio::time::sleep_until(too_long) => return Idle::TooLong,
                exit = running.process.output_or_exit() => {
                    running.process.read_output(|printed| self.log.push(printed));
                    if exit.is_some() {
                        self.end_process().await;
                        return Idle::Exited;
                    }
                }
            }
        }
    }

    /// One invocation, from `START` to `REPORT`.
    async fn serve(&mut self, invocation: &Arc<Invocation>) -> Result<Answer, Error> {
        self.log.start(&invocation.id);
        let mut times = Times::default();
        let outcome = self.run(invocation, &mut times).await?;
        let peak_memory_mb = times.peak_memory_mb;
        let memory_mb = self.deployment.function.memory_mb;
        if let Err(failure) = &outcome {
            self.log_failure(failure, &invocation.id);
        }
        self.log.end(&Report {
            request_id: &invocation.id,
            duration_ms: milliseconds(times.invoked),
            memory_mb,
            peak_memory_mb,
            init_ms: times.init.map(milliseconds),
        });
        let log_tail = self.log.tail();
        let is_error = outcome.is_err();
        let text = self.log.take();
        self.deployment.functions.inner.logs.write(NewLogEntry {
            function_id: self.function_id.clone(),
            request_id: invocation.id.clone(),
            log_stream: self.log_stream.clone(),
            is_error,
            text,
        });
        Ok(Answer {
            payload: match outcome {
                Ok(payload) => payload.to_vec(),
                Err(failure) => failure.body(&invocation.id),
            },
            is_error,
            executed_version: names::LATEST.into(),
            log_tail,
        })
    }

    async fn run(&mut self, invocation: &Arc<Invocation>, times: &mut Times) -> Outcome {
        let timeout_s = self.deployment.function.timeout_s;
        let timeout = Duration::from_secs(u64::try_from(timeout_s).unwrap_or(1));
        let timed_out = Failure::TimedOut { timeout_s };
        let mut is_second_init = false;
        let mut deadline = None;
        // Until the runtime has taken the invocation.
        let (invoked_at, deadline) = loop {
            // One that died while it was idle would take the invocation with it.
            if self
                .running
                .as_mut()
                .is_some_and(|running| running.is_warm && running.process.has_ended())
            {
                self.end_process().await;
            }
            let (is_warm, started_at) = match &self.running {
                Some(running) => (running.is_warm, running.started_at),
                None => match self.start().await? {
                    Ok(()) => (false, Instant::now()),
                    Err(failure) => return Ok(Err(failure)),
                },
            };
            // An initialization that took too long runs again under the function's own time.
            let limit = if is_warm || is_second_init {
                *deadline.get_or_insert_with(|| Instant::now() + timeout)
            } else {
                started_at + INIT_MAX
            };
            if self.offer(invocation, timeout) {
                if !is_warm {
                    times.init = Some(started_at.elapsed());
                }
                let now = Instant::now();
                break (now, deadline.unwrap_or(now + timeout));
            }
            match self.next_happening(limit).await {
                Happening::Signal(Signal::Ready | Signal::Answered(_)) => {}
                Happening::Signal(Signal::InitFailed(body)) => {
                    self.read_peak_memory(times);
                    self.end_process().await;
                    return Ok(Err(Failure::Reported(body)));
                }
                Happening::Exited(status) => {
                    self.end_process().await;
                    // One that ended after its last answer owes nothing: a new one takes over.
                    if !is_warm {
                        return Ok(Err(Failure::Exited(status)));
                    }
                }
                Happening::TimeIsUp if is_warm || is_second_init => {
                    self.end_process().await;
                    times.invoked = timeout;
                    return Ok(Err(timed_out));
                }
                Happening::TimeIsUp => {
                    self.log.failure(&format!(
                        "INIT_REPORT Init Duration: {:.2} ms\tPhase: init\tStatus: timeout",
                        milliseconds(INIT_MAX)
                    ));
                    self.end_process().await;
                    is_second_init = true;
                }
                Happening::Closing => {
                    self.end_process().await;
                    return Err(Refusal::ShuttingDown.into());
                }
            }
        };
        loop {
            let happening = self.next_happening(deadline).await;
            times.invoked = invoked_at.elapsed();
            self.read_peak_memory(times);
            match happening {
                Happening::Signal(Signal::Answered(outcome)) => {
                    // What it printed before it answered is in the pipe by now.
                    self.read_output();
                    return Ok(outcome);
                }
                Happening::Signal(Signal::Ready | Signal::InitFailed(_)) => {}
                Happening::Exited(status) => {
                    self.end_process().await;
                    return Ok(Err(Failure::Exited(status)));
                }
                Happening::TimeIsUp => {
                    self.end_process().await;
                    return Ok(Err(timed_out));
                }
                Happening::Closing => {
                    self.end_process().await;
                    return Err(Refusal::ShuttingDown.into());
                }
            }
        }
    }

    /// Gives the invocation to the runtime if it asks for one.
    fn offer(&mut self, invocation: &Arc<Invocation>, timeout: Duration) -> bool {
        let Some(running) = &mut self.running else {
            return false;
        };
        let now_ms = self.deployment.functions.inner.platform.clock.now_ms();
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let is_taken = running.exchange.dispatch(Dispatch {
            invocation: invocation.clone(),
            deadline_ms: now_ms.saturating_add(timeout_ms),
        });
        running.is_warm |= is_taken;
        is_taken
    }

    async fn next_happening(&mut self, until: Instant) -> Happening {
        loop {
            let Some(running) = &mut self.running else {
                return Happening::TimeIsUp;
            };
            tokio::select! {
                biased;
                Some(signal) = running.signals.recv() => return Happening::Signal(signal),
                // Before the output, of which there may be no end.
                () = tokio::time::sleep_until(until) => return Happening::TimeIsUp,
                _ = self.is_closing.wait_for(|is_closing| *is_closing) => return Happening::Closing,
                exit = running.process.output_or_exit() => {
                    running.process.read_output(|printed| self.log.push(printed));
                    if let Some(status) = exit {
                        return Happening::Exited(status);
                    }
                }
            }
        }
    }

    /// Starts the process and its Runtime API.
    async fn start(&mut self) -> Result<Result<(), Failure>, Fault> {
        let starting = |error: io::Error| Fault::while_doing("starting an instance", error);
        let Deployment {
            functions,
            function,
            runtime,
            ..
        } = &self.deployment;
        let inner = &functions.inner;
        let user = inner.sandbox.user_of(self.id).await;
        let temporary_dir = inner.sandbox.create_temporary_dir(user).map_err(starting)?;
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(starting)?;
        let runtime_api_address = listener.local_addr().map_err(starting)?.to_string();
        let environment = runtimes::environment(&InstanceFacts {
            runtime: *runtime,
            runtime_name: &function.runtime,
            function_name: &function.name,
            handler: &function.handler,
            memory_mb: function.memory_mb,
            log_group: &function.log_group,
            log_stream: &self.log_stream,
            region: &inner.settings.region,
            runtime_api: &runtime_api_address,
            task_root: &self.deployment.task_root,
            runtime_dir: &inner.sandbox.runtime_dir(),
            temporary_dir: temporary_dir.path(),
            public_url: &inner.settings.public_url,
            access_key_id: &self.deployment.credentials.access_key_id,
            secret_access_key: self.deployment.credentials.secret.expose_secret(),
            defaults: &inner.settings.environment,
            own: &function.environment,
        });
        let plan = Plan {
            program: &self.deployment.program,
            arguments: &self.deployment.arguments,
            environment,
            task_root: &self.deployment.task_root,
            user,
            is_node: matches!(runtime, Runtime::Node(_)),
            memory_mb: function.memory_mb,
            ephemeral_storage_mb: function.ephemeral_storage_mb,
        };
        let (exchange, signals) = Exchange::new();
        let started_at = Instant::now();
        let process =
            match check_format(*runtime, plan.program).and_then(|()| Process::start(&plan)) {
                Ok(process) => process,
                Err(error) => {
                    return match entrypoint_failure(*runtime, plan.program, &error) {
                        Some(failure) => Ok(Err(failure)),
                        None => Err(starting(error)),
                    };
                }
            };
        let owner = user.map_or(Owner::Group(process.group()), Owner::User);
        let runtime_api = tokio::spawn(runtime_api::serve(listener, exchange.clone(), owner));
        self.running = Some(Running {
            process,
            exchange,
            signals,
            runtime_api,
            started_at,
            is_warm: false,
            _temporary_dir: temporary_dir,
        });
        Ok(Ok(()))
    }

    /// Ends the process with all it started; a later job starts another one.
    async fn end_process(&mut self) {
        self.read_output();
        if let Some(running) = self.running.take() {
            running.end().await;
        }
    }

    fn read_output(&mut self) {
        if let Some(running) = &mut self.running {
            running
                .process
                .read_output(|printed| self.log.push(printed));
        }
    }

    fn read_peak_memory(&self, times: &mut Times) {
        if let Some(running) = &self.running {
            times.peak_memory_mb = running.process.peak_memory_mb();
        }
    }

    fn log_failure(&mut self, failure: &Failure, request_id: &str) {
        let message = failure.message();
        match failure {
            // The runtime has printed it.
            Failure::Reported(_) => {}
            Failure::TimedOut { .. } => {
                let now_ms = self.deployment.functions.inner.platform.clock.now_ms();
                let time = crate::iso_time(now_ms);
                self.log
                    .failure(&format!("{time} {request_id} {message}\n"));
            }
            _ => {
                let error_type = failure.error_type().unwrap_or_default();
                self.log.failure(&format!(
                    "RequestId: {request_id} Error: {message}\n{error_type}"
                ));
            }
        }
    }
}

impl Running {
    async fn end(mut self) {
        self.runtime_api.abort();
        self.process.end().await;
    }
}

#[derive(Default)]
struct Times {
    /// From the start of the process to its first question, where this invocation waited for it.
    init: Option<Duration>,
    invoked: Duration,
    peak_memory_mb: u64,
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// `YYYY/MM/DD/[$LATEST]` and 32 hexadecimal digits.
fn log_stream(now_ms: i64, id: &str) -> String {
    let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{}/[{}]{id}", now.strftime("%Y/%m/%d"), names::LATEST)
}

const EXEC_FORMAT_ERROR: i32 = 8;

/// Refuses a `bootstrap` that the kernel cannot run. Without this the C library would have a shell
/// read it as a script.
fn check_format(runtime: Runtime, program: &Path) -> io::Result<()> {
    if runtime != Runtime::Provided {
        return Ok(());
    }
    let mut header = Vec::new();
    File::open(program)?
        .take(HEADER_LENGTH)
        .read_to_end(&mut header)?;
    if is_runnable(&header) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(EXEC_FORMAT_ERROR))
    }
}

/// Up to the field of an ELF file that names the machine.
const HEADER_LENGTH: u64 = 20;

/// Whether a file that begins like this is a script, or a program for this machine.
fn is_runnable(header: &[u8]) -> bool {
    const MACHINE: [u8; 2] = if cfg!(target_arch = "aarch64") {
        [183, 0]
    } else {
        [62, 0]
    };
    header.starts_with(b"#!") || (header.starts_with(b"\x7fELF") && header.ends_with(&MACHINE))
}

/// A start that failed for what is in the package, in the real service's words; nothing when it is
/// the server's fault.
fn entrypoint_failure(runtime: Runtime, program: &Path, error: &io::Error) -> Option<Failure> {
    if runtime != Runtime::Provided {
        return None;
    }
    let message = match error.kind() {
        io::ErrorKind::NotFound if !program.exists() => {
            "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
        }
        // The file is there: what is missing is its interpreter or dynamic loader.
        io::ErrorKind::NotFound => "fork/exec /var/task/bootstrap: no such file or directory",
        io::ErrorKind::PermissionDenied => "fork/exec /var/task/bootstrap: permission denied",
        _ if error.raw_os_error() == Some(EXEC_FORMAT_ERROR) => {
            "fork/exec /var/task/bootstrap: exec format error"
        }
        _ => return None,
    };
    Some(Failure::InvalidEntrypoint(message.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_stream_is_named_by_day_version_and_chance() {
        assert_eq!(
            log_stream(1_700_000_000_000, "ab"),
            "2023/11/14/[$LATEST]ab"
        );
    }

    #[test]
    fn scripts_and_programs_for_this_machine_are_runnable() {
        assert!(is_runnable(b"#!/bin/sh\n"));
        let mut own = Vec::new();
        let program = File::open("/proc/self/exe").unwrap();
        program.take(HEADER_LENGTH).read_to_end(&mut own).unwrap();
        assert!(is_runnable(&own));
        own[18] ^= 1;
        assert!(!is_runnable(&own), "another machine's");
        assert!(!is_runnable(b"\x7fELF") && !is_runnable(b"") && !is_runnable(b"echo"));
    }

    #[test]
    fn only_a_bad_package_is_the_functions_fault() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let of = |runtime, path: &str, error: &io::Error| {
            entrypoint_failure(runtime, Path::new(path), error).map(|failure| failure.message())
        };
        assert_eq!(
            of(Runtime::Provided, "/nowhere/bootstrap", &missing).unwrap(),
            "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
        );
        assert_eq!(
            of(
                Runtime::Provided,
                "/proc/self/exe",
                &io::Error::from_raw_os_error(8)
            )
            .unwrap(),
            "fork/exec /var/task/bootstrap: exec format error"
        );
        assert_eq!(of(Runtime::Node(20), "/nowhere/node", &missing), None);
        let no_memory = io::Error::from(io::ErrorKind::OutOfMemory);
        assert_eq!(of(Runtime::Provided, "/proc/self/exe", &no_memory), None);
    }
}
