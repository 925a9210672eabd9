//! The SQLite driver: one writer thread that shares commits, and a handful of
//! read-only connections.
//!
//! A commit at `synchronous=FULL` costs a disk flush, whoever waits for it. The
//! writer therefore takes all work that waits, runs each piece inside its own
//! savepoint, commits once, and only then answers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{
    Connection as Sql, OpenFlags, ToSql,
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

#[derive(Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    readers: Mutex<Vec<Sql>>,
    writer: mpsc::Sender<Box<dyn Work>>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Sqlite, Fault> {
        let opening = |error| Fault::while_doing(format!("opening {}", path.display()), error);
        make_private(path).map_err(|error| {
            Fault::while_doing(format!("creating the database {}", path.display()), error)
        })?;
        let connection = Sql::open(path).map_err(opening)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(opening)?;
        connection
            .pragma_update(None, "journal_mode", "wal")
            .and_then(|()| connection.pragma_update(None, "synchronous", "full"))
            .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
            .map_err(opening)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
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

    fn open_reader(&self) -> Result<Sql, Fault> {
        let opening = |error| Fault::while_doing("opening a database reader", error);
        let reader = Sql::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(opening)?;
        reader.busy_timeout(BUSY_TIMEOUT).map_err(opening)?;
        reader.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        Ok(reader)
    }
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

fn write_until_closed(connection: Sql, mut work: mpsc::Receiver<Box<dyn Work>>) {
    let mut tx = Tx(Connection::Sqlite(connection));
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while work.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        let committed = commit_together(&mut tx, &mut batch)
            .map_err(|error| format!("committing to the database: {error}"));
        for piece in batch.drain(..) {
            piece.answer(committed.clone());
        }
    }
}

fn commit_together(tx: &mut Tx, batch: &mut [Box<dyn Work>]) -> rusqlite::Result<()> {
    let control = |tx: &Tx, sql| match &tx.0 {
        Connection::Sqlite(connection) => connection.execute_batch(sql),
        Connection::Postgres(_) => Ok(()),
    };
    control(tx, "BEGIN IMMEDIATE")?;
    let committed = (|| {
        for piece in batch {
            control(tx, "SAVEPOINT piece")?;
            if !piece.run(tx) {
                control(tx, "ROLLBACK TO piece")?;
            }
            control(tx, "RELEASE piece")?;
        }
        control(tx, "COMMIT")
    })();
    if committed.is_err() {
        // The transaction may be gone already; then this says so and changes nothing.
        let _ = control(tx, "ROLLBACK");
    }
    committed
}

pub(crate) fn execute(connection: &Sql, sql: &'static str, values: &[Value]) -> Result<u64, Fault> {
    run(connection, sql, values, |statement| {
        statement.raw_execute().map(|count| count as u64)
    })
}

pub(crate) fn rows(
    connection: &Sql,
    sql: &'static str,
    values: &[Value],
) -> Result<Vec<Row>, Fault> {
    run(connection, sql, values, |statement| {
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
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
                columns: Arc::clone(&columns),
                values,
            });
        }
        Ok(found)
    })
}

fn run<T>(
    connection: &Sql,
    sql: &'static str,
    values: &[Value],
    step: impl FnOnce(&mut rusqlite::Statement<'_>) -> rusqlite::Result<T>,
) -> Result<T, Fault> {
    (|| {
        let mut statement = connection.prepare_cached(sql)?;
        for (index, value) in values.iter().enumerate() {
            // SQLite numbers `$n` by first appearance, PostgreSQL by n: bind by name.
            match statement.parameter_index(&format!("${}", index + 1))? {
                Some(position) => statement.raw_bind_parameter(position, value)?,
                None => {
                    return Err(rusqlite::Error::InvalidParameterName(format!(
                        "${}",
                        index + 1
                    )));
                }
            }
        }
        if statement.parameter_count() != values.len() {
            return Err(rusqlite::Error::InvalidParameterCount(
                values.len(),
                statement.parameter_count(),
            ));
        }
        step(&mut statement)
    })()
    .map_err(|error| Fault::while_doing(format!("running {sql:?}"), error))
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
