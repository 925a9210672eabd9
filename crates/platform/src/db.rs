//! The database: one SQL text, two drivers, one [`Db`].
//!
//! A statement is written once, in the subset that SQLite and PostgreSQL share
//! (see ARCHITECTURE.md, "Storage"), with `$1`, `$2` … for its values. A state
//! change is one conditional statement whose count or returned row is the
//! decision, so that it is right at any isolation level.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use secrecy::{ExposeSecret as _, SecretString};

use crate::{Fault, migrate, postgres::Postgres, sqlite::Sqlite};

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file, made when it is missing. Its directory must exist.
    Sqlite(PathBuf),
    /// A `postgres://` URL; it may hold a password.
    Postgres(SecretString),
}

impl Location {
    /// Reads `postgres://…`, `postgresql://…`, `sqlite:PATH` or a bare path.
    pub fn parse(text: &str) -> Location {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Location::Postgres(SecretString::from(text))
        } else {
            Location::Sqlite(PathBuf::from(text.strip_prefix("sqlite:").unwrap_or(text)))
        }
    }
}

/// A handle on the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db(Arc<Driver>);

#[derive(Debug)]
enum Driver {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Db {
    /// Opens the database and brings its schema up to date. Refuses a schema
    /// that is newer than this program.
    pub async fn open(location: &Location, now_ms: i64) -> Result<Db, Fault> {
        let db = Db(Arc::new(match location {
            Location::Sqlite(path) => Driver::Sqlite(Sqlite::open(path)?),
            Location::Postgres(url) => {
                Driver::Postgres(Postgres::connect(url.expose_secret()).await?)
            }
        }));
        migrate::run(&db, now_ms).await?;
        Ok(db)
    }

    /// The file of an SQLite database; nothing for a PostgreSQL one.
    pub fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Driver::Sqlite(sqlite) => Some(sqlite.path()),
            Driver::Postgres(_) => None,
        }
    }

    /// Runs `work` to read. Each statement sees what was committed before it;
    /// two statements do not share a snapshot. Writing fails.
    ///
    /// `work` may await nothing but its `Tx`.
    pub async fn read<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        match &*self.0 {
            Driver::Sqlite(sqlite) => sqlite.read(work),
            Driver::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// Runs `work` as one transaction and answers once it is durable.
    ///
    /// `Ok` commits, `Err` rolls back. A refusal that must leave a trace (a
    /// spent challenge) is therefore returned inside `Ok`:
    /// `Result<Result<T, Refusal>, Fault>` says so in the type.
    ///
    /// `work` may await nothing but its `Tx` and may touch nothing else: on a
    /// serialization failure it runs again. It goes on to its end when the
    /// caller stops waiting.
    pub async fn write<T, E>(
        &self,
        work: impl AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        match &*self.0 {
            Driver::Sqlite(sqlite) => sqlite.write(work).await,
            Driver::Postgres(postgres) => postgres.write(work).await,
        }
    }

    /// Tells the database that tables have grown, by a statement such as `ANALYZE table`.
    ///
    /// PostgreSQL plans a statement by the sizes it last heard of and keeps the plan; one that was
    /// made for an empty table reads the whole of a large one each time, until the server looks
    /// for itself after a minute. SQLite plans by its indexes and is not bothered.
    pub async fn analyze(&self, sql: &'static str) -> Result<(), Fault> {
        match &*self.0 {
            Driver::Sqlite(_) => Ok(()),
            Driver::Postgres(postgres) => {
                let analyze = async move |tx: &mut Tx| tx.execute(sql, &[]).await;
                postgres.write(analyze).await.map(drop)
            }
        }
    }

    /// Deletes what expired before a time, in batches small enough not to be felt by requests, and
    /// gives the number of rows. `sql` deletes at most `$2` rows that are older than `$1`.
    pub async fn delete_expired(&self, sql: &'static str, before_ms: i64) -> Result<u64, Fault> {
        let mut total = 0;
        loop {
            let deleted = self
                .write(async move |tx| {
                    tx.execute(sql, crate::values![before_ms, SWEEP_BATCH])
                        .await
                })
                .await?;
            total += deleted;
            if deleted < SWEEP_BATCH.unsigned_abs() {
                return Ok(total);
            }
        }
    }
}

/// How many rows one transaction of [`Db::delete_expired`] deletes.
const SWEEP_BATCH: i64 = 500;

/// What a closure of [`Db::read`] or [`Db::write`] talks to.
#[derive(Debug)]
pub struct Tx(pub(crate) Connection);

#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(crate::sqlite::Session),
    Postgres(crate::postgres::Session),
}

impl Tx {
    /// Runs a statement and gives the number of rows it changed.
    pub async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, Fault> {
        match &mut self.0 {
            Connection::Sqlite(session) => session.execute(sql, values),
            Connection::Postgres(session) => session.execute(sql, values).await,
        }
    }

    /// Runs a query, or a statement with `RETURNING`, and gives its first row.
    pub async fn row(&mut self, sql: &'static str, values: &[Value]) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs a query, or a statement with `RETURNING`, and gives all its rows.
    pub async fn rows(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        match &mut self.0 {
            Connection::Sqlite(session) => session.rows(sql, values),
            Connection::Postgres(session) => session.rows(sql, values).await,
        }
    }
}

/// Drives a closure over SQLite, whose every step is ready at once.
pub(crate) fn run_ready<T>(future: impl Future<Output = T>) -> Result<T, Fault> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => Err(Fault::new(
            "a database closure awaited something other than its transaction",
        )),
    }
}

/// One value of a statement or a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// `BIGINT`; also times in milliseconds and booleans as 0 and 1.
    Int(i64),
    /// `TEXT`.
    Text(String),
    /// `BYTEA`.
    Bytes(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty, $value:ident => $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Value {
                $to
            }
        }
    )*};
}

value_from! {
    i64, value => Value::Int(value);
    i32, value => Value::Int(value.into());
    u32, value => Value::Int(value.into());
    bool, value => Value::Int(value.into());
    String, value => Value::Text(value);
    &String, value => Value::Text(value.clone());
    &str, value => Value::Text(value.to_owned());
    Vec<u8>, value => Value::Bytes(value);
    &Vec<u8>, value => Value::Bytes(value.clone());
    &[u8], value => Value::Bytes(value.to_vec());
    [u8; 32], value => Value::Bytes(value.to_vec());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Value {
        value.as_deref().into()
    }
}

/// The values of a statement, in the order of `$1`, `$2` …: `values![id, name]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::Value::from($value)),*] as &[$crate::Value]
    };
}

/// One row of an answer; columns are taken by name.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) columns: Arc<[String]>,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// The value of `column` as a `T`. A missing column or another type is a
    /// fault: statement and program do not agree.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Fault> {
        let position = self
            .columns
            .iter()
            .position(|name| name == column)
            .ok_or_else(|| Fault::new(format!("the row has no column {column}")))?;
        T::from_value(self.values[position].clone())
            .ok_or_else(|| Fault::new(format!("column {column} has another type than expected")))
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// Nothing when the value is of another type.
    fn from_value(value: Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Option<i64> {
        match value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Option<u32> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for i32 {
    fn from_value(value: Value) -> Option<i32> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Option<bool> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<String> {
        match value {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Option<Vec<u8>> {
        match value {
            Value::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Option<T>> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}
