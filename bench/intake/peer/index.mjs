// The intake function as one would write it for Node.js with the AWS SDK: the same filter, the same log lines, the same
// execution per submission. It is the peer of the benchmark and is never deployed; it leaves out the quarantine's S3.
import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';

const client = new SFNClient({ maxAttempts: 3 });

const settings = {
  resource: process.env.RESOURCE || 'review',
  originalTopic: process.env.ORIGINAL_TOPIC || 'submission.notification.create',
  typeId: process.env.REVIEW_TYPE_ID || '55bbb17d-aac2-45a6-89c3-a8d102863d05',
  score: Number(process.env.REQUIRED_SCORE || 100),
  stateMachineArn: process.env.STATE_MACHINE_ARN,
  stack: process.env.STACK_NAME,
  concurrency: Number(process.env.START_CONCURRENCY || 10),
};

const SUBMISSION_ID = /^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z0-9_-]{14})$/;
const LOWER_CASE_UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DECIMAL = /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/;

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

const awsSafe = (id) => (LOWER_CASE_UUID.test(id) ? id : `x${Buffer.from(id).toString('hex')}`);

function decide(value) {
  if (value === null || value === undefined) return { outcome: 'NotForUs', reason: 'Tombstone' };
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length === 0) return { outcome: 'NotForUs', reason: 'EmptyValue' };
  let message;
  try {
    message = JSON.parse(bytes.toString('utf8'));
  } catch {
    return { outcome: 'Quarantined', reason: 'NotJson' };
  }
  if (!isObject(message)) return { outcome: 'NotForUs', reason: 'OtherShape' };
  const review = isObject(message.payload) ? message.payload : message;
  if (review.resource !== settings.resource) return { outcome: 'NotForUs', reason: 'OtherResource' };
  if (review.originalTopic !== settings.originalTopic) return { outcome: 'NotForUs', reason: 'OtherOriginalTopic' };
  if (review.typeId !== settings.typeId) return { outcome: 'NotForUs', reason: 'OtherType' };
  const { score, submissionId } = review;
  if (score === null || score === undefined) return { outcome: 'NotForUs', reason: 'OtherScore' };
  if (typeof score !== 'number' && !(typeof score === 'string' && DECIMAL.test(score))) {
    return { outcome: 'Quarantined', reason: 'UnreadableScore' };
  }
  if (Number(score) !== settings.score) return { outcome: 'NotForUs', reason: 'OtherScore' };
  if (submissionId === null || submissionId === undefined) {
    return { outcome: 'Quarantined', reason: 'SubmissionIdMissing' };
  }
  if (typeof submissionId !== 'string' || !SUBMISSION_ID.test(submissionId)) {
    return { outcome: 'Quarantined', reason: 'SubmissionIdInvalid' };
  }
  return { outcome: 'Start', submissionId };
}

async function start(submissionId) {
  try {
    const { executionArn } = await client.send(
      new StartExecutionCommand({
        stateMachineArn: settings.stateMachineArn,
        name: awsSafe(submissionId),
        input: JSON.stringify({ submissionId }),
      }),
    );
    return { outcome: 'Started', execution: executionArn };
  } catch (error) {
    if (error.name === 'ExecutionAlreadyExists') return { outcome: 'Duplicate' };
    return { outcome: 'Failed', error };
  }
}

const log = (line) => console.log(JSON.stringify(line));

export async function handler(event) {
  const counts = { Records: 0, Started: 0, NotForUs: 0, Duplicate: 0, Quarantined: 0, Failed: 0 };
  const submissions = new Map();
  for (const partitionName of Object.keys(event.records).sort()) {
    const [, topic, partition] = /^(.*)-(\d+)$/.exec(partitionName);
    for (const record of event.records[partitionName]) {
      const place = { topic, partition: Number(partition), offset: record.offset };
      const { outcome, reason, submissionId } = decide(record.value);
      counts.Records += 1;
      if (outcome !== 'Start') {
        log({ level: 'INFO', ...place, outcome, reason });
        counts[outcome] += 1;
      } else if (submissions.has(submissionId)) {
        submissions.get(submissionId).push(place);
      } else {
        submissions.set(submissionId, [place]);
      }
    }
  }

  const waiting = [...submissions];
  const failures = [];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [submissionId, places] = next;
      const { outcome, execution, error } = await start(submissionId);
      if (error) failures.push(error);
      places.forEach((place, nth) => {
        const own = outcome === 'Started' && nth > 0 ? 'Duplicate' : outcome;
        log({ level: 'INFO', ...place, outcome: own, submissionId, execution });
        counts[own] += 1;
      });
    }
  };
  await Promise.all(Array.from({ length: settings.concurrency }, worker));

  log({
    _aws: {
      Timestamp: Date.now(),
      CloudWatchMetrics: [
        {
          Namespace: 'MarathonMatch',
          Dimensions: [['Stack']],
          Metrics: Object.keys(counts).map((Name) => ({ Name, Unit: 'Count' })),
        },
      ],
    },
    Stack: settings.stack,
    ...counts,
  });
  if (failures.length > 0) throw failures[0];
  return { batchItemFailures: [] };
}
