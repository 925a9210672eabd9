//! The PostgreSQL driver, also for what speaks its wire protocol.
//!
//! Closures run on one thread of their own with a small runtime, because their
//! futures cannot be sent between threads, and because a transaction must reach
//! its end when the request that began it is dropped.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::BytesMut;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use futures_util::{FutureExt as _, future::LocalBoxFuture};
use rustls::{ClientConfig, RootCertStore};
use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
};
use tokio_postgres::{
    Config, NoTls,
    config::SslMode,
    error::SqlState,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Fault, Row, Tx, Value, db::Connection};

const CONNECTIONS_MAX: usize = 16;
/// How often a transaction is tried when others get in its way.
const TRIES_MAX: u32 = 10;

type Work = Box<dyn FnOnce(Pool) -> LocalBoxFuture<'static, ()> + Send>;

#[derive(Debug)]
pub(crate) struct Postgres {
    work: mpsc::UnboundedSender<Work>,
}

impl Postgres {
    pub(crate) async fn connect(url: &str) -> Result<Postgres, Fault> {
        let config: Config = url
            .parse()
            .map_err(|error| Fault::while_doing("reading the database URL", error))?;
        let (work, waiting) = mpsc::unbounded_channel();
        let (started, start) = oneshot::channel();
        std::thread::Builder::new()
            .name("postgres".into())
            .spawn(move || run_until_closed(config, waiting, started))
            .map_err(|error| Fault::while_doing("starting the database thread", error))?;
        start
            .await
            .map_err(|_| Fault::new("the database thread did not start"))??;
        Ok(Postgres { work })
    }

    pub(crate) async fn read<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        self.run(async move |pool| {
            let mut tx = Tx(Connection::Postgres(Session::take(&pool).await?));
            work(&mut tx).await
        })
        .await
    }

    pub(crate) async fn write<T, E>(
        &self,
        work: impl AsyncFn(&mut Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        self.run(async move |pool| {
            let mut tries = 0;
            loop {
                tries += 1;
                match transact(&pool, &work).await? {
                    Attempt::Final(outcome) => return outcome,
                    Attempt::Conflict(fault) if tries >= TRIES_MAX => {
                        return Err(E::from(fault));
                    }
                    Attempt::Conflict(_) => back_off(tries).await,
                }
            }
        })
        .await
    }

    async fn run<T, E>(
        &self,
        work: impl AsyncFnOnce(Pool) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let stopped = || E::from(Fault::new("the database thread has stopped"));
        self.work
            .send(Box::new(move |pool| {
                Box::pin(async move {
                    // Nobody waits any more when the caller went away; what was committed stays.
                    let _ = answer.send(work(pool).await);
                })
            }))
            .map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

fn run_until_closed(
    config: Config,
    mut work: mpsc::UnboundedReceiver<Work>,
    started: oneshot::Sender<Result<(), Fault>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(Fault::while_doing("starting a runtime", error)));
            return;
        }
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let pool = match connect(config).await {
            Ok(pool) => {
                let _ = started.send(Ok(()));
                pool
            }
            Err(fault) => {
                let _ = started.send(Err(fault));
                return;
            }
        };
        while let Some(work) = work.recv().await {
            tokio::task::spawn_local(work(pool.clone()));
        }
    });
}

async fn connect(config: Config) -> Result<Pool, Fault> {
    let manager_config = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, manager_config)
    } else {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Fault::while_doing("preparing TLS for the database", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Manager::from_config(config, MakeRustlsConnect::new(tls), manager_config)
    };
    let pool = Pool::builder(manager)
        .max_size(CONNECTIONS_MAX)
        .build()
        .map_err(|error| Fault::while_doing("making the connection pool", error))?;
    Session::take(&pool).await?;
    Ok(pool)
}

enum Attempt<T, E> {
    Final(Result<T, E>),
    Conflict(Fault),
}

async fn transact<T, E: From<Fault>>(
    pool: &Pool,
    work: &impl AsyncFn(&mut Tx) -> Result<T, E>,
) -> Result<Attempt<T, E>, Fault> {
    let session = Session::take(pool).await?;
    session.control("BEGIN").await?;
    let mut tx = Tx(Connection::Postgres(session));
    // A panic must not give the connection back with its transaction open.
    let outcome = AssertUnwindSafe(work(&mut tx))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(E::from(Fault::new("a database closure panicked"))));
    let Connection::Postgres(mut session) = tx.0 else {
        return Err(Fault::new("a transaction changed its connection"));
    };
    if let Some(conflict) = session.conflict.take() {
        session.abandon().await;
        return Ok(Attempt::Conflict(conflict));
    }
    if outcome.is_err() {
        session.abandon().await;
        return Ok(Attempt::Final(outcome));
    }
    match session.client.batch_execute("COMMIT").await {
        Ok(()) => Ok(Attempt::Final(outcome)),
        Err(error) if is_conflict(&error) => Ok(Attempt::Conflict(Fault::while_doing(
            "committing to the database",
            error,
        ))),
        Err(error) => Err(Fault::while_doing("committing to the database", error)),
    }
}

fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

/// Waits a random while, longer each time, so that two rivals do not meet again.
async fn back_off(tries: u32) {
    let [dice] = crate::Entropy::system().bytes();
    let longest_ms = 4_u64 << tries.min(7);
    tokio::time::sleep(Duration::from_millis(
        1 + longest_ms * u64::from(dice) / 255,
    ))
    .await;
}

/// A pooled connection in the middle of a closure.
#[derive(Debug)]
pub(crate) struct Session {
    client: Object,
    /// Set when the database asked for the transaction to be tried again.
    conflict: Option<Fault>,
}

impl Session {
    async fn take(pool: &Pool) -> Result<Session, Fault> {
        let client = pool
            .get()
            .await
            .map_err(|error| Fault::while_doing("connecting to the database", error))?;
        Ok(Session {
            client,
            conflict: None,
        })
    }

    async fn control(&self, sql: &'static str) -> Result<(), Fault> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| Fault::while_doing(format!("running {sql:?}"), error))
    }

    /// Rolls back; a connection that cannot even do that is not used again.
    async fn abandon(self) {
        if self.client.batch_execute("ROLLBACK").await.is_err() {
            drop(Object::take(self.client));
        }
    }

    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<u64, Fault> {
        let result = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.execute_raw(&statement, values).await
        }
        .await;
        self.note(sql, result)
    }

    pub(crate) async fn rows(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<Row>, Fault> {
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &_).collect();
        let result = async {
            let statement = self.client.prepare_cached(sql).await?;
            let columns: Arc<[String]> = statement
                .columns()
                .iter()
                .map(|column| column.name().to_owned())
                .collect();
            self.client
                .query(&statement, &parameters)
                .await?
                .iter()
                .map(|row| {
                    let values = (0..columns.len())
                        .map(|position| row.try_get(position))
                        .collect::<Result<_, _>>()?;
                    Ok(Row {
                        columns: Arc::clone(&columns),
                        values,
                    })
                })
                .collect()
        }
        .await;
        self.note(sql, result)
    }

    fn note<T>(
        &mut self,
        sql: &'static str,
        result: Result<T, tokio_postgres::Error>,
    ) -> Result<T, Fault> {
        result.map_err(|error| {
            let conflict = is_conflict(&error);
            let fault = Fault::while_doing(format!("running {sql:?}"), error);
            if conflict {
                self.conflict = Some(fault);
                return Fault::new("the transaction is to be tried again");
            }
            fault
        })
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) if *kind == Type::INT8 => value.to_sql(kind, out),
            Value::Int(value) if *kind == Type::INT4 => i32::try_from(*value)?.to_sql(kind, out),
            Value::Text(text) if *kind == Type::TEXT => text.to_sql(kind, out),
            Value::Bytes(bytes) if *kind == Type::BYTEA => bytes.to_sql(kind, out),
            value => Err(format!("{value:?} does not fit a parameter of type {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(
        kind: &Type,
        raw: &'a [u8],
    ) -> Result<Value, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(kind, raw)?.into()),
            Type::TEXT => Value::Text(String::from_sql(kind, raw)?),
            Type::BYTEA => Value::Bytes(Vec::from_sql(kind, raw)?),
            _ => return Err(format!("a column of type {kind} is outside our subset").into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Value, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
