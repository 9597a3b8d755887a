//! How many pairs a grid of pooled quantiles decides, whoever is in the pool.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use scoring::{Grid, Sorted, Summary};

use super::{pool, sorted};

const ROWS: usize = 4000;
const SIMILAR: f64 = 0.03;

/// A uniform number above 0 and below 1.
fn uniform(random: &mut impl Rng) -> f64 {
    ((random.next_u64() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// A normal number, by Box and Muller.
fn normal(random: &mut impl Rng) -> f64 {
    (-2.0 * libm::log(uniform(random))).sqrt() * (std::f64::consts::TAU * uniform(random)).cos()
}

/// The predictions of an independent model. Those of all models lie between two points of the uniform grid.
fn honest(random: &mut impl Rng) -> Vec<f64> {
    let center = 0.507 + 0.0005 * normal(random);
    let spread = 0.002 * (0.5 * normal(random)).exp();
    let skew = 0.3 * normal(random);
    let mut value = || {
        let noise = normal(random);
        (center + spread * (noise + skew * noise * noise)).clamp(0.0, 1.0)
    };
    (0..ROWS).map(|_| value()).collect()
}

/// Predictions that are made to spoil a grid.
fn hostile() -> Vec<(&'static str, Vec<f64>)> {
    let each = |value: fn(f64) -> f64| (0..ROWS).map(|row| value(row as f64 / ROWS as f64)).collect::<Vec<f64>>();
    vec![
        ("all equal", each(|_| 0.5)),
        ("all at 0", each(|_| 0.0)),
        ("all at 1", each(|_| 1.0)),
        ("half at 0, half at 1", each(f64::round)),
        ("a tiny spread in the middle", each(|at| 0.5 + at * 1e-9)),
        ("a tiny spread at the edge", each(|at| at * 1e-300)),
        ("the whole interval", each(|at| at)),
        (
            "alternating between two neighbours",
            each(|at| if (at * ROWS as f64) % 2.0 < 1.0 { 0.5 } else { 0.5_f64.next_up() }),
        ),
    ]
}

/// The share of the pairs of samples that a grid does not decide.
fn undecided(grid: &Grid, samples: &[Sorted]) -> f64 {
    let summaries: Vec<Summary> = samples.iter().map(|sample| Summary::of(sample, grid)).collect();
    let pairs = (0..summaries.len()).flat_map(|first| (0..first).map(move |second| (first, second)));
    let open =
        pairs.clone().filter(|(first, second)| !summaries[*first].proves_far(&summaries[*second], SIMILAR)).count();
    open as f64 / pairs.count() as f64
}

#[test]
fn one_hostile_participant_leaves_less_than_two_percent_of_all_pairs_undecided() {
    let mut random = Pcg64Mcg::seed_from_u64(1337);
    let crowd: Vec<Sorted> = (0..200).map(|_| sorted(&honest(&mut random))).collect();
    // A uniform grid leaves many: without a pool, nothing would be shown.
    let share = undecided(&Grid::uniform(), &crowd);
    assert!(share > 0.1, "{share}");
    for (name, values) in hostile() {
        // The smallest pool that a grid is made of, and larger ones.
        for participants in [2, 4, 8, 32] {
            let mut members: Vec<Vec<f64>> = (1..participants).map(|_| honest(&mut random)).collect();
            members.push(values.clone());
            let grid = Grid::of_pool(1, &pool(&members));
            let share = undecided(&grid, &crowd);
            println!("{name} among {participants}: {share:.4}");
            assert!(share < 0.02, "{name} among {participants}: {share}");
        }
    }
}

#[test]
fn a_grid_of_many_participants_decides_as_many_pairs_as_4096_points_would() {
    let mut random = Pcg64Mcg::seed_from_u64(1337);
    let crowd: Vec<Sorted> = (0..200).map(|_| sorted(&honest(&mut random))).collect();
    let pooled: Vec<Vec<f64>> = (0..64).map(|_| honest(&mut random)).collect();
    let grid = Grid::of_pool(1, &pool(&pooled));
    let fine: Vec<Vec<u32>> = crowd
        .iter()
        .map(|sample| {
            (0..=4096)
                .map(|at| sample.values().partition_point(|value| *value <= f64::from(at) / 4096.0) as u32)
                .collect()
        })
        .collect();
    let (mut open, mut pairs) = (0_u32, 0_u32);
    for (first, counts) in fine.iter().enumerate() {
        for others in &fine[..first] {
            let gap = counts.iter().zip(others).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
            open += u32::from(f64::from(gap) / (ROWS as f64) < SIMILAR);
            pairs += 1;
        }
    }
    let (ours, theirs) = (undecided(&grid, &crowd), f64::from(open) / f64::from(pairs));
    println!("{ours:.4} with 64 points, {theirs:.4} with 4097");
    assert!(ours < theirs + 0.002, "{ours} {theirs}");
}
