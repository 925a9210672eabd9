//! All instances of this node: who is idle, who is busy, and the door between an invocation and
//! the instance that gets it. The decision is `instances.rs`; an instance's life is `runner.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    Refusal,
    functions::Function,
    instances::{self, Decision, Instance},
    invocations::Job,
    runner::{self, Deployment},
};

pub(crate) struct Fleet {
    instances_max: usize,
    state: Mutex<State>,
    is_closing: watch::Sender<bool>,
}

struct State {
    last_id: u64,
    entries: HashMap<u64, Entry>,
    lives: JoinSet<()>,
}

struct Entry {
    function_id: String,
    revision_id: String,
    /// Nothing while it works.
    idle_since_ms: Option<i64>,
    /// Ends with the invocation it has.
    is_retiring: bool,
    /// Holds one job at most: only an idle instance is given one. Nothing while it is prepared.
    jobs: Option<mpsc::Sender<Job>>,
}

/// Where an invocation goes.
pub(crate) enum Assignment {
    /// To a running instance.
    Sent,
    /// To an instance that has to be started in this slot.
    Start(Slot, Job),
    /// Nowhere.
    Refused(Refusal),
}

/// The right to start one instance; given back when it is dropped unused.
pub(crate) struct Slot {
    fleet: Arc<Fleet>,
    id: u64,
    is_used: bool,
}

impl Fleet {
    pub(crate) fn new(instances_max: usize) -> Arc<Fleet> {
        Arc::new(Fleet {
            instances_max,
            state: Mutex::new(State {
                last_id: 0,
                entries: HashMap::new(),
                lives: JoinSet::new(),
            }),
            is_closing: watch::Sender::new(false),
        })
    }

    /// Finds an instance for the job, or a slot to start one in.
    pub(crate) fn assign(self: &Arc<Fleet>, function: &Function, mut job: Job) -> Assignment {
        if *self.is_closing.borrow() {
            return Assignment::Refused(Refusal::ShuttingDown);
        }
        let mut state = self.state();
        loop {
            let instances = state.entries.iter().map(|(id, entry)| Instance {
                id: *id,
                function_id: &entry.function_id,
                revision_id: &entry.revision_id,
                idle_since_ms: entry.idle_since_ms,
            });
            let decision = instances::decide(
                instances,
                &function.id,
                &function.revision_id,
                self.instances_max,
            );
            match decision {
                Decision::Reuse(id) => {
                    let Some(entry) = state.entries.get_mut(&id) else {
                        continue;
                    };
                    let sent = match &entry.jobs {
                        Some(jobs) => jobs.try_send(job),
                        None => Err(mpsc::error::TrySendError::Closed(job)),
                    };
                    match sent {
                        Ok(()) => {
                            entry.idle_since_ms = None;
                            return Assignment::Sent;
                        }
                        Err(
                            mpsc::error::TrySendError::Closed(back)
                            | mpsc::error::TrySendError::Full(back),
                        ) => {
                            // Its life has ended unexpectedly.
                            state.entries.remove(&id);
                            job = back;
                        }
                    }
                }
                Decision::Replace(id) => {
                    // Its life ends when the sender of its jobs is gone.
                    state.entries.remove(&id);
                    return Assignment::Start(self.new_slot(&mut state, function), job);
                }
                Decision::Start => {
                    return Assignment::Start(self.new_slot(&mut state, function), job);
                }
                Decision::Refuse => {
                    tracing::info!(
                        function = %function.name,
                        instances_max = self.instances_max,
                        "all instances are busy"
                    );
                    return Assignment::Refused(Refusal::ConcurrencyExceeded);
                }
            }
        }
    }

    fn new_slot(self: &Arc<Fleet>, state: &mut State, function: &Function) -> Slot {
        state.last_id += 1;
        let id = state.last_id;
        state.entries.insert(
            id,
            Entry {
                function_id: function.id.clone(),
                revision_id: function.revision_id.clone(),
                idle_since_ms: None,
                is_retiring: false,
                jobs: None,
            },
        );
        Slot {
            fleet: self.clone(),
            id,
            is_used: false,
        }
    }

    /// An instance has done its job. False when it must not go on.
    pub(crate) fn release(&self, id: u64, now_ms: i64) -> bool {
        let mut state = self.state();
        match state.entries.get_mut(&id) {
            Some(entry) if !entry.is_retiring => {
                entry.idle_since_ms = Some(now_ms);
                true
            }
            Some(_) => {
                state.entries.remove(&id);
                false
            }
            None => false,
        }
    }

    /// Takes an instance out unless it has been given a job in the meantime.
    pub(crate) fn remove_if_idle(&self, id: u64) -> bool {
        let mut state = self.state();
        let is_busy = state
            .entries
            .get(&id)
            .is_some_and(|entry| entry.idle_since_ms.is_none());
        if !is_busy {
            state.entries.remove(&id);
        }
        !is_busy
    }

    /// The instance is gone, whatever it was doing.
    pub(crate) fn remove(&self, id: u64) {
        self.state().entries.remove(&id);
    }

    /// Ends all instances of a function: idle ones now, busy ones with the invocation they have.
    pub(crate) fn retire_function(&self, function_id: &str) {
        self.state().entries.retain(|_, entry| {
            if entry.function_id == function_id {
                entry.is_retiring = true;
                return entry.idle_since_ms.is_none();
            }
            true
        });
    }

    /// Becomes true when the server closes.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.is_closing.subscribe()
    }

    /// Kills every instance and waits until all are gone.
    pub(crate) async fn close(&self) {
        self.is_closing.send_replace(true);
        let mut lives = {
            let mut state = self.state();
            state.entries.clear();
            std::mem::take(&mut state.lives)
        };
        while lives.join_next().await.is_some() {}
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Starts an instance whose first job is `job`.
    pub(crate) fn start(mut self, deployment: Deployment, job: Job) {
        let (jobs, waiting) = mpsc::channel(1);
        let mut state = self.fleet.state();
        // A close or an update may have come while the deployment was prepared. After a close the
        // job is dropped, which its caller sees; after an update it runs as it was accepted.
        let Some(entry) = state.entries.get_mut(&self.id) else {
            return;
        };
        if jobs.try_send(job).is_err() {
            return;
        }
        entry.jobs = Some(jobs);
        while state.lives.try_join_next().is_some() {}
        let is_closing = self.fleet.is_closing.subscribe();
        let life = runner::live(self.id, self.fleet.clone(), deployment, waiting, is_closing);
        state.lives.spawn(life);
        drop(state);
        self.is_used = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_used {
            self.fleet.remove(self.id);
        }
    }
}
