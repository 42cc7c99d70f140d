import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs a command to its end with the given standard input. */
export async function runCommand(command: string, args: string[], input: Uint8Array) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  child.stdin.end(input);
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, output };
}
