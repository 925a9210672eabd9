//! Apps and API keys as they were read a moment ago: every request asks for
//! one, and they hardly ever change.
//!
//! What this node changes counts at once, because the change forgets everything
//! here. What another process changes (a further node, a sub-command) counts
//! after [`FRESH_MS`] at the latest: so long a deleted API key may still work there.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{App, AppId};

/// What was read lately. All clones of a handle share it.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Counts the changes.
    changes: u64,
    apps: HashMap<AppId, Entry<Arc<App>>>,
    /// By prefix.
    api_keys: HashMap<String, Entry<RecentKey>>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    read_at_ms: i64,
}

/// An API key and the app that it acts for.
#[derive(Clone, Debug)]
pub(crate) struct RecentKey {
    pub(crate) hash: Vec<u8>,
    pub(crate) app: Arc<App>,
}

/// Until when what is about to be read may be kept: until the next change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    changes: u64,
    now_ms: i64,
}

impl Recent {
    /// To be called before the database is read.
    pub(crate) fn begin(&self, now_ms: i64) -> Reading {
        Reading {
            changes: self.entries().changes,
            now_ms,
        }
    }

    pub(crate) fn app(&self, id: &AppId, now_ms: i64) -> Option<Arc<App>> {
        fresh(&self.entries().apps, id, now_ms)
    }

    pub(crate) fn api_key(&self, prefix: &str, now_ms: i64) -> Option<RecentKey> {
        fresh(&self.entries().api_keys, prefix, now_ms)
    }

    pub(crate) fn keep_app(&self, reading: Reading, app: &Arc<App>) {
        if let Some(mut entries) = self.unchanged_since(reading) {
            keep(&mut entries.apps, app.id.clone(), Arc::clone(app), reading);
        }
    }

    pub(crate) fn keep_api_key(&self, reading: Reading, prefix: String, key: RecentKey) {
        if let Some(mut entries) = self.unchanged_since(reading) {
            keep(&mut entries.api_keys, prefix, key, reading);
        }
    }

    /// To be called after each change of an app or an API key.
    pub(crate) fn forget(&self) {
        let mut entries = self.entries();
        entries.changes += 1;
        entries.apps.clear();
        entries.api_keys.clear();
    }

    fn unchanged_since(&self, reading: Reading) -> Option<MutexGuard<'_, Entries>> {
        Some(self.entries()).filter(|entries| entries.changes == reading.changes)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fresh<K, Q, T: Clone>(entries: &HashMap<K, Entry<T>>, key: &Q, now_ms: i64) -> Option<T>
where
    K: Borrow<Q> + Hash + Eq,
    Q: Hash + Eq + ?Sized,
{
    let entry = entries.get(key)?;
    // Nor before it was read: a clock that was set back makes nothing live longer.
    let is_fresh = (0..FRESH_MS).contains(&(now_ms - entry.read_at_ms));
    is_fresh.then(|| entry.value.clone())
}

fn keep<K: Hash + Eq, T>(
    entries: &mut HashMap<K, Entry<T>>,
    key: K,
    value: T,
    Reading { now_ms, .. }: Reading,
) {
    // Only what exists comes here, so this is for those who have very many apps.
    if entries.len() >= ENTRIES_MAX {
        entries.clear();
    }
    let read_at_ms = now_ms;
    entries.insert(key, Entry { value, read_at_ms });
}

/// How long something is believed without looking again.
const FRESH_MS: i64 = 1_000;
const ENTRIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use platform::Entropy;

    use super::*;
    use crate::AppSettings;

    fn app() -> Arc<App> {
        Arc::new(App {
            id: AppId::random(&Entropy::seeded(1)),
            organization_id: "organization".into(),
            name: "Example".into(),
            auth_origin: "https://example.com".into(),
            additional_auth_origins: Vec::new(),
            rp_id: "example.com".into(),
            settings: AppSettings::default(),
            native_clients: Vec::new(),
            revision: 0,
            created_at_ms: 0,
            updated_at_ms: 0,
        })
    }

    #[test]
    fn what_was_read_is_believed_for_a_second() {
        let (recent, app) = (Recent::default(), app());
        recent.keep_app(recent.begin(5_000), &app);
        let found = |now_ms| recent.app(&app.id, now_ms).is_some();
        assert!(found(5_000));
        assert!(found(5_999));
        assert!(!found(6_000));
        assert!(!found(4_999));
    }

    #[test]
    fn a_change_is_seen_at_once_even_by_who_reads_across_it() {
        let (recent, app) = (Recent::default(), app());
        recent.keep_app(recent.begin(0), &app);
        let before_the_change = recent.begin(0);
        recent.forget();
        assert!(recent.app(&app.id, 0).is_none());
        recent.keep_app(before_the_change, &app);
        assert!(recent.app(&app.id, 0).is_none());
    }
}
