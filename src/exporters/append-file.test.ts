import { appendFile, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { AppendFile } from './append-file.ts';
import { temporaryFolder } from './fixtures/exporting.ts';

let folder: string;
let path: string;
let file: AppendFile;
const { signal } = new AbortController();

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'lines');
  file = new AppendFile(path, 0o600);
  return () => file.close();
});

async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

async function append(...texts: string[]): Promise<number> {
  await file.open();
  return await file.append(chunks(...texts), signal);
}

/** Makes the next write of any file take only the first bytes, then run `meanwhile` and fail. */
async function tearNextWrite(bytes: number, meanwhile: () => Promise<void> = async () => {}) {
  const probe = await open(folder);
  const prototype = Object.getPrototypeOf(probe) as { write(bytes: Uint8Array): Promise<unknown> };
  await probe.close();
  const { write } = prototype;
  const spy = vi
    .spyOn(prototype, 'write')
    .mockImplementationOnce(function (this: typeof prototype, buffer) {
      return write.call(this, buffer.subarray(0, bytes));
    })
    .mockImplementationOnce(async () => {
      await meanwhile();
      throw Object.assign(new Error('no space'), { code: 'ENOSPC', syscall: 'write' });
    });
  onTestFinished(() => spy.mockRestore());
}

describe('AppendFile', () => {
  it('tells how much it appended and what it found', async () => {
    expect(await append('one\n', 'two\n')).toBe(8);
    expect(await file.open()).toMatchObject({ size: 8, isNew: false });
    expect(await append('three\n')).toBe(6);
    const { bornMillis } = await file.open();
    expect(Math.abs(Date.now() - bornMillis)).toBeLessThan(60_000);
    expect(await readFile(path, 'utf8')).toBe('one\ntwo\nthree\n');
  });

  it('cuts off what it wrote when the rest does not fit', async () => {
    await append('one\n');
    await file.open();
    await tearNextWrite(2);
    await expect(file.append(chunks('two\n'), signal)).rejects.toThrow('no space');
    expect(await readFile(path, 'utf8')).toBe('one\n');
    await append('three\n');
    expect(await readFile(path, 'utf8')).toBe('one\nthree\n');
  });

  it('leaves lines of another process alone and ends its own torn line', async () => {
    await append('one\n');
    await file.open();
    await tearNextWrite(2, () => appendFile(path, 'theirs\npart'));
    await expect(file.append(chunks('two\n'), signal)).rejects.toThrow('no space');
    await append('three\n');
    expect(await readFile(path, 'utf8')).toBe('one\ntwtheirs\npart\nthree\n');
  });

  it('waits for its last write before it takes back, and leaves no rejection unhandled', async () => {
    await file.open();
    let fail = () => {};
    const failing = new Promise<void>((resolve) => {
      fail = resolve;
    });
    await tearNextWrite(1, async () => fail());
    const slowly = (async function* () {
      yield Buffer.from('one\n');
      // The write fails while the next chunk is made; Node looks for unhandled rejections once a turn.
      await failing;
      await setImmediate();
      yield Buffer.from('two\n');
    })();
    await expect(file.append(slowly, signal)).rejects.toThrow('no space');
    expect(await readFile(path, 'utf8')).toBe('');
  });

  it('takes back what it wrote when the chunks end in an error', async () => {
    await append('one\n');
    await file.open();
    const failing = (async function* () {
      yield Buffer.from('two\n');
      throw new Error('given up');
    })();
    await expect(file.append(failing, signal)).rejects.toThrow('given up');
    expect(await readFile(path, 'utf8')).toBe('one\n');
  });
});
