//! Pure: whether an invocation gets a running instance, starts one, or has to be turned away, and
//! when an instance that nobody uses is retired. No process, lock or clock in here.

use std::time::Duration;

/// How long an instance is kept without work.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// What there is to know of a running instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance<'a> {
    pub(crate) id: u64,
    pub(crate) function_id: &'a str,
    /// The function's revision it was started from.
    pub(crate) revision_id: &'a str,
    /// Since when it waits for work; nothing while it works.
    pub(crate) idle_since_ms: Option<i64>,
}

/// What to do with an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Give it to this idle instance.
    Reuse(u64),
    /// Start an instance.
    Start,
    /// Retire this idle instance of something else, then start one.
    Replace(u64),
    /// All instances that may run are busy.
    Refuse,
}

/// Decides for an invocation of `function_id` in its revision `revision_id`.
///
/// Of the idle instances the one that worked last is reused: it is the warmest, and the others can
/// grow old. The one that has been idle longest makes room.
pub(crate) fn decide<'a>(
    instances: impl Iterator<Item = Instance<'a>>,
    function_id: &str,
    revision_id: &str,
    instances_max: usize,
) -> Decision {
    let mut count = 0;
    let mut freshest: Option<(i64, u64)> = None;
    let mut oldest: Option<(i64, u64)> = None;
    for instance in instances {
        count += 1;
        let Some(idle_since_ms) = instance.idle_since_ms else {
            continue;
        };
        let idle = (idle_since_ms, instance.id);
        if instance.function_id == function_id && instance.revision_id == revision_id {
            freshest = freshest.max(Some(idle));
        } else {
            oldest = Some(oldest.map_or(idle, |oldest| oldest.min(idle)));
        }
    }
    match (freshest, oldest) {
        (Some((_, id)), _) => Decision::Reuse(id),
        _ if count < instances_max => Decision::Start,
        (None, Some((_, id))) => Decision::Replace(id),
        (None, None) => Decision::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: u64, function: &'static str, idle_since_ms: Option<i64>) -> Instance<'static> {
        let (function_id, revision_id) = function.split_once('@').unwrap();
        Instance {
            id,
            function_id,
            revision_id,
            idle_since_ms,
        }
    }

    #[test]
    fn an_invocation_is_placed_where_it_costs_least() {
        for (name, instances, expected) in [
            ("nothing runs", vec![], Decision::Start),
            (
                "an idle instance is reused",
                vec![instance(1, "f@1", Some(5))],
                Decision::Reuse(1),
            ),
            (
                "a busy one never is",
                vec![instance(1, "f@1", None)],
                Decision::Start,
            ),
            (
                "the one that worked last is taken",
                vec![
                    instance(1, "f@1", Some(5)),
                    instance(2, "f@1", Some(9)),
                    instance(3, "f@1", Some(7)),
                ],
                Decision::Reuse(2),
            ),
            (
                "an old revision is not reused",
                vec![instance(1, "f@0", Some(5))],
                Decision::Start,
            ),
            (
                "the longest idle makes room",
                vec![
                    instance(1, "g@1", Some(5)),
                    instance(2, "f@0", Some(3)),
                    instance(3, "f@1", None),
                ],
                Decision::Replace(2),
            ),
            (
                "all are busy",
                vec![
                    instance(1, "f@1", None),
                    instance(2, "f@1", None),
                    instance(3, "g@1", None),
                ],
                Decision::Refuse,
            ),
        ] {
            assert_eq!(
                decide(instances.into_iter(), "f", "1", 3),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn without_room_for_any_instance_everything_is_refused() {
        assert_eq!(decide([].into_iter(), "f", "1", 0), Decision::Refuse);
    }
}
