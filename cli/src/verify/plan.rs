//! What the command does before it does it.

/// `marathon verify --plan`.
pub(crate) const PLAN: &str = "\
marathon verify does this, in this order:

1. Reads the settings of the stack's functions, the event source mapping, quotas, secrets, buckets and the key. Changes nothing.
   Stops here if one of these checks fails.
2. Reads both submissions and all submissions of their challenge from the Submission API. Stops if somebody else takes part in the
   challenge or if an id has run before.
3. Delivers the good submission's message to the function intake. The stack processes it: one build, one training job, one image, a
   model and an outcome in the output bucket, one review with two artifacts.
4. Compares image digest, model, outcome, review, log lines and metrics with each other.
5. Saves the challenge's settings to a file in this folder and overwrites the SSM parameter with invalid ones. Delivers the broken
   submission's message. The execution fails: a fault of the platform, with a review that says so and the alarm failed-executions,
   which notifies its subscribers.
6. Restores the settings, also after an error or Ctrl-C, and redrives the execution. It is then rejected: one build, and a
   training job if it builds.

Calls, by service:
  Lambda           GetFunctionConfiguration (6), ListEventSourceMappings, GetAccountSettings, Invoke (2)
  Service Quotas   ListServiceQuotas (some pages for each of two services)
  Secrets Manager  GetSecretValue (up to 3)
  S3               ListObjectsV2, GetBucketLifecycleConfiguration, HeadObject, GetObject
  KMS              DescribeKey
  CloudWatch       GetMetricStatistics, DescribeAlarms, every 15 seconds for at most 10 minutes; Logs: DescribeLogGroups, FilterLogEvents
  CodeBuild        BatchGetProjects
  Step Functions   DescribeStateMachine, DescribeExecution (every few seconds), RedriveExecution
  ECR, SageMaker   DescribeImages, DescribeTrainingJob
  SSM              GetParameter, PutParameter (2, or DeleteParameter if there were no settings)
  Submission API   GET submissions and reviews

Cost, in US East (N. Virginia) with the defaults of the stack: two builds of some minutes at $0.01 a minute, up to two training jobs of
some minutes on ml.m5.large at $0.115 an hour, and a few thousand calls: less than $0.20.";
