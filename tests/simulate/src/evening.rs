//! One evening from the first message to the last outcome.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::account::{Account, Event};
use crate::jsonata::Jsonata;
use crate::ledger::Violation;
use crate::plan::Plan;
use crate::result::Outcomes;
use crate::stack::Stack;
use crate::step_functions::{LONGEST_HISTORY, Quotas, Status, StepFunctions};
use crate::time::Agenda;

/// The state machines of the stack.
const STATE_MACHINES: [&str; 2] = ["ProcessingStateMachine", "ScoringStateMachine"];
/// A simulation that takes longer than this is stopped: executions end after 14 days.
const LONGEST: Duration = Duration::from_hours(60 * 24);

/// How far a simulation is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub elapsed: Duration,
    pub reported: usize,
    pub events: u64,
}

/// An evening before it begins.
pub struct Evening {
    account: Account,
    step_functions: StepFunctions,
    agenda: Agenda<Event>,
    window: Duration,
}

impl Evening {
    /// Reads the definitions in `definitions`; `jsonata` is the folder of the reference implementation.
    pub fn new(plan: &Plan, definitions: &Path, jsonata: &Path) -> Result<Self> {
        let stack = Stack::of_project();
        let quotas =
            Quotas { start_execution: plan.quotas.start_execution, state_transition: plan.quotas.state_transition };
        let mut step_functions = StepFunctions::new(Jsonata::start(jsonata)?, quotas, plan.seed);
        for resource in STATE_MACHINES {
            let machine = stack.state_machine(resource, definitions)?;
            step_functions.create(resource, &machine.arn, &machine.definition).context(resource)?;
        }
        let account = Account::new(&stack, plan)?;
        let mut agenda = Agenda::default();
        account.publish(plan, &mut agenda);
        let window = Duration::from_secs(stack.number("KafkaBatchWindowSeconds")?.into());
        Ok(Self { account, step_functions, agenda, window })
    }

    /// Lets everything happen.
    pub fn run(mut self, mut progress: impl FnMut(Progress)) -> Result<Outcomes> {
        let mut events = 0_u64;
        while let Some(event) = self.agenda.next_event() {
            events += 1;
            match event {
                Event::Step(step) => self.step_functions.handle(step, &mut self.agenda, &mut self.account)?,
                Event::Account(occurrence) => {
                    self.account.handle(occurrence, &mut self.step_functions, &mut self.agenda, self.window);
                }
            }
            if events.is_multiple_of(4096) {
                let (elapsed, reported) = (self.agenda.now().elapsed(), self.account.ledger.outcomes().len());
                progress(Progress { elapsed, reported, events });
                if elapsed > LONGEST {
                    break;
                }
            }
        }
        Ok(self.outcomes(events))
    }

    fn outcomes(mut self, events: u64) -> Outcomes {
        let mut longest_history = (0, String::new());
        let mut statuses = BTreeMap::<&str, usize>::new();
        for execution in self.step_functions.executions() {
            let (count, arn) = (execution.history.len(), execution.arn.to_string());
            if count >= LONGEST_HISTORY {
                self.account.ledger.violate(Violation::HistoryFull { execution: arn.clone(), events: count });
            }
            if count > longest_history.0 {
                longest_history = (count, arn);
            }
            let status = match execution.status {
                Status::Running => "running",
                Status::Succeeded => "succeeded",
                Status::Failed(_) => "failed",
                Status::TimedOut => "timedOut",
            };
            *statuses.entry(status).or_default() += 1;
        }
        Outcomes::new(&self.account, &self.step_functions, statuses, longest_history, events)
    }
}
