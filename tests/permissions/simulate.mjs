// Evaluates requests against policies with @cloud-copilot/iam-simulate. Reads a JSON document from standard input:
//   stacks    by name: policies of roles by role [{name, document}], policies of buckets by bucket
//   requests  [{stack, role, action, resource, context}]
// and writes one: verdicts [{allowed, reason, grants}] in the order of the requests, and all grants
// [{stack, role, policy, action, resource}]. A grant is one action on one resource element of one statement.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const ACCOUNT = '000000000000'
const list = (value) => (Array.isArray(value) ? value : [value])
// The simulator drops condition keys with a name after a second colon, and those of CodeBuild, but knows tags: an encryption
// context and the ARN of a build stand for some.
const { stacks, requests } = JSON.parse(
  readFileSync(0, 'utf8')
    .replaceAll('kms:EncryptionContext:', 'aws:PrincipalTag/')
    .replaceAll('codebuild:buildArn', 'aws:PrincipalTag/codebuild-buildArn')
)

const grants = []
for (const [stack, { roles }] of Object.entries(stacks)) {
  for (const [role, policies] of Object.entries(roles)) {
    for (const { name, document } of policies) {
      for (const statement of list(document.Statement)) {
        if (statement.Effect !== 'Allow') continue
        for (const action of list(statement.Action)) {
          for (const resource of list(statement.Resource)) {
            const policy = { Version: document.Version, Statement: [{ ...statement, Action: action, Resource: resource }] }
            grants.push({ stack, role, policy: name, action, resource, alone: { name, policy } })
          }
        }
      }
    }
  }
}

// A key's policy leaves access to IAM: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
const keyPolicy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: '*' }]
}
const resourcePolicy = ({ stack, action, resource }) => {
  if (action.startsWith('kms:')) return keyPolicy
  return stacks[stack].buckets[resource.replace(/^arn:aws:s3:::/, '').split('/')[0]]
}

const simulate = (request, identityPolicies) =>
  runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${ACCOUNT}:role/${request.role}`,
        action: request.action,
        resource: { resource: request.resource, accountId: ACCOUNT },
        contextVariables: {
          'aws:SecureTransport': 'true',
          ...(request.action.startsWith('s3:') ? { 's3:ResourceAccount': ACCOUNT } : {}),
          ...request.context
        }
      },
      identityPolicies,
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: resourcePolicy(request)
    },
    {}
  )

const verdicts = []
for (const request of requests) {
  const policies = stacks[request.stack].roles[request.role] ?? []
  const result = await simulate(request, policies.map(({ name, document }) => ({ name, policy: document })))
  const used = []
  for (const [index, grant] of grants.entries()) {
    if (grant.stack !== request.stack || grant.role !== request.role) continue
    if (grant.action.toLowerCase() !== request.action.toLowerCase()) continue
    const alone = await simulate(request, [grant.alone])
    if (alone.overallResult === 'Allowed') used.push(index)
  }
  const reason = result.resultType === 'error' ? `the simulator refuses the request: ${JSON.stringify(result.errors)}` : result.overallResult
  verdicts.push({ allowed: result.overallResult === 'Allowed', reason, grants: used })
}
console.log(JSON.stringify({ verdicts, grants: grants.map(({ alone, ...grant }) => grant) }))
