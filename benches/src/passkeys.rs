//! P1 to P7: what each line measures, against what, and how often.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    load::{self, Ceremony, Run, User},
    report::{Line, Report, Target},
    server::{Cores, Server},
    verification,
};

/// How to measure.
#[derive(Args)]
pub(crate) struct Passkeys {
    /// Fewer and shorter runs: some 20 seconds, and figures that say less
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave out the peer on Node.js, and with it P3 and P4
    #[arg(long)]
    no_peer: bool,
    /// Folder on the disk whose syncs count
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    disk: PathBuf,
    /// Folder in memory, where a sync costs nothing
    #[arg(long, value_name = "FOLDER", default_value = "/dev/shm")]
    memory: PathBuf,
}

/// How much of everything.
struct Size {
    rounds: usize,
    /// Users of each server, who sign in in each run.
    users: usize,
    /// Users who register in each run.
    registrations: usize,
    /// Users who sign in one after the other.
    lone: usize,
    batches: usize,
}

const QUICK: Size = Size {
    rounds: 3,
    users: 500,
    registrations: 500,
    lone: 200,
    batches: 10,
};
const FULL: Size = Size {
    rounds: 7,
    users: 3_000,
    registrations: 2_000,
    lone: 1_000,
    batches: 40,
};

/// A server with its users and what was measured of it.
struct Subject {
    name: &'static str,
    server: Server,
    users: Vec<User>,
    /// How many users it has had, so that each new one is new.
    seen: usize,
    sign_ins_8: Vec<Run>,
    sign_ins_64: Vec<Run>,
    registrations_8: Vec<Run>,
    registrations_64: Vec<Run>,
    /// After the runs at 64 connections.
    memory_kib: u64,
}

impl Passkeys {
    pub(crate) async fn run(&self) -> anyhow::Result<Report> {
        let size = if self.quick { QUICK } else { FULL };
        let cores = Cores::claim()?;
        let mut report = Report::default();

        let progress = Progress::new();
        progress.say("P7: a whole verification and a bare one");
        let (whole, bare) = verification::measure(size.batches)?;

        progress.say("starting the servers");
        let mut subjects = vec![
            Subject::new("floor", Server::floor(cores, &self.disk)?),
            Subject::new("claviger", Server::claviger(cores, &self.disk)?),
        ];
        if !self.no_peer {
            subjects.push(Subject::new("peer", Server::peer(cores, &self.disk)?));
        }
        for subject in &mut subjects {
            progress.say(&format!("{}: users and warming up", subject.name));
            subject.prepare(size.users).await?;
        }
        for round in 1..=size.rounds {
            for subject in &mut subjects {
                progress.say(&format!(
                    "P1 to P4, round {round} of {}: {}",
                    size.rounds, subject.name
                ));
                subject.measure(size.registrations).await?;
            }
        }
        let [floor, ours, ..] = &subjects[..] else {
            unreachable!("two subjects are always there");
        };
        report.compare_with_floor(floor, ours);
        if let Some(peer) = subjects.get(2) {
            report.compare_with_peer(ours, peer);
        }

        let ours = &mut subjects[1];
        let mut lone = Vec::new();
        for round in 1..=size.rounds {
            progress.say(&format!("P5, round {round} of {}", size.rounds));
            let mut users = ours.users.split_off(ours.users.len() - size.lone);
            lone.push(load::run(&ours.server, Ceremony::SignIn, &mut users, 1).await?);
            ours.users.append(&mut users);
        }
        report.tail(&lone);
        drop(subjects);

        let mut synced = Subject::new("claviger", Server::claviger(cores, &self.disk)?);
        let mut unsynced = Subject::new(
            "claviger in memory",
            Server::claviger(cores, &self.memory)
                .with_context(|| format!("--memory {} cannot be used", self.memory.display()))?,
        );
        for round in 0..=size.rounds {
            progress.say(&format!("P6, round {round} of {}", size.rounds));
            for subject in [&mut synced, &mut unsynced] {
                let run = subject.register(size.registrations, 64).await?;
                // The first round warms up.
                if round > 0 {
                    subject.registrations_64.push(run);
                }
            }
        }
        report.cost_of_syncing(&synced, &unsynced);
        report.push(Line {
            id: "P7",
            subject: "CPU of a verification, JSON to verified".into(),
            ours: micros(whole),
            other: format!("bare {}", micros(bare)),
            ratio: whole.as_secs_f64() / bare.as_secs_f64(),
            target: Target::AtMost {
                must: 1.2,
                aim: 1.1,
            },
        });
        Ok(report)
    }
}

impl Subject {
    fn new(name: &'static str, server: Server) -> Subject {
        Subject {
            name,
            server,
            users: Vec::new(),
            seen: 0,
            sign_ins_8: Vec::new(),
            sign_ins_64: Vec::new(),
            registrations_8: Vec::new(),
            registrations_64: Vec::new(),
            memory_kib: 0,
        }
    }

    /// Gives the server its users, and each of them a first sign-in.
    async fn prepare(&mut self, users: usize) -> anyhow::Result<()> {
        self.users = self.strangers(users);
        load::run(&self.server, Ceremony::Registration, &mut self.users, 64).await?;
        load::run(&self.server, Ceremony::SignIn, &mut self.users, 64).await?;
        Ok(())
    }

    async fn measure(&mut self, registrations: usize) -> anyhow::Result<()> {
        let run = self.register(registrations, 8).await?;
        self.registrations_8.push(run);
        let run = self.register(registrations, 64).await?;
        self.registrations_64.push(run);
        let (server, users) = (&self.server, &mut self.users);
        self.sign_ins_8
            .push(load::run(server, Ceremony::SignIn, users, 8).await?);
        self.sign_ins_64
            .push(load::run(server, Ceremony::SignIn, users, 64).await?);
        self.memory_kib = self.server.memory_kib()?;
        Ok(())
    }

    async fn register(&mut self, count: usize, connections: usize) -> anyhow::Result<Run> {
        let mut strangers = self.strangers(count);
        load::run(
            &self.server,
            Ceremony::Registration,
            &mut strangers,
            connections,
        )
        .await
        .with_context(|| self.name)
    }

    fn strangers(&mut self, count: usize) -> Vec<User> {
        let first = self.seen;
        self.seen += count;
        (first..self.seen).map(User::new).collect()
    }
}

impl Report {
    fn compare_with_floor(&mut self, floor: &Subject, ours: &Subject) {
        let sign_in = Target::AtMost {
            must: 2.0,
            aim: 1.4,
        };
        let registration = Target::AtMost {
            must: 2.0,
            aim: 1.5,
        };
        type Runs = fn(&Subject) -> &Vec<Run>;
        let lines: [(_, _, Runs, _); 4] = [
            ("P1", "sign-in, 8 connections", |s| &s.sign_ins_8, sign_in),
            ("P1", "sign-in, 64 connections", |s| &s.sign_ins_64, sign_in),
            (
                "P2",
                "registration, 8 connections",
                |s| &s.registrations_8,
                registration,
            ),
            (
                "P2",
                "registration, 64 connections",
                |s| &s.registrations_64,
                registration,
            ),
        ];
        for (id, subject, runs, target) in lines {
            let (ours, floor) = (cpu(runs(ours)), cpu(runs(floor)));
            self.push(Line {
                id,
                subject: format!("server CPU of a {subject}"),
                ours: micros(ours),
                other: format!("floor {}", micros(floor)),
                ratio: ours.as_secs_f64() / floor.as_secs_f64(),
                target,
            });
        }
    }

    fn compare_with_peer(&mut self, ours: &Subject, peer: &Subject) {
        let per_core = |subject: &Subject| 1.0 / cpu(&subject.sign_ins_64).as_secs_f64();
        self.push(Line {
            id: "P3",
            subject: "sign-ins/s a core, 64 connections".into(),
            ours: format!("{:.0}/s", per_core(ours)),
            other: format!("peer {:.0}/s", per_core(peer)),
            ratio: per_core(ours) / per_core(peer),
            target: Target::AtLeast {
                must: 3.0,
                aim: 4.5,
            },
        });
        let mib = |subject: &Subject| subject.memory_kib as f64 / 1024.0;
        self.push(Line {
            id: "P4",
            subject: "memory after these runs".into(),
            ours: format!("{:.0} MiB", mib(ours)),
            other: format!("peer {:.0} MiB", mib(peer)),
            ratio: mib(ours) / mib(peer),
            target: Target::AtMost {
                must: 1.0 / 3.0,
                aim: 1.0 / 5.0,
            },
        });
    }

    fn tail(&mut self, runs: &[Run]) {
        let at = |percentile| median(runs.iter().map(|run| run.latency(percentile)).collect());
        let (p99, p50): (Duration, Duration) = (at(99), at(50));
        self.push(Line {
            id: "P5",
            subject: "p99 of a sign-in on disk, 1 connection".into(),
            ours: format!("{:.2} ms", p99.as_secs_f64() * 1e3),
            other: format!("p50 {:.2} ms", p50.as_secs_f64() * 1e3),
            ratio: p99.as_secs_f64() / p50.as_secs_f64(),
            target: Target::AtMost {
                must: 5.0,
                aim: 3.0,
            },
        });
    }

    fn cost_of_syncing(&mut self, synced: &Subject, unsynced: &Subject) {
        let rate = |subject: &Subject| {
            median(
                subject
                    .registrations_64
                    .iter()
                    .map(|run| run.rate)
                    .collect(),
            )
        };
        let (synced, unsynced): (f64, f64) = (rate(synced), rate(unsynced));
        self.push(Line {
            id: "P6",
            subject: "registrations/s answered once synced".into(),
            ours: format!("{synced:.0}/s"),
            other: format!("unsynced {unsynced:.0}/s"),
            ratio: synced / unsynced,
            target: Target::AtLeast {
                must: 0.5,
                aim: 0.8,
            },
        });
    }
}

fn cpu(runs: &[Run]) -> Duration {
    median(runs.iter().map(|run| run.cpu_each).collect())
}

/// The middle one; of an even number, the greater of the two.
pub(crate) fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).expect("a number"));
    values[values.len() / 2]
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}

/// A line that says what is going on; on a terminal only.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Progress {
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("a style"));
        bar.enable_steady_tick(Duration::from_millis(500));
        Progress(bar)
    }

    fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
