//! A Kafka broker: librdkafka's mock cluster, or the user's own.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

/// The topic that announces reviews.
pub const TOPIC: &str = "submission.notification.aggregate";

fn mock_cluster() -> Result<MockCluster<'static, DefaultProducerContext>> {
    let cluster = MockCluster::new(1).context("starting the Kafka broker")?;
    cluster.create_topic(TOPIC, 1, 1).context("creating the topic")?;
    Ok(cluster)
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    // Dropping it stops the mock cluster's thread.
    _cluster: Option<Sender<()>>,
    /// Bootstrap servers: `host:port`, separated by commas.
    pub servers: String,
}

impl Broker {
    /// Starts a mock cluster with one broker, or uses the given servers.
    pub fn start(servers: Option<&str>) -> Result<Self> {
        if let Some(servers) = servers {
            return Ok(Self { _cluster: None, servers: servers.to_owned() });
        }
        let (ended, until_ended) = channel::<()>();
        let (started, start) = channel();
        // The cluster is not Send: it stays in the thread that creates it.
        std::thread::spawn(move || match mock_cluster() {
            Ok(cluster) => {
                let _ = started.send(Ok(cluster.bootstrap_servers()));
                let _ = until_ended.recv();
            }
            Err(error) => drop(started.send(Err(error))),
        });
        Ok(Self { servers: start.recv()??, _cluster: Some(ended) })
    }

    /// Publishes a message on the topic.
    pub async fn publish(&self, key: Option<&str>, value: Option<&[u8]>) -> Result<()> {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .set("message.timeout.ms", "10000")
            .set("message.max.bytes", "6000000")
            .create()?;
        let mut record: FutureRecord<'_, str, [u8]> = FutureRecord::to(TOPIC);
        record.key = key;
        record.payload = value;
        producer
            .send(record, Duration::from_secs(10))
            .await
            .map_err(|(error, _)| error)
            .with_context(|| format!("publishing on {TOPIC} at {}", self.servers))?;
        Ok(())
    }
}
