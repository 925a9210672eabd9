//! The SQLite driver: one writer thread that shares commits, a handful of
//! read-only connections, and a thread that checkpoints.
//!
//! A commit at `synchronous=FULL` costs a disk flush, whoever waits for it. The
//! writer therefore takes all work that waits, runs one piece after the other,
//! commits once, and only then answers.
//!
//! How SQLite is compiled for this is in `.cargo/config.toml`; decision 7 says why.

use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::c_int,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc as blocking},
    time::{Duration, Instant},
};

use rusqlite::{
    Connection as Sql, OpenFlags, ToSql,
    config::DbConfig,
    hooks::Wal,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Fault, Row, Tx, Value,
    db::{Connection, run_ready},
};

/// How many pieces of work share one commit at most.
const BATCH_MAX: usize = 256;
/// How long to wait for another process (a sub-command beside a running server).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const CACHED_STATEMENTS: usize = 256;
/// A commit shared by so many costs each of them so little that nobody waits for more.
const SHARED_ENOUGH: usize = 16;
/// How long the writer waits for more to share a commit: at least, or not at all, because a thread
/// cannot sleep for less with any accuracy; and at most.
const PAUSE_MIN: Duration = Duration::from_micros(80);
const PAUSE_MAX: Duration = Duration::from_millis(1);
/// How many pages the write-ahead log grows by before they are copied into the
/// database, beside the writer.
const CHECKPOINT_PAGES: c_int = 4_000;
/// At this length the writer waits for a checkpoint itself. Under a load without
/// a pause nobody else can bring the log back to its start.
const LOG_PAGES_MAX: c_int = 16_000;

#[derive(Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    readers: Mutex<Vec<Session>>,
    writer: mpsc::Sender<Box<dyn Work>>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Sqlite, Fault> {
        let opening = |error| Fault::while_doing(format!("opening {}", path.display()), error);
        make_private(path).map_err(|error| {
            Fault::while_doing(format!("creating the database {}", path.display()), error)
        })?;
        let mut connection = Sql::open(path).map_err(opening)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(opening)?;
        connection
            .pragma_update(None, "journal_mode", "wal")
            .and_then(|()| connection.pragma_update(None, "synchronous", "full"))
            .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
            // What a savepoint may have to restore is not worth a file.
            .and_then(|()| connection.pragma_update(None, "temp_store", "memory"))
            .map_err(opening)?;
        let checkpointer = Sql::open(path).map_err(opening)?;
        checkpoint_beside(&mut connection, checkpointer)?;
        let connection = Session::new(connection).map_err(opening)?;
        let (writer, work) = mpsc::channel(BATCH_MAX * 4);
        std::thread::Builder::new()
            .name("sqlite writer".into())
            .spawn(move || write_until_closed(connection, work))
            .map_err(|error| Fault::while_doing("starting the database writer", error))?;
        Ok(Sqlite {
            path: path.to_owned(),
            readers: Mutex::default(),
            writer,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs on the calling thread: a read takes microseconds, less than a change of thread.
    pub(crate) fn read<T, E: From<Fault>>(
        &self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.open_reader()?,
        };
        let mut tx = Tx(Connection::Sqlite(reader));
        let outcome = run_ready(work(&mut tx))?;
        if let Connection::Sqlite(reader) = tx.0 {
            self.readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(reader);
        }
        outcome
    }

    pub(crate) async fn write<T, E>(
        &self,
        work: impl AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let stopped = || E::from(Fault::new("the database writer has stopped"));
        self.writer
            .send(Box::new(Piece {
                work,
                outcome: None,
                answer,
            }))
            .await
            .map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    fn open_reader(&self) -> Result<Session, Fault> {
        let opening = |error| Fault::while_doing("opening a database reader", error);
        let reader = Sql::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(opening)?;
        reader.busy_timeout(BUSY_TIMEOUT).map_err(opening)?;
        Session::new(reader).map_err(opening)
    }
}

/// Has the log of `writer` checkpointed by another thread: the sync of the
/// database's file then keeps no commit waiting.
fn checkpoint_beside(writer: &mut Sql, checkpointer: Sql) -> Result<(), Fault> {
    let (ask, asked) = blocking::sync_channel(1);
    std::thread::Builder::new()
        .name("sqlite checkpointer".into())
        .spawn(move || {
            while asked.recv().is_ok() {
                // One that another process prevents is made up for by the next.
                let _ = checkpointer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            }
        })
        .map_err(|error| Fault::while_doing("starting the database checkpointer", error))?;
    let mut next = CHECKPOINT_PAGES;
    writer
        .wal_hook(Some(move |log: &mut Wal, pages| {
            if pages < CHECKPOINT_PAGES {
                next = CHECKPOINT_PAGES;
            }
            if pages >= LOG_PAGES_MAX {
                // The commit itself has happened, so a failure here is not its failure.
                let _ = log.checkpoint();
            } else if pages >= next {
                next = pages + CHECKPOINT_PAGES;
                // One that is under way or asked for already is enough.
                let _ = ask.try_send(());
            }
            Ok(())
        }))
        .map_err(|error| Fault::while_doing("watching the database log", error))
}

/// Creates a missing file so that only its owner can read it; SQLite gives the
/// files beside it the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// A closure that waits for the writer, its types hidden.
trait Work: Send {
    /// Runs the closure; true when what it changed is to stay.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// Answers whoever waits. `committed` is what became of the batch.
    fn answer(self: Box<Self>, committed: Result<(), String>);
}

struct Piece<F, T, E> {
    work: F,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work for Piece<F, T, E>
where
    F: AsyncFn(&mut Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<Fault> + Send,
{
    fn run(&mut self, tx: &mut Tx) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| run_ready((self.work)(tx))))
            .unwrap_or_else(|_| Err(Fault::new("a database closure panicked")))
            .unwrap_or_else(|fault| Err(E::from(fault)));
        let stays = outcome.is_ok();
        self.outcome = Some(outcome);
        stays
    }

    fn answer(self: Box<Self>, committed: Result<(), String>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(reason)) => Err(E::from(Fault::new(reason))),
            (None, Ok(())) => Err(E::from(Fault::new("a database closure never ran"))),
        };
        // Nobody waits any more when the caller went away; what was committed stays.
        let _ = self.answer.send(outcome);
    }
}

fn write_until_closed(session: Session, mut work: mpsc::Receiver<Box<dyn Work>>) {
    let mut tx = Tx(Connection::Sqlite(session));
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut expected = 0;
    let mut pause = Duration::ZERO;
    while work.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        // Of callers that are busy with one request after the other, those who were just answered
        // come back in a moment. Without this, they and those who came meanwhile would take turns,
        // each time with a commit for one group only. A lone caller never waits here.
        if batch.len() < expected && pause >= PAUSE_MIN {
            std::thread::sleep(pause);
        } else {
            // The first of several wakes this thread, perhaps before the others were sent.
            std::thread::yield_now();
        }
        while batch.len() < BATCH_MAX
            && let Ok(piece) = work.try_recv()
        {
            batch.push(piece);
        }
        let (count, began) = (batch.len(), Instant::now());
        let committed = commit_together(&mut tx, &mut batch)
            .map_err(|error| format!("committing to the database: {error}"));
        // Less than the commit that it may save.
        pause = (began.elapsed() / 2).min(PAUSE_MAX);
        for piece in batch.drain(..) {
            piece.answer(committed.clone());
        }
        expected = (count + work.len()).min(SHARED_ENOUGH);
    }
}

fn commit_together(tx: &mut Tx, batch: &mut [Box<dyn Work>]) -> rusqlite::Result<()> {
    let committed = commit_if_all_stay(tx, batch).and_then(|all_stay| match all_stay {
        true => Ok(()),
        false => commit_those_that_stay(tx, batch),
    });
    if committed.is_err() {
        // The transaction may be gone already; then this says so and changes nothing.
        let _ = control(tx, "ROLLBACK");
    }
    committed
}

/// Commits the whole batch; false, and nothing is committed, when there is
/// something to undo. Without savepoints, which cost more than many a piece:
/// SQLite keeps a copy of each page that is changed after one.
fn commit_if_all_stay(tx: &mut Tx, batch: &mut [Box<dyn Work>]) -> rusqlite::Result<bool> {
    control(tx, "BEGIN IMMEDIATE")?;
    let is_alone = batch.len() == 1;
    for piece in batch {
        let before = rows_changed(tx);
        if !piece.run(tx) && (is_alone || rows_changed(tx) != before) {
            control(tx, "ROLLBACK")?;
            // What a lone piece has decided stands: nothing of it was to stay.
            return Ok(is_alone);
        }
    }
    control(tx, "COMMIT")?;
    Ok(true)
}

/// Runs the batch again, each piece inside a savepoint, so that one that is
/// undone does not undo its neighbors.
fn commit_those_that_stay(tx: &mut Tx, batch: &mut [Box<dyn Work>]) -> rusqlite::Result<()> {
    control(tx, "BEGIN IMMEDIATE")?;
    for piece in batch {
        control(tx, "SAVEPOINT piece")?;
        if !piece.run(tx) {
            control(tx, "ROLLBACK TO piece")?;
        }
        control(tx, "RELEASE piece")?;
    }
    control(tx, "COMMIT")
}

fn control(tx: &Tx, sql: &'static str) -> rusqlite::Result<()> {
    match &tx.0 {
        Connection::Sqlite(session) => session.sql.prepare_cached(sql)?.raw_execute().map(drop),
        Connection::Postgres(_) => Ok(()),
    }
}

/// How many rows all statements so far have inserted, updated and deleted.
fn rows_changed(tx: &Tx) -> u64 {
    match &tx.0 {
        Connection::Sqlite(session) => session.sql.total_changes(),
        Connection::Postgres(_) => 0,
    }
}

/// A connection, and what is known about the statements it has run.
#[derive(Debug)]
pub(crate) struct Session {
    sql: Sql,
    /// By address and length of the statement's text, which is static.
    shapes: HashMap<(usize, usize), Shape>,
}

/// How the values and columns of a statement are arranged.
#[derive(Debug)]
struct Shape {
    /// Where SQLite has `$1`, `$2` …: it numbers them by first appearance, PostgreSQL by n.
    positions: Box<[usize]>,
    columns: Arc<[String]>,
}

impl Session {
    fn new(sql: Sql) -> rusqlite::Result<Session> {
        sql.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        // Else the planner peeks at values, and a statement that it did so for is prepared again
        // each time it gets others.
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(Session {
            sql,
            shapes: HashMap::new(),
        })
    }

    pub(crate) fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, Fault> {
        self.run(sql, values, |statement, _| {
            statement.raw_execute().map(|count| count as u64)
        })
    }

    pub(crate) fn rows(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        self.run(sql, values, |statement, columns| {
            let mut found = Vec::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                let values = (0..columns.len())
                    .map(|position| {
                        Ok(match row.get_ref(position)? {
                            ValueRef::Null => Value::Null,
                            ValueRef::Integer(value) => Value::Int(value),
                            ValueRef::Text(text) => {
                                Value::Text(String::from_utf8_lossy(text).into_owned())
                            }
                            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
                            ValueRef::Real(_) => {
                                return Err(rusqlite::Error::InvalidColumnType(
                                    position,
                                    columns[position].clone(),
                                    rusqlite::types::Type::Real,
                                ));
                            }
                        })
                    })
                    .collect::<rusqlite::Result<_>>()?;
                found.push(Row {
                    columns: Arc::clone(columns),
                    values,
                });
            }
            Ok(found)
        })
    }

    fn run<T>(
        &mut self,
        sql: &'static str,
        values: &[Value],
        step: impl FnOnce(&mut rusqlite::Statement<'_>, &Arc<[String]>) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        (|| {
            let mut statement = self.sql.prepare_cached(sql)?;
            let key = (sql.as_ptr().addr(), sql.len());
            let shape = match self.shapes.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(Shape::of(&statement)?),
            };
            if shape.positions.len() != values.len() {
                return Err(rusqlite::Error::InvalidParameterCount(
                    values.len(),
                    shape.positions.len(),
                ));
            }
            for (&position, value) in shape.positions.iter().zip(values) {
                statement.raw_bind_parameter(position, value)?;
            }
            step(&mut statement, &shape.columns)
        })()
        .map_err(|error| Fault::while_doing(format!("running {sql:?}"), error))
    }
}

impl Shape {
    fn of(statement: &rusqlite::Statement<'_>) -> rusqlite::Result<Shape> {
        let positions = (1..=statement.parameter_count())
            .map(|number| {
                let name = format!("${number}");
                statement
                    .parameter_index(&name)?
                    .ok_or(rusqlite::Error::InvalidParameterName(name))
            })
            .collect::<rusqlite::Result<_>>()?;
        Ok(Shape {
            positions,
            columns: statement.column_names().map(str::to_owned).collect(),
        })
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
