//! What arrives minutes later: metrics and the alarm.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Datapoint, Dimension, StateValue, Statistic};
use runtime::CallFailed;
use tokio::time::{Instant, sleep};

use super::VerificationRun;
use super::checklist::Verdict;

/// How long metrics and alarms may take: an alarm looks at periods of five minutes.
const METRICS_LIMIT: Duration = Duration::from_mins(10);
const METRICS_INTERVAL: Duration = Duration::from_secs(15);

impl VerificationRun {
    pub(super) async fn watched(&mut self) {
        let begun = self.begun;
        self.check("metrics", async |deployment| {
            let cloudwatch = aws_sdk_cloudwatch::Client::new(&deployment.stack.aws);
            let deadline = Instant::now() + METRICS_LIMIT;
            loop {
                let started = cloudwatch
                    .get_metric_statistics()
                    .namespace("MarathonMatch")
                    .metric_name("Started")
                    .dimensions(Dimension::builder().name("Stack").value(&deployment.stack.name).build())
                    .start_time(begun.into())
                    .end_time((SystemTime::now() + Duration::from_mins(1)).into())
                    .period(60)
                    .statistics(Statistic::Sum)
                    .send()
                    .await
                    .map_err(|error| CallFailed::new("CloudWatch", "GetMetricStatistics", &error))?;
                let sum: f64 = started.datapoints().iter().filter_map(Datapoint::sum).sum();
                if sum >= 2.0 {
                    return Ok(Verdict::passed(format!("the metric Started counts {sum}")));
                }
                if Instant::now() > deadline {
                    let to_do =
                        "Check that the log lines of intake have a level and a time: LogLevel has to be DEBUG or INFO.";
                    return Ok(Verdict::failed(format!("the metric Started counts {sum}, expected 2"), to_do));
                }
                sleep(METRICS_INTERVAL).await;
            }
        })
        .await;
        self.check("alarm", async |deployment| {
            let cloudwatch = aws_sdk_cloudwatch::Client::new(&deployment.stack.aws);
            let name = format!("{}-failed-executions", deployment.stack.name);
            let deadline = Instant::now() + METRICS_LIMIT;
            loop {
                let alarms = cloudwatch.describe_alarms().alarm_names(&name).send().await;
                let alarms = alarms.map_err(|error| CallFailed::new("CloudWatch", "DescribeAlarms", &error))?;
                let alarm = alarms.metric_alarms().first();
                let updated = alarm.and_then(|alarm| alarm.state_updated_timestamp()).map(DateTime::secs);
                let since = begun.duration_since(SystemTime::UNIX_EPOCH).map(|at| at.as_secs()).unwrap_or_default();
                let is_new = updated.is_some_and(|at| u64::try_from(at).is_ok_and(|at| at >= since));
                if is_new && alarm.is_some_and(|alarm| alarm.state_value() == Some(&StateValue::Alarm)) {
                    return Ok(Verdict::passed(format!("{name} went off")));
                }
                if Instant::now() > deadline {
                    let to_do = "Look at the alarm's history: if it went off and is OK again, all is well.";
                    return Ok(Verdict::failed(format!("{name} has not gone off"), to_do));
                }
                sleep(METRICS_INTERVAL).await;
            }
        })
        .await;
    }
}
