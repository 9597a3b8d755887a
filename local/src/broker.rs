//! A Kafka broker: librdkafka's mock cluster, or one that the user runs.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

/// The topic that announces reviews.
pub const TOPIC: &str = "submission.notification.aggregate";

/// A broker to talk to.
pub struct Broker {
    // Dropping it ends the mock cluster.
    _cluster: Option<MockCluster<'static, DefaultProducerContext>>,
    /// Bootstrap servers, `host:port` separated by commas.
    pub servers: String,
}

impl Broker {
    /// Starts a mock cluster of one broker, or takes the servers given.
    pub fn start(servers: Option<&str>) -> Result<Self> {
        if let Some(servers) = servers {
            return Ok(Self { _cluster: None, servers: servers.to_owned() });
        }
        let cluster = MockCluster::new(1).context("starting the Kafka broker")?;
        cluster.create_topic(TOPIC, 1, 1).context("creating the topic")?;
        let servers = cluster.bootstrap_servers();
        Ok(Self { _cluster: Some(cluster), servers })
    }

    /// Publishes one message on the topic.
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
