//! Faults: which call they affect, how, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use std::time::Duration;

use tokio::time::sleep;

use crate::call::Call;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service throttles the call.
    Throttled,
    /// The service answers with a server error.
    ServerError,
    /// The connection is reset before the service sees the call.
    Reset,
    /// The service does it, and the connection is reset before the answer.
    AnswerLost,
    /// The service does it, and does not answer in time.
    Slow,
    /// The service does it, and its answer is unreadable.
    Malformed,
    /// The Submission API refuses the call, and quotes a secret.
    Denied,
    /// The calling function's process is killed while it waits.
    Crash,
    /// Nothing. The call is only observed.
    Seen,
    /// The emulator injects this case into the execution.
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
    /// Texts that identify the submission in a request. Empty for every request.
    about: Vec<String>,
    kind: Kind,
    times: Times,
    hits: AtomicU32,
    lifted: AtomicBool,
}

impl Fault {
    /// How many calls it affected.
    pub(crate) fn hits(&self) -> u32 {
        self.hits.load(Ordering::SeqCst)
    }

    /// Ends it.
    pub(crate) fn lift(&self) {
        self.lifted.store(true, Ordering::SeqCst);
    }

    /// Waits until it has affected a call.
    pub(crate) async fn hit(&self) {
        while self.hits() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn affects(&self, call: Call, request: &[&str]) -> bool {
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
    /// Injects a fault into the calls whose request contains one of these texts.
    pub(crate) fn inject(&self, call: Call, about: Vec<String>, kind: Kind, times: Times) -> Arc<Fault> {
        let about = if call.affects_every_submission() { Vec::new() } else { about };
        let fault =
            Arc::new(Fault { call, about, kind, times, hits: AtomicU32::new(0), lifted: AtomicBool::new(false) });
        self.0.lock().push(Arc::clone(&fault));
        fault
    }

    /// The fault in a call whose request consists of these texts.
    pub(crate) fn on(&self, call: Call, request: &[&str]) -> Option<Kind> {
        let faults = self.0.lock();
        faults.iter().find(|fault| fault.affects(call, request)).map(|fault| fault.kind)
    }
}
