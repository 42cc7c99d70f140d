// The demo of the orders service in a child process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const DEMO = fileURLToPath(new URL('../../examples/orders-service/demo.js', import.meta.url));

/** Where the demo puts its file, below the folder it runs in. */
export const METRICS_FILE = 'logs/metrics.jsonl';

/** @param folder the working directory, where its file goes */
export function startDemo(folder: string, args: string[]) {
  const child = spawn(process.execPath, [DEMO, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  return {
    child,
    /** Settles with the first match in what it prints. */
    printed: (pattern: RegExp) =>
      new Promise<string>((resolve) => {
        let output = '';
        child.stdout.on('data', (chunk: Buffer) => {
          output += chunk;
          const match = pattern.exec(output);
          if (match) resolve(match[0]);
        });
      }),
    ended: Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
      ([[code], stdout, stderr]) => ({ code, stdout, stderr }),
    ),
  };
}

/** The rows of the summary. */
export function totalsIn(stdout: string): { name: string; sent: number; file: number; scraped: number }[] {
  return [...stdout.matchAll(/^(\S.*?) +(\d+) +(\d+) +(\d+)$/gm)].map(([, name, ...numbers]) => {
    const [sent, file, scraped] = numbers.map(Number);
    return { name: name!, sent: sent!, file: file!, scraped: scraped! };
  });
}
