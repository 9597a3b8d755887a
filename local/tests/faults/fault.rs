//! Faults: which call they befall, what they do to it, and how often.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::call::Call;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service refuses it for now.
    Throttled,
    /// The service is broken.
    ServerError,
    /// The connection is reset before the service sees the call.
    Reset,
    /// The service does it, and the connection is reset before it says so.
    AnswerLost,
    /// The service does it, and does not say so in time.
    Slow,
    /// The service does it and answers with something else.
    Malformed,
    /// The calling function's process is killed while it waits.
    Crash,
    /// Nothing; the call is only seen.
    Seen,
    /// The execution that is started is to meet a case of the emulator's own faults.
    Emulated(&'static str),
    /// A synchronous task fails like this.
    TaskFails { error: &'static str, cause: &'static str },
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    ForEver,
}

/// A fault that has been injected.
#[derive(Debug)]
pub(crate) struct Fault {
    call: Call,
    /// The texts by which a request can name the submission; none for any request.
    about: Vec<String>,
    kind: Kind,
    times: Times,
    hits: AtomicU32,
    lifted: AtomicBool,
}

impl Fault {
    /// How many calls it befell.
    pub(crate) fn hits(&self) -> u32 {
        self.hits.load(Ordering::SeqCst)
    }

    /// Ends it.
    pub(crate) fn lift(&self) {
        self.lifted.store(true, Ordering::SeqCst);
    }

    /// Waits until it befell a call.
    pub(crate) async fn hit(&self) {
        while self.hits() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn befalls(&self, call: Call, request: &[&str]) -> bool {
        let is_about =
            self.about.is_empty() || self.about.iter().any(|id| request.iter().any(|text| text.contains(id.as_str())));
        if self.call != call || !is_about || self.lifted.load(Ordering::SeqCst) {
            return false;
        }
        let earlier = self.hits.fetch_add(1, Ordering::SeqCst);
        self.times == Times::ForEver || earlier == 0
    }
}

/// Every fault that has been injected into one stack.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Arc<Fault>>>);

impl Faults {
    /// Injects a fault into the calls whose request has one of these texts, or into all where the call is everybody's.
    pub(crate) fn inject(&self, call: Call, about: Vec<String>, kind: Kind, times: Times) -> Arc<Fault> {
        let about = if call.is_everybodys() { Vec::new() } else { about };
        let fault =
            Arc::new(Fault { call, about, kind, times, hits: AtomicU32::new(0), lifted: AtomicBool::new(false) });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&fault));
        fault
    }

    /// What befalls a call whose request consists of these texts.
    pub(crate) fn on(&self, call: Call, request: &[&str]) -> Option<Kind> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().find(|fault| fault.befalls(call, request)).map(|fault| fault.kind)
    }
}
