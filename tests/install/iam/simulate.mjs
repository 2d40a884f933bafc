// Asks an evaluator of IAM policies about each case on stdin, and prints what came out otherwise than expected, which
// actions of the policies no case needs, and which conditions an action does not know. Asks AWS nothing.
import { runSimulation } from '@cloud-copilot/iam-simulate';

let input = '';
for await (const chunk of process.stdin) input += chunk;
const { account, policies, cases } = JSON.parse(input);

async function ask(policy, { action, on, context }) {
  const answer = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${account}:role/somebody`,
        action,
        resource: { resource: on, accountId: account },
        contextVariables: context ?? {},
      },
      identityPolicies: [{ name: 'shipped', policy }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  );
  if (answer.resultType === 'error') throw new Error(`${action} on ${on}: ${JSON.stringify(answer.errors)}`);
  // The address of a log group ends with a star of its own; then there is a result for each match.
  const results = answer.resultType === 'single' ? [answer.result] : answer.results;
  const ignored = results.flatMap((result) => result.ignoredContextKeys ?? []);
  return { allowed: answer.overallResult === 'Allowed', ignored };
}

const listed = (value) => (Array.isArray(value) ? value : [value]);
const wrong = [];
const ignored = [];
for (const wanted of cases) {
  const answer = await ask(policies[wanted.who], wanted);
  if (answer.allowed !== wanted.allowed) wrong.push(`${wanted.who}: ${wanted.action} on ${wanted.on}`);
  for (const key of answer.ignored) ignored.push(`${wanted.who}: ${wanted.action} knows no ${key}`);
}

// An action is needed if a case turns out otherwise without it, a denial of a statement likewise.
const unused = [];
for (const [who, policy] of Object.entries(policies)) {
  for (const [n, statement] of policy.Statement.entries()) {
    for (const action of listed(statement.Action)) {
      const rest = listed(statement.Action).filter((other) => other !== action);
      const without = structuredClone(policy);
      if (rest.length === 0) without.Statement.splice(n, 1);
      else without.Statement[n].Action = rest;
      let needed = false;
      for (const wanted of cases.filter((wanted) => wanted.who === who && wanted.action === action)) {
        if ((await ask(without, wanted)).allowed !== wanted.allowed) needed = true;
      }
      if (!needed) unused.push(`${who}: ${statement.Sid} has ${action}`);
    }
  }
}
console.log(JSON.stringify({ wrong, unused, ignored, asked: cases.length }));
