// Contestants take turns in processes of their own, so that neither one's compiled code and garbage nor a busy
// neighbour on the machine favours another.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROUNDS = 7;
const QUICK_ROUNDS = 2;

/** Far beyond any round, so that only a hung one meets it. */
const ROUND_TIMEOUT_MS = 300_000;

/** Returns for each round a map from a contestant's name to what its `run` returned. */
export async function runRounds({ file, contestants, rounds: count = ROUNDS }, { node, quick }) {
  const rounds = [];
  for (let i = 0; i < (quick ? QUICK_ROUNDS : count); i++) {
    const order = i % 2 === 0 ? contestants : contestants.toReversed();
    const round = new Map();
    for (const { name } of order) round.set(name, await runOne(file, name, { node, quick }));
    rounds.push(round);
  }
  return rounds;
}

function runOne(file, name, { node, quick }) {
  const child = fork(fileURLToPath(new URL('child.js', import.meta.url)), [file.href, name, String(quick)], {
    execPath: node.path,
    timeout: ROUND_TIMEOUT_MS,
  });
  return new Promise((resolve, reject) => {
    let result;
    child.once('message', (message) => {
      result = message;
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0 && result !== undefined) resolve(result);
      else reject(new Error(`${name} of ${file.pathname} ended with ${signal ?? `code ${code}`}`));
    });
  });
}
