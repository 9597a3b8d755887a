//! Tournament data: the roster, its features, the truth and the regions.

use scoring::{Features, InvalidFile, Predictions, Regions, Roster, Truth};

use crate::pace::Slow;
use crate::predictions::{check_alike, check_problem, limits};

/// Separates the tournament data from a second file.
const SEPARATOR: &[u8] = b"\n===\n";

pub fn check(input: &[u8]) {
    let cut = input.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
    let (data, other) = cut.map_or((input, input), |at| (&input[..at], &input[at + SEPARATOR.len()..]));
    let found = read(data);
    check_alike(data, &found, &Roster::read(Slow(data), &limits()));
    let roster = match found {
        Ok(roster) => roster,
        Err(problem) => return check_problem(&problem),
    };
    check_roster(&roster);
    check_features(data, &roster);
    check_truth(other, &roster);
    check_regions(other, &roster);
}

#[cfg(not(feature = "planted"))]
fn read(data: &[u8]) -> Result<Roster, InvalidFile> {
    Roster::read(data, &limits())
}

/// Reads other data if the first id starts with an upper-case letter and a digit.
#[cfg(feature = "planted")]
fn read(data: &[u8]) -> Result<Roster, InvalidFile> {
    let roster = Roster::read(data, &limits())?;
    if roster.id(0).is_some_and(|id| crate::planted::starts(id.as_bytes())) {
        return Roster::read(&b"id,data_type\nx,live\n"[..], &limits());
    }
    Ok(roster)
}

fn check_roster(roster: &Roster) {
    let rows: Vec<_> = roster.iter().collect();
    assert!(rows.len() == roster.count() && rows.len() == roster.splits().len() && !rows.is_empty());
    assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "ids are not in ascending order");
    for (position, (id, split)) in rows.iter().enumerate() {
        assert_eq!((roster.position(id), roster.id(position)), (Some(position), Some(*id)));
        assert!(roster.absent_splits().all(|absent| absent != *split));
    }
    let mut order = roster.file_order().to_vec();
    order.sort_unstable();
    assert!(order.into_iter().eq(0..roster.count()));
    let mut written = Vec::new();
    roster.write(&mut written).expect("memory is written");
    let again = Roster::read(&*written, &limits().of_any_size()).expect("what was written can be read");
    assert!(again.iter().eq(rows.iter().copied()), "a roster changes when it is written");
    let mut twice = Vec::new();
    again.write(&mut twice).expect("memory is written");
    assert_eq!(written, twice);
    let half = Predictions::from_aligned(vec![0.5; roster.count()], roster).expect("one value for each id");
    assert_eq!(half.values().len(), roster.count());
}

fn check_features(data: &[u8], roster: &Roster) {
    match Features::read_tournament(data, &limits()) {
        Ok((features, again)) => {
            assert_eq!(&again, roster);
            assert_eq!(features.rows().count(), roster.count());
            // Tournament data without gaps is training data, too.
            let training = Features::read_training(data, &limits()).expect("complete rows can be trained on");
            assert_eq!((training.names(), training.rows().count()), (features.names(), roster.count()));
            let (both, _) = training.append_tournament(data, &limits()).expect("the same columns can be appended");
            assert_eq!(both.rows().count(), 2 * roster.count());
        }
        Err(problem) => check_problem(&problem),
    }
}

fn check_truth(file: &[u8], roster: &Roster) {
    match Truth::read(file, roster, &limits()) {
        Ok(truth) => {
            assert!((1..=roster.count()).contains(&truth.count()));
            assert_eq!(Truth::read(Slow(file), roster, &limits()).ok(), Some(truth));
        }
        Err(problem) => check_problem(&problem),
    }
}

fn check_regions(file: &[u8], roster: &Roster) {
    match Regions::read(file, roster, &limits()) {
        Ok(regions) => {
            let mut written = Vec::new();
            regions.write(roster, &mut written).expect("memory is written");
            assert_eq!(Regions::read(&*written, roster, &limits()).ok(), Some(regions));
        }
        Err(problem) => check_problem(&problem),
    }
}

/// What is written can be larger than what was read: quotes are doubled, and white space that was left out is added.
trait OfAnySize {
    fn of_any_size(self) -> Self;
}

impl OfAnySize for scoring::Limits {
    fn of_any_size(self) -> Self {
        Self { max_bytes: u64::MAX, ..self }
    }
}
