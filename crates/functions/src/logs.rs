//! What functions print: the log of one invocation while it runs, and its row once it has ended
//! (lambda.md §6).
//!
//! Rows are written off the invocation's way, many at once, so that printing costs an invocation
//! no commit. A server that is killed may lose the last rows; nobody was told of them.

use std::{sync::Arc, time::Duration};

use platform::{Fault, Platform, values};
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Functions, functions, names};

/// Of one invocation at least half of this is kept, from its end.
const LOG_BYTES_MAX: usize = 512 * 1024;
const TAIL_BYTES_MAX: usize = 4096;
/// Of one function.
const ROWS_MAX: i64 = 1000;
const WAITING_ROWS_MAX: usize = 4096;
const BATCH_MAX: usize = 256;
/// How long rows are gathered: a commit of their own for each would slow down everybody's commits.
const GATHERING: Duration = Duration::from_millis(200);

/// The log of the invocation that an instance is working on.
#[derive(Debug)]
pub(crate) struct InvocationLog {
    function: String,
    bytes: Vec<u8>,
    /// Up to here lines have been told to the server's own log.
    told: usize,
}

/// What the last line of an invocation's log says.
pub(crate) struct Report<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) duration_ms: f64,
    pub(crate) memory_mb: i64,
    pub(crate) peak_memory_mb: u64,
    /// Only of the first invocation of an instance.
    pub(crate) init_ms: Option<f64>,
}

impl InvocationLog {
    pub(crate) fn new(function: &str) -> InvocationLog {
        InvocationLog {
            function: function.to_owned(),
            bytes: Vec::new(),
            told: 0,
        }
    }

    /// What the function printed.
    pub(crate) fn push(&mut self, printed: &[u8]) {
        self.bytes.extend_from_slice(printed);
        while let Some(length) = self.bytes[self.told..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let line = String::from_utf8_lossy(&self.bytes[self.told..self.told + length]);
            tracing::info!(function = %self.function, "{line}");
            self.told += length + 1;
        }
        if self.bytes.len() > LOG_BYTES_MAX {
            // The end is what a reader wants, and what a caller is shown.
            let cut = self.bytes.len() - LOG_BYTES_MAX / 2;
            self.bytes.drain(..cut);
            self.told = self.told.saturating_sub(cut);
        }
    }

    pub(crate) fn start(&mut self, request_id: &str) {
        let line = format!("START RequestId: {request_id} Version: {}\n", names::LATEST);
        self.platform(&line);
    }

    /// A line of the platform's about a failure.
    pub(crate) fn failure(&mut self, line: &str) {
        self.platform(&format!("{line}\n"));
    }

    pub(crate) fn end(&mut self, report: &Report<'_>) {
        let Report {
            request_id,
            duration_ms,
            memory_mb,
            peak_memory_mb,
            init_ms,
        } = report;
        let billed_ms = (duration_ms + init_ms.unwrap_or(0.0)).ceil();
        let init = init_ms.map_or(String::new(), |ms| format!("Init Duration: {ms:.2} ms\t"));
        let lines = format!(
            "END RequestId: {request_id}\n\
             REPORT RequestId: {request_id}\tDuration: {duration_ms:.2} ms\t\
             Billed Duration: {billed_ms:.0} ms\tMemory Size: {memory_mb} MB\t\
             Max Memory Used: {peak_memory_mb} MB\t{init}\n"
        );
        self.platform(&lines);
    }

    /// Lines of ours begin at the start of a line and are no news to the server's own log.
    fn platform(&mut self, lines: &str) {
        if self.bytes.last().is_some_and(|byte| *byte != b'\n') {
            self.push(b"\n");
        }
        for line in lines.lines() {
            tracing::debug!(function = %self.function, "{line}");
        }
        self.bytes.extend_from_slice(lines.as_bytes());
        self.told = self.bytes.len();
    }

    /// The last 4 KB as text.
    pub(crate) fn tail(&self) -> String {
        let from = self.bytes.len().saturating_sub(TAIL_BYTES_MAX);
        // Not from the middle of a character.
        let from = (from..self.bytes.len())
            .find(|at| self.bytes[*at] & 0xc0 != 0x80)
            .unwrap_or(from);
        String::from_utf8_lossy(&self.bytes[from..]).into_owned()
    }

    /// The whole text, and an empty log for the next invocation.
    pub(crate) fn take(&mut self) -> String {
        self.told = 0;
        // PostgreSQL's texts hold no NUL.
        String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).replace('\0', "\u{fffd}")
    }
}

/// The log of one ended invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where this entry stands; what [`Functions::list_logs`] takes to go on behind it.
    pub cursor: LogCursor,
    /// Id of the invocation.
    pub request_id: String,
    /// Which instance it ran in, `YYYY/MM/DD/[$LATEST]…`.
    pub log_stream: String,
    /// Whether the function failed.
    pub is_error: bool,
    /// `START`, what the function printed, `END` and `REPORT`; of a long text the end.
    pub text: String,
}

/// A place in a function's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCursor {
    /// Milliseconds since the epoch.
    pub written_at_ms: i64,
    id: String,
}

impl Functions {
    /// A page of a function's log, newest first, from behind `after`.
    pub async fn list_logs(
        &self,
        organization_id: &str,
        function: &str,
        after: Option<&LogCursor>,
        count_max: usize,
    ) -> Result<Vec<LogEntry>, Error> {
        let reference = functions::parse(function)?;
        let function = self.resolve(organization_id, &reference).await?;
        let (before_ms, before_id) = after.map_or((i64::MAX, String::new()), |cursor| {
            (cursor.written_at_ms, cursor.id.clone())
        });
        let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
        let entries = self
            .inner
            .platform
            .db
            .read(async move |tx| {
                tx.rows(
                    "SELECT id, request_id, log_stream, is_error, text, written_at_ms
                     FROM functions_logs
                     WHERE function_id = $1 AND (written_at_ms, id) < ($2, $3)
                     ORDER BY written_at_ms DESC, id DESC LIMIT $4",
                    values![function.id, before_ms, before_id, limit],
                )
                .await?
                .iter()
                .map(|row| {
                    Ok::<_, Fault>(LogEntry {
                        cursor: LogCursor {
                            written_at_ms: row.get("written_at_ms")?,
                            id: row.get("id")?,
                        },
                        request_id: row.get("request_id")?,
                        log_stream: row.get("log_stream")?,
                        is_error: row.get("is_error")?,
                        text: row.get("text")?,
                    })
                })
                .collect()
            })
            .await?;
        Ok(entries)
    }
}

/// A row that waits to be written.
#[derive(Clone, Debug)]
pub(crate) struct NewLogEntry {
    pub(crate) function_id: Arc<str>,
    pub(crate) request_id: String,
    pub(crate) log_stream: Arc<str>,
    pub(crate) is_error: bool,
    pub(crate) text: String,
}

/// Takes rows and writes them in its own time.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    entries: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Entry(NewLogEntry),
    Flush(oneshot::Sender<()>),
}

impl LogWriter {
    pub(crate) fn start(platform: Platform) -> LogWriter {
        let (entries, waiting) = mpsc::channel(WAITING_ROWS_MAX);
        tokio::spawn(write_all(platform, waiting));
        LogWriter { entries }
    }

    /// Never waits: when the database is slower than the functions print, rows are lost.
    pub(crate) fn write(&self, entry: NewLogEntry) {
        if let Err(mpsc::error::TrySendError::Full(_)) =
            self.entries.try_send(Message::Entry(entry))
        {
            tracing::warn!("a function's log was dropped: the database is too slow for it");
        }
    }

    /// Waits until all rows so far are written.
    pub(crate) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.entries.send(Message::Flush(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

async fn write_all(platform: Platform, mut waiting: mpsc::Receiver<Message>) {
    while let Some(first) = waiting.recv().await {
        let mut entries = Vec::new();
        let mut flush = None;
        let mut next = Some(first);
        let gathered = tokio::time::Instant::now() + GATHERING;
        while let Some(message) = next {
            match message {
                Message::Entry(entry) => entries.push(entry),
                Message::Flush(done) => {
                    flush = Some(done);
                    break;
                }
            }
            if entries.len() == BATCH_MAX {
                break;
            }
            next = tokio::time::timeout_at(gathered, waiting.recv())
                .await
                .unwrap_or_default();
        }
        if !entries.is_empty()
            && let Err(fault) = write(&platform, entries).await
        {
            tracing::error!(%fault, "writing functions' logs");
        }
        if let Some(done) = flush {
            let _ = done.send(());
        }
    }
}

async fn write(platform: &Platform, entries: Vec<NewLogEntry>) -> Result<(), Fault> {
    let now_ms = platform.clock.now_ms();
    let rows: Vec<(String, NewLogEntry)> = entries
        .into_iter()
        .map(|entry| (platform.entropy.uuid_at(now_ms).to_string(), entry))
        .collect();
    platform
        .db
        .write(async move |tx| {
            let mut functions: Vec<&str> = Vec::new();
            for (id, entry) in &rows {
                tx.execute(
                    "INSERT INTO functions_logs (
                        id, function_id, request_id, log_stream, is_error, text, written_at_ms
                     ) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    values![
                        id,
                        &*entry.function_id,
                        &entry.request_id,
                        &*entry.log_stream,
                        entry.is_error,
                        &entry.text,
                        now_ms
                    ],
                )
                .await?;
                if !functions.contains(&&*entry.function_id) {
                    functions.push(&entry.function_id);
                }
            }
            for function_id in functions {
                tx.execute(
                    "DELETE FROM functions_logs WHERE id IN (
                        SELECT id FROM functions_logs WHERE function_id = $1
                        ORDER BY written_at_ms DESC, id DESC LIMIT 1000 OFFSET $2
                     )",
                    values![function_id, ROWS_MAX],
                )
                .await?;
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(log: &mut InvocationLog, init_ms: Option<f64>) {
        log.end(&Report {
            request_id: "id",
            duration_ms: 1.234,
            memory_mb: 128,
            peak_memory_mb: 64,
            init_ms,
        });
    }

    #[test]
    fn a_log_reads_as_the_contract_has_it() {
        let mut log = InvocationLog::new("fn");
        log.start("id");
        log.push(b"hello\nno newline");
        ended(&mut log, Some(100.0));
        assert_eq!(
            log.take(),
            "START RequestId: id Version: $LATEST\nhello\nno newline\nEND RequestId: id\n\
             REPORT RequestId: id\tDuration: 1.23 ms\tBilled Duration: 102 ms\t\
             Memory Size: 128 MB\tMax Memory Used: 64 MB\tInit Duration: 100.00 ms\t\n"
        );
        assert_eq!(log.take(), "");
    }

    #[test]
    fn a_tail_is_four_kilobytes_of_whole_characters_and_ends_with_the_report() {
        let mut log = InvocationLog::new("fn");
        log.push("é".repeat(10_000).as_bytes());
        log.push(b"x");
        ended(&mut log, None);
        let tail = log.tail();
        assert!((4094..=4096).contains(&tail.len()), "{}", tail.len());
        assert!(tail.starts_with('é') && tail.contains("REPORT"));
    }

    #[test]
    fn a_flood_keeps_its_end_within_bounds() {
        let mut log = InvocationLog::new("fn");
        for number in 0..100_000 {
            log.push(format!("line {number}\n").as_bytes());
        }
        log.push(b"\0\xff");
        let text = log.take();
        assert!(text.len() <= LOG_BYTES_MAX + 8);
        assert!(text.ends_with("line 99999\n\u{fffd}\u{fffd}"));
    }
}
