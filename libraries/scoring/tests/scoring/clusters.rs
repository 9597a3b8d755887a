use scoring::kmeans::{Clusters, KMeans, KMeansError, Rows};

/// Rows around one middle for each group, from a fixed stream of numbers.
fn rows(count: usize, features: usize, groups: usize, spread: f32) -> Rows {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let mut rows = Rows::new(features);
    for row in 0..count {
        let group = row % groups;
        let values: Vec<f32> =
            (0..features).map(|feature| ((group * 7 + feature * 3) % 11) as f32 + spread * next()).collect();
        rows.push(&values);
    }
    rows
}

/// The nearest center, summed feature by feature in order, as the library promises.
fn nearest(rows: &Rows, row: usize, centers: &[Vec<f64>]) -> u32 {
    let mut best = (0, f32::INFINITY);
    for (index, center) in (0..).zip(centers) {
        let distance = rows.row(row).zip(center).fold(0.0, |sum, (value, center)| {
            let off = value - *center as f32;
            sum + off * off
        });
        if distance < best.1 {
            best = (index, distance);
        }
    }
    best.0
}

fn check(rows: &Rows, found: &Clusters) {
    assert_eq!(found.labels.len(), rows.count());
    for (row, label) in found.labels.iter().enumerate() {
        assert_eq!(*label, nearest(rows, row, &found.centers), "row {row}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for (rows, clusters) in [(rows(9_001, 7, 9, 9.0), 5), (rows(4_099, 3, 4, 5.0), 12), (rows(20, 2, 3, 1.0), 3)] {
        let parameters = KMeans { clusters, n_init: 2, max_iter: 25, tolerance: 0.0, ..KMeans::default() };
        let alone = parameters.fit(&rows, 1).unwrap();
        check(&rows, &alone);
        for threads in [2, 3, 8] {
            let together = parameters.fit(&rows, threads).unwrap();
            assert_eq!(together, alone, "{threads} threads");
            assert_eq!(together.inertia.to_bits(), alone.inertia.to_bits());
        }
    }
}

#[test]
fn separate_groups_are_found() {
    let rows = rows(500, 4, 5, 0.1);
    let found = KMeans::default().fit(&rows, 2).unwrap();
    for (row, label) in found.labels.iter().enumerate() {
        assert_eq!(*label, found.labels[row % 5], "row {row} belongs to the same group");
    }
    let mut labels = found.labels[..5].to_vec();
    labels.sort_unstable();
    assert_eq!(labels, [0, 1, 2, 3, 4]);
    assert!(found.inertia < 500.0 * 4.0 * 0.01);
}

#[test]
fn centers_are_the_means_when_no_row_moves() {
    let rows = rows(1_003, 3, 6, 6.0);
    let found = KMeans { tolerance: 0.0, ..KMeans::default() }.fit(&rows, 2).unwrap();
    assert!(found.iterations < 300);
    for (label, center) in (0..).zip(&found.centers) {
        let members: Vec<usize> = (0..rows.count()).filter(|row| found.labels[*row] == label).collect();
        for (feature, mean) in center.iter().enumerate() {
            let sum: f64 = members.iter().map(|row| f64::from(rows.row(*row).nth(feature).unwrap())).sum();
            assert!((sum / members.len() as f64 - mean).abs() < 1e-9);
        }
    }
}

#[test]
fn more_starts_are_never_worse_and_the_seed_decides() {
    let rows = rows(2_000, 6, 11, 8.0);
    let one = KMeans::default().fit(&rows, 2).unwrap();
    let ten = KMeans { n_init: 10, ..KMeans::default() }.fit(&rows, 2).unwrap();
    assert!(ten.inertia <= one.inertia);
    assert_eq!(one, KMeans::default().fit(&rows, 2).unwrap());
    assert_ne!(one.labels, KMeans { seed: 7, ..KMeans::default() }.fit(&rows, 2).unwrap().labels);
}

#[test]
fn the_stream_of_random_numbers_is_fixed() {
    let found = KMeans { max_iter: 3, ..KMeans::default() }.fit(&rows(64, 2, 9, 3.0), 1).unwrap();
    let digits: String = found.labels.iter().map(u32::to_string).collect();
    assert_eq!(digits, "1042342341042042341032042341042342014042042344042042311032042011");
}

#[test]
fn identical_rows_share_a_cluster() {
    let mut rows = Rows::new(2);
    for _ in 0..20 {
        rows.push(&[0.5, 0.5]);
    }
    let found = KMeans::default().fit(&rows, 2).unwrap();
    assert_eq!(found.labels, [0; 20]);
    assert_eq!(found.inertia, 0.0);
}

#[test]
fn with_as_many_clusters_as_rows_none_is_empty() {
    let rows = rows(9, 2, 9, 0.5);
    let found = KMeans { clusters: 9, ..KMeans::default() }.fit(&rows, 1).unwrap();
    let mut labels = found.labels.clone();
    labels.sort_unstable();
    assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn invalid_parameters_and_too_few_rows_are_refused() {
    let few = rows(4, 2, 2, 1.0);
    assert_eq!(KMeans::default().fit(&few, 1), Err(KMeansError::TooFewRows { rows: 4, clusters: 5 }));
    assert_eq!(KMeans { n_init: 0, ..KMeans::default() }.fit(&few, 1), Err(KMeansError::Parameter("n_init")));
    assert_eq!(KMeans { clusters: 0, ..KMeans::default() }.fit(&few, 1), Err(KMeansError::Parameter("clusters")));
    assert_eq!(KMeans { max_iter: 0, ..KMeans::default() }.fit(&few, 1), Err(KMeansError::Parameter("max_iter")));
}
