import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkerProcess } from './src/processes/index.js';
import { ProcessLog } from './src/soak/process-log.js';

interface Note {
  readonly kind: 'ready' | 'end';
}

/** Ready at once, and ends with 3 when it is told to. */
const PROGRAM = `
process.on('message', () => {
  process.stderr.write('the last words\\n', () => process.exit(3));
});
process.send({ kind: 'ready' });
setInterval(() => undefined, 1000);
`;

describe('a worker process', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sagaz-worker-'));
    await writeFile(join(folder, 'program.mjs'), PROGRAM);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const started = async (name: string) => {
    const ends: string[] = [];
    const path = join(folder, `${name}.log`);
    const log = new ProcessLog(path);
    const worker = new WorkerProcess<Note, Note>({
      name,
      script: join(folder, 'program.mjs'),
      plan: {},
      log,
      hear: () => undefined,
      endedByItself: (how) => ends.push([how, ...log.lastLines].join('|')),
    });
    worker.spawn();
    await expect.poll(() => worker.ready).toBe(true);
    return { worker, ends, log, path };
  };

  it('that ends by itself is told of with its last words, and comes back', async () => {
    const { worker, ends, log, path } = await started('own-end');
    worker.send({ kind: 'end' });
    await expect.poll(() => ends).toEqual([expect.stringContaining('exit code 3')]);
    expect(ends[0]).toContain('the last words');
    await expect.poll(() => worker.ready).toBe(true);
    await worker.stop(10_000);
    await finished(log.end());
    expect(await readFile(path, 'utf8')).toContain('the last words');
  });

  it('that is killed, or told to stop, has not ended by itself', async () => {
    const { worker, ends, log } = await started('killed');
    await worker.kill();
    await expect.poll(() => worker.ready).toBe(true);
    await worker.stop(10_000);
    await finished(log.end());
    expect(ends).toEqual([]);
    expect(log.lastLines.at(-1)).toBe('killed ended: SIGTERM');
  });
});
