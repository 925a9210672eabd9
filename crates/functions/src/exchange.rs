//! Where a runtime and the server meet: the state of one instance as the Runtime API sees it
//! (lambda.md §8). The HTTP in front of it is `http/runtime_api.rs`; who waits behind it is
//! `runner.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::invocations::{Failure, Invocation};

/// An invocation on its way into the runtime.
pub(crate) struct Dispatch {
    pub(crate) invocation: Arc<Invocation>,
    /// Milliseconds since the epoch.
    pub(crate) deadline_ms: i64,
}

/// What the runtime did.
#[derive(Debug)]
pub(crate) enum Signal {
    /// It asked for an invocation.
    Ready,
    /// It answered the invocation it had.
    Answered(Result<Bytes, Failure>),
    /// It could not start and says why.
    InitFailed(Bytes),
}

/// Why a call of the runtime is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExchangeDenial {
    /// The id is not that of the invocation the runtime has.
    InvalidRequestId,
    /// The call does not fit what the runtime did before.
    InvalidTransition,
}

pub(crate) struct Exchange {
    phase: Mutex<Phase>,
    signals: mpsc::UnboundedSender<Signal>,
}

enum Phase {
    /// Started, and has not asked for an invocation yet.
    Starting,
    /// Asks for an invocation.
    Waiting(oneshot::Sender<Dispatch>),
    /// Has this invocation.
    Busy(String),
    /// Has answered and not asked again.
    Answered,
}

impl Exchange {
    pub(crate) fn new() -> (Arc<Exchange>, mpsc::UnboundedReceiver<Signal>) {
        let (signals, received) = mpsc::unbounded_channel();
        let exchange = Exchange {
            phase: Mutex::new(Phase::Starting),
            signals,
        };
        (Arc::new(exchange), received)
    }

    /// The runtime asks for an invocation. A second question replaces the first one, whose
    /// connection has usually broken.
    pub(crate) fn next(&self) -> Result<oneshot::Receiver<Dispatch>, ExchangeDenial> {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Busy(_)) {
            return Err(ExchangeDenial::InvalidTransition);
        }
        let (sender, receiver) = oneshot::channel();
        *phase = Phase::Waiting(sender);
        drop(phase);
        self.signal(Signal::Ready);
        Ok(receiver)
    }

    /// The runtime has answered or failed the invocation `id`.
    pub(crate) fn answer(
        &self,
        id: &str,
        outcome: Result<Bytes, Failure>,
    ) -> Result<(), ExchangeDenial> {
        let mut phase = self.phase();
        match &*phase {
            Phase::Busy(current) if current == id => {
                *phase = Phase::Answered;
                drop(phase);
                self.signal(Signal::Answered(outcome));
                Ok(())
            }
            _ => Err(ExchangeDenial::InvalidRequestId),
        }
    }

    /// The runtime could not start.
    pub(crate) fn fail_init(&self, body: Bytes) -> Result<(), ExchangeDenial> {
        if !matches!(*self.phase(), Phase::Starting) {
            return Err(ExchangeDenial::InvalidTransition);
        }
        self.signal(Signal::InitFailed(body));
        Ok(())
    }

    /// Hands an invocation to the runtime; false when it does not ask for one right now.
    pub(crate) fn dispatch(&self, dispatch: Dispatch) -> bool {
        let mut phase = self.phase();
        if !matches!(*phase, Phase::Waiting(_)) {
            return false;
        }
        let id = dispatch.invocation.id.clone();
        let Phase::Waiting(sender) = std::mem::replace(&mut *phase, Phase::Answered) else {
            return false;
        };
        // The connection of the question may have broken; the runtime asks again or ends.
        if sender.send(dispatch).is_err() {
            return false;
        }
        *phase = Phase::Busy(id);
        true
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        // Nobody listens when the instance is being retired.
        let _ = self.signals.send(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispatch(id: &str) -> Dispatch {
        Dispatch {
            invocation: Arc::new(Invocation {
                id: id.into(),
                payload: Bytes::from_static(b"{}"),
                client_context: None,
                function_arn: "arn".into(),
                trace_id: "Root=1".into(),
            }),
            deadline_ms: 0,
        }
    }

    fn answer() -> Result<Bytes, Failure> {
        Ok(Bytes::from_static(b"1"))
    }

    #[test]
    fn an_invocation_is_asked_for_given_and_answered_once() {
        let (exchange, mut signals) = Exchange::new();
        assert!(!exchange.dispatch(dispatch("a")), "nobody asks yet");
        let mut next = exchange.next().unwrap();
        assert!(exchange.dispatch(dispatch("a")));
        assert_eq!(next.try_recv().unwrap().invocation.id, "a");
        assert!(!exchange.dispatch(dispatch("b")), "one at a time");
        assert_eq!(exchange.answer("a", answer()), Ok(()));
        assert_eq!(
            exchange.answer("a", answer()),
            Err(ExchangeDenial::InvalidRequestId)
        );
        assert!(matches!(signals.try_recv(), Ok(Signal::Ready)));
        assert!(matches!(signals.try_recv(), Ok(Signal::Answered(Ok(_)))));
        assert!(signals.try_recv().is_err());
    }

    #[test]
    fn calls_in_the_wrong_state_are_refused() {
        let (exchange, _signals) = Exchange::new();
        assert_eq!(
            exchange.answer("a", answer()),
            Err(ExchangeDenial::InvalidRequestId)
        );
        let _next = exchange.next().unwrap();
        assert_eq!(
            exchange.fail_init(Bytes::new()),
            Err(ExchangeDenial::InvalidTransition)
        );
        assert!(exchange.dispatch(dispatch("a")));
        assert_eq!(
            exchange.next().err(),
            Some(ExchangeDenial::InvalidTransition)
        );
        assert_eq!(
            exchange.answer("b", answer()),
            Err(ExchangeDenial::InvalidRequestId)
        );
    }

    #[test]
    fn a_question_whose_connection_broke_loses_no_invocation() {
        let (exchange, _signals) = Exchange::new();
        drop(exchange.next().unwrap());
        assert!(!exchange.dispatch(dispatch("a")));
        let mut next = exchange.next().unwrap();
        assert!(exchange.dispatch(dispatch("a")));
        assert!(next.try_recv().is_ok());
    }
}
