use proptest::prelude::*;
use scoring::metrics::MetricError;
use scoring::{InvalidFile, Limits, Metric, Predictions, Roster, Truth};

const ALL: [Metric; 6] = [Metric::LogLoss, Metric::Auc, Metric::Accuracy, Metric::Rmse, Metric::Mae, Metric::Spearman];

fn near(metric: Metric, truth: &[f64], predictions: &[f64], expected: f64) {
    let score = metric.score(truth, predictions).unwrap();
    assert!((score - expected).abs() < 1e-12, "{metric:?}: {score} is not {expected}");
}

#[test]
fn known_values_are_reproduced() {
    let truth = [0.0, 0.0, 1.0, 1.0];
    let predictions = [0.1, 0.4, 0.35, 0.8];
    near(Metric::Auc, &truth, &predictions, 0.75);
    near(Metric::LogLoss, &truth, &predictions, 0.472_287_953_809_176_15);
    near(Metric::Accuracy, &truth, &predictions, 0.75);
    near(Metric::Rmse, &truth, &predictions, (0.6325_f64 / 4.0).sqrt());
    near(Metric::Mae, &truth, &predictions, 0.3375);
    near(Metric::Spearman, &[1.0, 2.0, 3.0, 4.0, 5.0], &[5.0, 6.0, 7.0, 8.0, 7.0], 0.820_782_681_668_123_3);
}

#[test]
fn ties_count_as_one_half() {
    near(Metric::Auc, &[0.0, 1.0], &[0.5, 0.5], 0.5);
    near(Metric::Auc, &[0.0, 1.0, 1.0], &[0.5, 0.5, 0.9], 0.75);
    near(Metric::Accuracy, &[1.0, 0.0], &[0.5, 0.5], 0.5);
}

#[test]
fn a_wrong_certainty_costs_no_more_than_the_clip() {
    near(Metric::LogLoss, &[1.0], &[0.0], 34.538_776_394_910_684);
    near(Metric::LogLoss, &[1.0, 0.0], &[1.0, 0.0], 0.0);
}

#[test]
fn an_undefined_metric_is_an_error() {
    for metric in ALL {
        assert_eq!(metric.score(&[], &[]), Err(MetricError::Empty));
        assert_eq!(metric.score(&[1.0], &[]), Err(MetricError::Misaligned { truth: 1, predictions: 0 }));
        assert!(matches!(metric.score(&[f64::NAN], &[0.5]), Err(MetricError::Truth { index: 0, .. })));
        assert!(matches!(metric.score(&[1.0], &[f64::INFINITY]), Err(MetricError::Prediction { index: 0, .. })));
    }
    assert_eq!(Metric::Auc.score(&[1.0, 1.0], &[0.1, 0.2]), Err(MetricError::Constant));
    assert_eq!(Metric::Spearman.score(&[1.0, 2.0], &[0.1, 0.1]), Err(MetricError::Constant));
    assert!(matches!(Metric::Accuracy.score(&[0.5], &[0.1]), Err(MetricError::Truth { value: 0.5, .. })));
    assert!(matches!(Metric::LogLoss.score(&[1.0], &[1.1]), Err(MetricError::Prediction { .. })));
}

#[test]
fn json_names_are_those_of_the_settings() {
    let names = ["logloss", "auc", "accuracy", "rmse", "mae", "spearman"];
    for (metric, name) in ALL.into_iter().zip(names) {
        assert_eq!(serde_json::to_value(metric).unwrap(), name);
    }
}

proptest! {
    #[test]
    fn auc_is_the_share_of_pairs_in_the_right_order(rows in prop::collection::vec((0..2_u8, 0..9_u8), 2..60)) {
        let truth: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
        let predictions: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
        let (mut doubled, mut pairs) = (0_u32, 0_u32);
        for positive in rows.iter().filter(|row| row.0 == 1) {
            for negative in rows.iter().filter(|row| row.0 == 0) {
                pairs += 1;
                doubled += 2 * u32::from(positive.1 > negative.1) + u32::from(positive.1 == negative.1);
            }
        }
        let expected = if pairs == 0 { Err(MetricError::Constant) } else { Ok(f64::from(doubled) / f64::from(2 * pairs)) };
        prop_assert_eq!(Metric::Auc.score(&truth, &predictions), expected);
    }
}

#[test]
fn truth_may_cover_some_of_the_ids() {
    let roster = Roster::read("id,data_type\nb,test\na,validation\nc,live\n".as_bytes(), &Limits::data()).unwrap();
    let limits = Limits::predictions();
    let predictions = Predictions::read("id,probability\nc,0.9\nb,0.5\na,0.25\n".as_bytes(), &roster, &limits).unwrap();
    let truth = Truth::read("id,target,era\nb,1,x\na,0,x\n".as_bytes(), &roster, &limits).unwrap();
    assert_eq!(truth.count(), 2);
    assert_eq!(truth.score(Metric::Mae, &predictions), Ok(0.375));

    let read = |text: &str| Truth::read(text.as_bytes(), &roster, &limits);
    assert!(matches!(read("id,target\n"), Err(InvalidFile::NoRows)));
    assert!(matches!(read("id,target\na,\n"), Err(InvalidFile::NotANumber { .. })));
    let Err(InvalidFile::Ids(problems)) = read("id,target\na,1\na,1\nx,1\n") else { panic!("expected wrong ids") };
    assert_eq!((problems.duplicate.total, problems.unknown.total, problems.missing.total), (1, 1, 0));
}
